//! First lines: method, target, version, and what stands around them; and Host.

use super::case::{Case, becomes, line, refused, same, target};

const BODY: &str = "\r\nhost: a\r\n\r\n";

pub(crate) fn all() -> Vec<Case> {
    [first_lines(), methods(), targets(), versions(), hosts()]
        .into_iter()
        .flatten()
        .collect()
}

/// White space, line ends, and what is no HTTP at all.
#[rustfmt::skip]
fn first_lines() -> Vec<Case> {
    let with_host = |start: &str| format!("{start}{BODY}");
    vec![
        same("a request", line("GET / HTTP/1.1")),
        becomes("an empty line before it", with_host("\r\nGET / HTTP/1.1"), line("GET / HTTP/1.1")),
        refused("two empty lines", with_host("\r\n\r\nGET / HTTP/1.1"), 400, "empty_line"),
        refused("a bare LF before it", with_host("\nGET / HTTP/1.1"), 400, "bare_line_end"),
        refused("a bare CR before it", with_host("\rGET / HTTP/1.1"), 400, "bare_line_end"),
        refused("CR CR LF before it", with_host("\r\r\nGET / HTTP/1.1"), 400, "bare_line_end"),
        refused("a space before it", with_host(" GET / HTTP/1.1"), 400, "request_line"),
        refused("a tab before it", with_host("\tGET / HTTP/1.1"), 400, "request_line"),
        refused("a NUL before it", with_host("\0GET / HTTP/1.1"), 400, "request_line"),
        refused("a line of a space", with_host(" \r\nGET / HTTP/1.1"), 400, "request_line"),
        refused("a byte order mark", with_host("\u{feff}GET / HTTP/1.1"), 400, "request_line"),
        refused("two spaces", line("GET  / HTTP/1.1"), 400, "request_line"),
        refused("two spaces behind the target", line("GET /  HTTP/1.1"), 400, "request_line"),
        refused("a space behind the version", line("GET / HTTP/1.1 "), 400, "request_line"),
        refused("a tab behind the version", line("GET / HTTP/1.1\t"), 400, "request_line"),
        refused("a word behind the version", line("GET / HTTP/1.1 x"), 400, "request_line"),
        refused("tabs for spaces", line("GET\t/\tHTTP/1.1"), 400, "request_line"),
        refused("a tab before the target", line("GET\t/ HTTP/1.1"), 400, "request_line"),
        refused("a tab before the version", line("GET /\tHTTP/1.1"), 400, "request_line"),
        refused("a vertical tab for a space", line("GET\x0b/ HTTP/1.1"), 400, "request_line"),
        refused("a form feed for a space", line("GET /\x0cHTTP/1.1"), 400, "request_line"),
        refused("a target and nothing else", line("/"), 400, "request_line"),
        refused("a method and nothing else", line("GET"), 400, "request_line"),
        refused("no target", line("GET HTTP/1.1"), 400, "request_line"),
        refused("bare LF everywhere", "GET / HTTP/1.1\nhost: a\n\n", 400, "bare_line_end"),
        refused("bare LF", "GET / HTTP/1.1\nhost: a\r\n\r\n", 400, "bare_line_end"),
        refused("bare CR", "GET / HTTP/1.1\rhost: a\r\n\r\n", 400, "bare_line_end"),
        refused("CR CR LF", "GET / HTTP/1.1\r\r\nhost: a\r\n\r\n", 400, "bare_line_end"),
        refused("LF CR", "GET / HTTP/1.1\n\rhost: a\r\n\r\n", 400, "bare_line_end"),
        refused("bare CR everywhere", "GET / HTTP/1.1\rhost: a\r\rx", 400, "bare_line_end"),
        refused("a response", line("HTTP/1.1 200 OK"), 400, "request_line"),
        refused("a field", "host: a\r\n\r\n", 400, "request_line"),
        refused("TLS", "\x16\x03\x01\x02\0\x01\0\x01", 400, "request_line"),
        refused("SSH, whose greeting is one word", "SSH-2.0-OpenSSH_9.2\r\n", 400, "request_line"),
        refused("no text", [0xff, 0xfe, 0xfd, 0x80, b'\r', b'\n'], 400, "request_line"),
        refused("PROXY protocol", "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n", 400, "request_line"),
        refused("PROXY protocol, version 2", "\r\n\r\n\0\r\nQUIT\n\x21\x11", 400, "empty_line"),
        refused("FastCGI", [1, 1, 0, 1, 0, 8, 0, 0], 400, "request_line"),
    ]
}

#[rustfmt::skip]
fn methods() -> Vec<Case> {
    let long = format!("{} / HTTP/1.1", "M".repeat(70_000));
    vec![
        same("a method of its own", line("BREW / HTTP/1.1")),
        same("a method in lower case is another one", line("get / HTTP/1.1")),
        same("a method of all kinds of token characters", line("!#$%&'*+-.^_`|~1a / HTTP/1.1")),
        same("TRACE", line("TRACE / HTTP/1.1")),
        refused("no method", line(" / HTTP/1.1"), 400, "request_line"),
        refused("a method with a separator", line("G@T / HTTP/1.1"), 400, "method"),
        refused("a method with a colon", line("GET: / HTTP/1.1"), 400, "method"),
        refused("a method with a slash", line("GET/ / HTTP/1.1"), 400, "method"),
        refused("a method with NUL", line("GET\0 / HTTP/1.1"), 400, "method"),
        refused("a method with a control character", line("G\x01T / HTTP/1.1"), 400, "method"),
        refused("a method that is not ASCII", line("G\u{cb}T / HTTP/1.1"), 400, "method"),
        refused("a quoted method", line("\"GET\" / HTTP/1.1"), 400, "request_line"),
        refused("a method of 70,000 bytes", line(long), 414, "target_too_long"),
        refused("CONNECT", line("CONNECT a:443 HTTP/1.1"), 501, "connect"),
        refused("CONNECT without a port", line("CONNECT a HTTP/1.1"), 501, "connect"),
        refused("CONNECT with a path", line("CONNECT / HTTP/1.1"), 501, "connect"),
        refused(
            "CONNECT with a body",
            "CONNECT a:443 HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            501,
            "connect",
        ),
    ]
}

#[rustfmt::skip]
fn targets() -> Vec<Case> {
    let long = |length: usize| format!("/{}", "a".repeat(length - 1));
    let is_same = |name, text: &str| same(name, target(text));
    let is = |name, text: &str, seen: &str| becomes(name, target(text), target(seen));
    let options = |text: &str| line(format!("OPTIONS {text} HTTP/1.1"));
    let of_host = |path, host| format!("GET {path} HTTP/1.1\r\nhost: {host}\r\n\r\n");
    vec![
        is_same("a query", "/a?b=c&d"),
        is_same("a query that looks like more", "/a?b=/../../c\\..\\d"),
        is_same("an empty query", "/?"),
        is_same("escapes of what is reserved", "/a%2Fb%5Cc%3Fd%23e"),
        is_same("an escaped CRLF", "/a%0d%0ax:%20y%0D%0A%0D%0A"),
        is_same("an overlong slash", "/%c0%af../%e0%80%af"),
        is_same("an escape that is none", "/%zz%1"),
        is_same("parameters beside dots", "/a/..;/b"),
        is_same("a double slash", "//a//b"),
        is_same("a whole URL in the path", "/http://b/"),
        is_same("what no URI holds, but no parser cares for", "/\"<>^`{|}"),
        is("dot segments", "/a/./b/../c", "/a/c"),
        is("too many dot segments", "/../../../etc/passwd", "/etc/passwd"),
        is("escaped dot segments", "/a/%2e%2E/%2e/b", "/b"),
        is("half escaped dot segments", "/a/.%2e/%2e./b", "/b"),
        is("backslashes", "/a\\..\\b", "/b"),
        is("escapes of what is unreserved", "/%41%7e%2d", "/A~-"),
        is("the absolute form", "http://a/b?c", "/b?c"),
        becomes("the absolute form in upper case", target("HTTP://A/b"), of_host("/b", "A")),
        becomes("the absolute form with its port", target("http://a:80/"), of_host("/", "a:80")),
        is("the absolute form of https", "https://a/", "/"),
        is("the absolute form without a path", "http://a", "/"),
        is("the absolute form with nothing but a query", "http://a?b", "/?b"),
        is("the absolute form with dot segments", "http://a/b/../../c", "/c"),
        is_same("the longest", &long(16 << 10)),
        same("all of a server", options("*")),
        becomes("all of a server, absolutely", options("http://a"), options("*")),
        refused("one more than the longest", target(long((16 << 10) + 1)), 414, "target_too_long"),
        refused("70,000 bytes", target(long(70_000)), 414, "target_too_long"),
        refused("an asterisk without OPTIONS", target("*"), 400, "target_form"),
        refused("an asterisk and more", options("*/a"), 400, "target_form"),
        refused("an asterisk with a query", options("*?a"), 400, "target_form"),
        refused("an authority", target("a:80"), 400, "target_form"),
        refused("a relative path", target("a/b"), 400, "target_form"),
        refused("nothing but a query", target("?a"), 400, "target_form"),
        refused("a backslash first", target("\\a"), 400, "target_form"),
        refused("a dot first", target("../a"), 400, "target_form"),
        refused("another scheme", target("ftp://a/"), 400, "target_form"),
        refused("a file", target("file:///etc/passwd"), 400, "target_form"),
        refused("a scheme without slashes", target("http:a"), 400, "target_form"),
        refused("a scheme with one slash", target("http:/a/"), 400, "target_form"),
        refused("a scheme with backslashes", target("http:\\\\a\\"), 400, "target_form"),
        refused("no scheme", target("://a/"), 400, "target_form"),
        refused("a fragment", target("/a#b"), 400, "target_byte"),
        refused("an absolute fragment", target("http://a/#b"), 400, "target_byte"),
        refused("a space", target("/a b"), 400, "request_line"),
        refused("a tab", target("/a\tb"), 400, "target_byte"),
        refused("a NUL", target("/a\0b"), 400, "target_byte"),
        refused("a bare CR", target("/a\rb"), 400, "bare_line_end"),
        refused("a bare LF", target("/a\nb"), 400, "bare_line_end"),
        refused("a control character", target("/a\x01b"), 400, "target_byte"),
        refused("DEL", target("/a\x7fb"), 400, "target_byte"),
        refused("UTF-8", target("/\u{e4}"), 400, "target_byte"),
        refused("Latin-1", target([b'/', 0xe4]), 400, "target_byte"),
        refused("an escaped NUL", target("/a%00b"), 400, "path.nul"),
        refused("no authority", target("http:///a"), 400, "host_invalid"),
        refused("no authority but a query", target("http://?a"), 400, "host_invalid"),
        refused("a user", target("http://me@a/"), 400, "host_invalid"),
        refused("a user and a password", target("http://a:b@a/"), 400, "host_invalid"),
        refused("no port", target("http://a:/"), 400, "host_invalid"),
        refused("a port out of range", target("http://a:65536/"), 400, "host_invalid"),
        refused("a backslash in the authority", target("http://a\\b/"), 400, "host_invalid"),
        refused("another authority", target("http://b/"), 400, "host_mismatch"),
        refused("another port", target("http://a:81/"), 400, "host_mismatch"),
        refused("another scheme's port", target("https://a:80/"), 400, "host_mismatch"),
    ]
}

#[rustfmt::skip]
fn versions() -> Vec<Case> {
    let of = |version: &str| line(format!("GET / {version}"));
    vec![
        refused("HTTP/0.9", "GET /\r\n", 400, "request_line"),
        refused("HTTP/0.9 with a Host", line("GET /"), 400, "request_line"),
        refused("HTTP/0.9 by name", of("HTTP/0.9"), 505, "version"),
        refused("HTTP/1.0", of("HTTP/1.0"), 426, "low_version"),
        refused("HTTP/1.0 without a Host", "GET / HTTP/1.0\r\n\r\n", 426, "low_version"),
        refused(
            "HTTP/1.0 that asks for more",
            "GET / HTTP/1.0\r\nhost: a\r\nconnection: keep-alive\r\n\r\n",
            426,
            "low_version",
        ),
        refused(
            "HTTP/1.0 with chunks",
            "POST / HTTP/1.0\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            426,
            "low_version",
        ),
        refused(
            "HTTP/1.0 with both framings",
            "POST / HTTP/1.0\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            426,
            "low_version",
        ),
        refused("HTTP/1.2", of("HTTP/1.2"), 505, "version"),
        refused("HTTP/2.0", of("HTTP/2.0"), 505, "version"),
        refused("HTTP/2", of("HTTP/2"), 505, "version"),
        refused("HTTP/9.9", of("HTTP/9.9"), 505, "version"),
        refused("HTTP/1", of("HTTP/1"), 505, "version"),
        refused("HTTP/1.", of("HTTP/1."), 400, "request_line"),
        refused("HTTP/.1", of("HTTP/.1"), 400, "request_line"),
        refused("HTTP/", of("HTTP/"), 400, "request_line"),
        refused("HTTP/1.11", of("HTTP/1.11"), 400, "request_line"),
        refused("HTTP/11.1", of("HTTP/11.1"), 400, "request_line"),
        refused("HTTP/01.1", of("HTTP/01.1"), 400, "request_line"),
        refused("HTTP/1.01", of("HTTP/1.01"), 400, "request_line"),
        refused("HTTP/1.1.1", of("HTTP/1.1.1"), 400, "request_line"),
        refused("HTTP/-1.1", of("HTTP/-1.1"), 400, "request_line"),
        refused("HTTP/1,1", of("HTTP/1,1"), 400, "request_line"),
        refused("HTTP/ 1.1", of("HTTP/ 1.1"), 400, "request_line"),
        refused("HTTP /1.1", of("HTTP /1.1"), 400, "request_line"),
        refused("http/1.1", of("http/1.1"), 400, "request_line"),
        refused("Http/1.1", of("Http/1.1"), 400, "request_line"),
        refused("HTTPS/1.1", of("HTTPS/1.1"), 400, "request_line"),
        refused("FTP/1.1", of("FTP/1.1"), 400, "request_line"),
        refused("HTTP/1.1 and NUL", of("HTTP/1.1\0"), 400, "request_line"),
        refused("HTTP/1.1 in other digits", of("HTTP/\u{ff11}.\u{ff11}"), 400, "request_line"),
        refused("HTTP/2's preface, gone wrong", line("PRI * HTTP/2.0"), 505, "http2_preface"),
    ]
}

#[rustfmt::skip]
fn hosts() -> Vec<Case> {
    let host = |host: &str| format!("GET / HTTP/1.1\r\nhost: {host}\r\n\r\n");
    let refused_host = |name, text: &str| refused(name, host(text), 400, "host_invalid");
    let raw = |fields: &str| format!("GET / HTTP/1.1\r\n{fields}\r\n\r\n");
    vec![
        same("a port", host("a:8080")),
        same("an IPv4 address", host("10.0.0.1")),
        same("an IPv6 address", host("[::1]:80")),
        same("a name with an underscore", host("a_b")),
        same("a name in upper case", host("A.EXAMPLE")),
        same("a name with a dot behind", host("a.")),
        becomes("a name in any case", raw("HOST:a"), host("a")),
        becomes("spaces and tabs around it", raw("host: \t a \t"), host("a")),
        refused("no Host", "GET / HTTP/1.1\r\n\r\n", 400, "host_missing"),
        refused("no Host, absolutely", "GET http://a/ HTTP/1.1\r\n\r\n", 400, "host_missing"),
        refused("two", raw("host: a\r\nhost: b"), 400, "host_repeated"),
        refused("the same twice", raw("host: a\r\nhost: a"), 400, "host_repeated"),
        refused("two in different case", raw("Host: a\r\nx: 1\r\nhOST: b"), 400, "host_repeated"),
        refused("two, one empty", raw("host: a\r\nhost:"), 400, "host_repeated"),
        refused("one behind a space", raw("host: a\r\n host: b"), 400, "line_folding"),
        refused("one with a space before its colon", raw("host : a"), 400, "space_before_colon"),
        refused_host("empty", ""),
        refused_host("a list", "a, b"),
        refused_host("a list without space", "a,b c"),
        refused_host("two words", "a b"),
        refused_host("a URL", "http://a"),
        refused_host("a path", "a/b"),
        refused_host("a query", "a?b"),
        refused_host("a fragment", "a#b"),
        refused_host("a backslash", "a\\b"),
        refused_host("a user", "me@a"),
        refused_host("a user and a password", "me:secret@a"),
        refused_host("a colon and no port", "a:"),
        refused_host("a port and no name", ":80"),
        refused_host("a port out of range", "a:99999"),
        refused_host("a port of six digits", "a:000080"),
        refused_host("a negative port", "a:-1"),
        refused_host("a port with a sign", "a:+80"),
        refused_host("a port that is no number", "a:http"),
        refused_host("two ports", "a:80:80"),
        refused_host("an IPv6 address without brackets", "::1"),
        refused_host("an IPv6 address that is none", "[::g]"),
        refused_host("an open bracket", "[::1"),
        refused_host("something behind the bracket", "[::1]a"),
        refused_host("a zone", "[fe80::1%25eth0]"),
        refused_host("an IPv4 address in brackets", "[127.0.0.1]"),
        refused_host("half an escape", "a%2"),
        refused_host("UTF-8", "\u{e4}"),
        refused_host("quotes", "\"a\""),
        refused_host("a tag", "<a>"),
        refused("NUL", host("a\0b"), 400, "header_value"),
    ]
}
