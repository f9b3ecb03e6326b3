//! Header fields: their grammar, how many and how long, and those that are about the connection.

use super::case::{Case, becomes, get, post, refused, same};

pub(crate) fn all() -> Vec<Case> {
    [grammar(), sizes(), connection(), upgrades(), expectations()]
        .into_iter()
        .flatten()
        .collect()
}

#[rustfmt::skip]
fn grammar() -> Vec<Case> {
    let name = |name, fields: &str| refused(name, get(fields), 400, "header_name");
    let value = |name, fields: &str| refused(name, get(fields), 400, "header_value");
    let line_end = |name, fields: &str| refused(name, get(fields), 400, "bare_line_end");
    let fold = |name, fields: &str| refused(name, get(fields), 400, "line_folding");
    let space = |name, fields: &str| refused(name, get(fields), 400, "space_before_colon");
    vec![
        same("an empty value", get("x: ")),
        same("case is kept", get("X-MiXeD: CaSe")),
        same("the same name twice", get("x: 1\r\nX: 2")),
        same("a name of all kinds of token characters", get("!#$%&'*+-.^_`|~1a: b")),
        same("a tab within a value", get("x: a\tb")),
        same("UTF-8 in a value", get("x: \u{e4}")),
        same("Latin-1 in a value", get(b"x: \xe4\xff")),
        same("colons in a value", get("x: :::")),
        same("an underscore makes another name",
            get("content_length: 5\r\ntransfer_encoding: chunked")),
        becomes("no space behind the colon", get("x:a"), get("x: a")),
        becomes("spaces and tabs around a value", get("x: \t a b \t "), get("x: a b")),
        space("a space before the colon", "x : 1"),
        space("a tab before the colon", "x\t: 1"),
        space("a space before the colon of a framing", "content-length : 5"),
        fold("a folded value", "x: a\r\n b"),
        fold("a value folded by a tab", "x: a\r\n\tb"),
        fold("a value folded by nothing else", "x: a\r\n \r\ny: b"),
        fold("a framing that is folded", "transfer-encoding:\r\n chunked"),
        refused("a space before the first field",
            "GET / HTTP/1.1\r\n x: 1\r\nhost: a\r\n\r\n", 400, "line_folding"),
        refused("a tab before the first field",
            "GET / HTTP/1.1\r\n\tx: 1\r\nhost: a\r\n\r\n", 400, "line_folding"),
        name("no colon", "x"),
        name("no colon, twice", "x y\r\nz"),
        name("no name", ": 1"),
        name("nothing but a colon", ":"),
        name("a pseudo field", ":authority: b"),
        name("a separator in a name", "x(y): 1"),
        name("a quoted name", "\"x\": 1"),
        name("a space in a name", "x y: 1"),
        name("a slash in a name", "x/y: 1"),
        name("an at sign in a name", "x@y: 1"),
        name("brackets around a name", "[x]: 1"),
        name("a backslash in a name", "x\\y: 1"),
        name("an equals sign in a name", "x=y: 1"),
        name("NUL in a name", "x\0y: 1"),
        name("a control character in a name", "x\x01y: 1"),
        name("a vertical tab before a name", "\x0btransfer-encoding: chunked"),
        name("a form feed behind a name", "transfer-encoding\x0c: chunked"),
        name("DEL in a name", "x\x7fy: 1"),
        name("UTF-8 in a name", "\u{e4}: 1"),
        value("NUL in a value", "x: a\0b"),
        value("NUL at the end of a value", "x: a\0"),
        value("a control character in a value", "x: a\x01b"),
        value("an escape character in a value", "x: \x1b[2J"),
        value("DEL in a value", "x: a\x7fb"),
        value("a vertical tab in a value", "x: a\x0bb"),
        line_end("a bare CR in a value", "x: a\rb"),
        line_end("a bare CR at the end of a value", "x: a\r\r\ny: b"),
        line_end("a bare CR at the start of a value", "x:\ra"),
        line_end("a bare CR in a name", "x\ry: 1"),
        line_end("a field behind a bare CR", "x: a\rcontent-length: 5"),
        line_end("a bare LF in a value", "x: a\ny: b"),
        line_end("a framing behind a bare LF", "x: a\ntransfer-encoding: chunked"),
        line_end("LF CR", "x: a\n\ry: b"),
        line_end("an empty line of bare LF", "x: a\n\nGET /evil HTTP/1.1"),
        line_end("an empty line of LF behind CRLF", "x: a\r\n\nGET /evil HTTP/1.1"),
        line_end("an empty line of CR CR LF", "x: a\r\n\r\r\nGET /evil HTTP/1.1"),
        line_end("an empty line of bare CR", "x: a\r\n\ry: b"),
    ]
}

#[rustfmt::skip]
fn sizes() -> Vec<Case> {
    let many = |count: usize| vec!["x: 1"; count].join("\r\n");
    let long = |length: usize| "a".repeat(length);
    vec![
        same("as many fields as may be", get(many(99))),
        same("a long value", get(format!("x: {}", long(50_000)))),
        same("a long name", get(format!("{}: 1", long(50_000)))),
        refused("one field more", get(many(100)), 431, "too_many_headers"),
        refused("a thousand fields", get(many(1000)), 431, "too_many_headers"),
        refused("empty fields without end",
            get(vec!["x:"; 20_000].join("\r\n")), 431, "too_many_headers"),
        refused("a name of 70,000 bytes",
            get(format!("{}: 1", long(70_000))), 431, "head_too_large"),
        refused("a name without end", get(long(70_000)), 431, "head_too_large"),
        refused("a value of 70,000 bytes",
            get(format!("x: {}", long(70_000))), 431, "head_too_large"),
        refused(
            "long fields",
            get(vec![format!("x: {}", long(1000)); 70].join("\r\n")),
            431,
            "head_too_large",
        ),
        refused(
            "a length of 70,000 digits",
            post(format!("content-length: {}", "0".repeat(70_000)), ""),
            431,
            "head_too_large",
        ),
    ]
}

/// What Connection names stays behind, unless it is meant for everyone on the way.
#[rustfmt::skip]
fn connection() -> Vec<Case> {
    let protected = |name, field: &str| {
        let (option, _) = field.split_once(':').expect("a field");
        becomes(name, get(format!("connection: {option}\r\n{field}")), get(field))
    };
    let nothing = |name, fields: &str| becomes(name, get(fields), get_nothing());
    vec![
        nothing("a field that Connection names", "connection: x\r\nx: 1"),
        nothing("fields that it names in any case", "Connection: X-a, x-B\r\nx-A: 1\r\nX-b: 2"),
        nothing("a field that is named behind it", "x: 1\r\nconnection: keep-alive, x"),
        nothing("two Connections", "connection: x\r\nconnection: y\r\nx: 1\r\ny: 2"),
        nothing("empty options", "connection: ,, ,x,\r\nx: 1"),
        nothing("no option", "connection:"),
        nothing("fields about the connection",
            "keep-alive: timeout=5\r\nproxy-connection: keep-alive"),
        nothing("credentials for a proxy", "proxy-authorization: Basic eA=="),
        nothing("a certificate that was not shown", "x-forwarded-client-cert: Hash=x"),
        nothing("codings that are not asked for", "te: gzip, deflate;q=0.5"),
        nothing("settings of HTTP/2", "http2-settings: AAMAAABkAARAAAAAAAIAAAAA"),
        becomes("trailers", get("te: trailers"), get("te: trailers\r\nconnection: te")),
        becomes("trailers among others",
            get("TE: gzip;q=1, Trailers"), get("te: trailers\r\nconnection: te")),
        nothing("Connection names Host", "connection: host"),
        nothing("it names itself", "connection: connection"),
        nothing("it closes", "connection: close").ends(),
        nothing("it closes and does not", "connection: keep-alive, CLOSE").ends(),
        becomes(
            "it names the length",
            post("connection: content-length\r\ncontent-length: 3", "abc"),
            post("content-length: 3", "abc"),
        ),
        becomes(
            "it names the coding",
            post("connection: transfer-encoding\r\ntransfer-encoding: chunked",
                "3\r\nabc\r\n0\r\n\r\n"),
            post("transfer-encoding: chunked", "3\r\nabc\r\n0\r\n\r\n"),
        ),
        protected("it names credentials", "authorization: Bearer x"),
        protected("it names cookies", "cookie: a=b"),
        protected("it names what a proxy said of the address", "x-real-ip: 1.2.3.4"),
        protected("it names the client's address", "x-client-ip: 1.2.3.4"),
        protected("it names the true client's address", "true-client-ip: 1.2.3.4"),
        protected("it names a cloud's client address", "cf-connecting-ip: 1.2.3.4"),
        protected("it names a host that was forwarded", "x-forwarded-host: b"),
        protected("it names Forwarded", "forwarded: for=1.2.3.4"),
        protected("it names a user", "x-auth-request-user: me"),
        protected("it names a key", "x-api-key: secret"),
        protected("it names a rewritten path", "x-original-url: /admin"),
        protected("it names the content's type", "content-type: text/plain"),
        protected("it names a trace",
            "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        protected("it names a trace in one field", "b3: 1-1-1"),
        protected("it names baggage", "baggage: a=b"),
        protected("it names Via", "via: 1.1 a"),
        protected("it names Origin", "origin: http://a"),
        protected("it names a range", "range: bytes=0-1"),
        protected("it names a condition", "if-match: *"),
        refused("an option that is no token", get("connection: a b"), 400, "connection_option"),
        refused("an option in quotes", get("connection: \"close\""), 400, "connection_option"),
        refused("33 options",
            get(format!("connection: {}", vec!["a"; 33].join(","))), 400, "connection_option"),
        refused(
            "33 options in as many fields",
            get(vec!["connection: a"; 33].join("\r\n")),
            400,
            "connection_option",
        ),
    ]
}

/// Nothing is upgraded that this proxy does not speak: the request goes on as what it is.
#[rustfmt::skip]
fn upgrades() -> Vec<Case> {
    let h2c = "connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk";
    vec![
        becomes("an upgrade to HTTP/2", get(h2c), get_nothing()),
        becomes("an upgrade without Connection", get("upgrade: h2c"), get_nothing()),
        becomes(
            "an upgrade to HTTP/2 with a body",
            post(format!("{h2c}\r\ncontent-length: 3"), "abc"),
            post("content-length: 3", "abc"),
        ),
    ]
}

#[rustfmt::skip]
fn expectations() -> Vec<Case> {
    let expected = |name, value: &str| {
        let bytes = post(format!("expect: {value}\r\ncontent-length: 3"), "abc");
        refused(name, bytes, 417, "expectation")
    };
    vec![
        same("a body that was not held back",
            post("expect: 100-continue\r\ncontent-length: 3", "abc")),
        becomes(
            "the same in other case",
            post("EXPECT: 100-Continue\r\ncontent-length: 3", "abc"),
            post("expect: 100-continue\r\ncontent-length: 3", "abc"),
        ),
        becomes("no body to hold back", get("expect: 100-continue"), get_nothing()),
        becomes(
            "an empty body to hold back",
            post("expect: 100-continue\r\ncontent-length: 0", ""),
            post("content-length: 0", ""),
        ),
        becomes(
            "the same twice",
            post("expect: 100-continue\r\nexpect: 100-continue\r\ncontent-length: 3", "abc"),
            post("expect: 100-continue\r\ncontent-length: 3", "abc"),
        ),
        expected("another expectation", "the-worst"),
        expected("two expectations", "100-continue, the-worst"),
        expected("an expectation with parameters", "100-continue;a=b"),
        expected("an expectation with a prefix", "x100-continue"),
        expected("no expectation", ""),
        expected("another status", "200-ok"),
    ]
}

fn get_nothing() -> &'static str {
    "GET / HTTP/1.1\r\nhost: a\r\n\r\n"
}
