//! The grammar of chunked bodies.

use super::case::{Case, becomes, chunked, post, refused, same};

const ABC: &str = "3\r\nabc\r\n0\r\n\r\n";

pub(crate) fn all() -> Vec<Case> {
    [sizes(), extensions(), ends(), trailers()]
        .into_iter()
        .flatten()
        .collect()
}

#[rustfmt::skip]
fn sizes() -> Vec<Case> {
    let ten = || chunked("a\r\n0123456789\r\n0\r\n\r\n");
    let bad = |name, size: &str| {
        refused(name, chunked(format!("{size}\r\nabc\r\n0\r\n\r\n")), 400, "chunk_size")
    };
    vec![
        same("nothing", chunked("0\r\n\r\n")),
        same("one chunk", ten()),
        becomes("an upper case digit", chunked("A\r\n0123456789\r\n0\r\n\r\n"), ten()),
        becomes("leading zeros", chunked("0000a\r\n0123456789\r\n000\r\n\r\n"), ten()),
        becomes("16 digits", chunked("000000000000000a\r\n0123456789\r\n0\r\n\r\n"), ten()),
        becomes("chunks", chunked("1\r\n0\r\n2\r\n12\r\n7\r\n3456789\r\n0\r\n\r\n"), ten()),
        same("line ends in a chunk", chunked("8\r\n\r\n0\r\n\r\na\r\n0\r\n\r\n")),
        bad("no size", ""),
        bad("no number", "xyz"),
        bad("a number and more", "3x"),
        bad("a negative number", "-3"),
        bad("a sign", "+3"),
        bad("a prefix", "0x3"),
        bad("a prefix for octal", "0o3"),
        bad("an underscore", "0_3"),
        bad("a letter behind the digits", "3g"),
        bad("a space before", " 3"),
        bad("a space behind", "3 "),
        bad("a tab behind", "3\t"),
        bad("spaces before an extension", "3 ;a"),
        bad("two numbers", "3 3"),
        bad("a comma", "3,0"),
        bad("a point", "3.0"),
        bad("NUL", "3\0"),
        bad("NUL before", "\x003"),
        bad("17 digits", "00000000000000003"),
        bad("2^64 + 3", "10000000000000003"),
        bad("other digits", "\u{ff13}"),
        bad("quotes", "\"3\""),
        bad("an empty line before", "\r\n3"),
    ]
}

#[rustfmt::skip]
fn extensions() -> Vec<Case> {
    let extended = |extension: &str| chunked(format!("3;{extension}\r\nabc\r\n0\r\n\r\n"));
    let passes = |name, extension: &str| becomes(name, extended(extension), chunked(ABC));
    let bad = |name, extension: &str| refused(name, extended(extension), 400, "chunk_extension");
    let line_end = |name, extension: &str| refused(name, extended(extension), 400, "bare_line_end");
    let long = |length: usize| format!("a={}", "b".repeat(length - 2));
    let one = format!("1;{}\r\nx\r\n", long(256));
    let many = |count: usize| format!("{}0\r\n\r\n", one.repeat(count));
    vec![
        passes("an extension", "a=b"),
        passes("a name", "a"),
        passes("nothing", ""),
        passes("quotes", "a=\"b;c\""),
        passes("several", "a=b;c=d;;e"),
        passes("spaces", " a = b "),
        passes("what looks like a chunk", "0"),
        passes("the longest", &long(256)),
        becomes("one of the last chunk", chunked("3\r\nabc\r\n0;a=b\r\n\r\n"), chunked(ABC)),
        becomes("16 of the longest", chunked(many(16)),
            chunked(format!("10\r\n{}\r\n0\r\n\r\n", "x".repeat(16)))),
        bad("NUL", "a\0b"),
        bad("a control character", "a\x01"),
        bad("DEL", "a\x7f"),
        bad("UTF-8", "\u{e4}"),
        line_end("a bare LF", "a\nb"),
        line_end("a bare LF and a chunk", "\n0\r\n\r\nGET /evil HTTP/1.1"),
        line_end("a bare CR", "a\rb"),
        line_end("CR CR LF", "a\r"),
        line_end("a quoted bare LF", "a=\"\n\""),
        refused("one byte more", extended(&long(257)), 400, "chunk_extension_too_long"),
        refused("64 KiB", extended(&long(1 << 16)), 400, "chunk_extension_too_long"),
        refused("17 of the longest", chunked(many(17)), 400, "chunk_extension_too_long"),
        refused("a quoted CRLF", extended("a=\"\r\n\""), 400, "chunk_end"),
    ]
}

#[rustfmt::skip]
fn ends() -> Vec<Case> {
    let line_end = |name, body: &str| refused(name, chunked(body), 400, "bare_line_end");
    let end = |name, body: &str| refused(name, chunked(body), 400, "chunk_end");
    vec![
        line_end("LF behind a size", "3\nabc\r\n0\r\n\r\n"),
        line_end("CR behind a size", "3\rabc\r\n0\r\n\r\n"),
        line_end("CR CR LF behind a size", "3\r\r\nabc\r\n0\r\n\r\n"),
        line_end("LF behind a chunk", "3\r\nabc\n0\r\n\r\n"),
        line_end("CR behind a chunk", "3\r\nabc\r0\r\n\r\n"),
        line_end("LF everywhere", "3\nabc\n0\n\n"),
        line_end("LF behind the last chunk", "3\r\nabc\r\n0\n\r\n"),
        line_end("CR behind the last chunk", "3\r\nabc\r\n0\r\r\n"),
        line_end("LF at the end", "3\r\nabc\r\n0\r\n\n"),
        line_end("CR at the end", "3\r\nabc\r\n0\r\n\rX\n"),
        end("a longer chunk than was said", "3\r\nabcd\r\n0\r\n\r\n"),
        end("two bytes instead of a line end", "3\r\nabcXX0\r\n\r\n"),
        end("no line end", "3\r\nabc0\r\n\r\n"),
        end("a space behind a chunk", "3\r\nabc \r\n0\r\n\r\n"),
        end("NUL behind a chunk", "3\r\nabc\0\r\n0\r\n\r\n"),
        refused("a shorter chunk than was said",
            chunked("7\r\nabc\r\n0\r\n\r\n"), 400, "bare_line_end"),
        refused("an empty line between chunks",
            chunked("3\r\nabc\r\n\r\n0\r\n\r\n"), 400, "chunk_size"),
    ]
}

/// Those that a head would be another for are left out.
#[rustfmt::skip]
fn trailers() -> Vec<Case> {
    let trailer = |lines: &str| chunked(format!("3\r\nabc\r\n0\r\n{lines}\r\n\r\n"));
    let bad = |name, lines: &str| refused(name, trailer(lines), 400, "trailer");
    let dropped = |name, line: &str| {
        becomes(name, trailer(&format!("x: 1\r\n{line}\r\ny: 2")), trailer("x: 1\r\ny: 2"))
    };
    let long = "a".repeat(9000);
    vec![
        same("a trailer", trailer("x-sum: 1")),
        same("trailers that were announced", post("trailer: x\r\ntransfer-encoding: chunked",
            "3\r\nabc\r\n0\r\nx: 1\r\n\r\n")),
        same("the status of gRPC", trailer("grpc-status: 0\r\ngrpc-message: fine")),
        becomes("white space around a value", trailer("x:\t1 \t"), trailer("x: 1")),
        dropped("a length", "content-length: 5"),
        dropped("a coding", "transfer-encoding: chunked"),
        dropped("a Host", "host: b"),
        dropped("Connection", "Connection: close"),
        dropped("credentials", "AUTHORIZATION: Bearer x"),
        dropped("a cookie", "cookie: a=b"),
        dropped("a type", "content-type: text/html"),
        dropped("an address", "x-forwarded-for: 1.2.3.4"),
        dropped("what a proxy says of the client", "X-Real-IP: 1.2.3.4"),
        dropped("who the client is", "x-auth-request-user: admin"),
        dropped("an upgrade", "upgrade: h2c"),
        dropped("a trailer", "trailer: x"),
        dropped("a condition", "if-match: *"),
        dropped("a range", "range: bytes=0-1"),
        dropped("what the proxy says", "x-envoy-original-path: /b"),
        bad("no colon", "x"),
        bad("a space before the colon", "x : 1"),
        bad("a folded line", "x: 1\r\n y"),
        bad("a space before the first", " x: 1"),
        bad("no name", ": 1"),
        bad("a separator in a name", "x(y): 1"),
        bad("a control character in a value", "x: a\x01"),
        bad("NUL in a value", "x: a\0"),
        bad("a request", "GET /evil HTTP/1.1\r\nhost: a"),
        refused("a bare LF", trailer("x: 1\nGET /evil HTTP/1.1"), 400, "bare_line_end"),
        refused("a bare CR", trailer("x: 1\ry: 2"), 400, "bare_line_end"),
        refused("too long", trailer(&format!("x: {long}")), 431, "trailers_too_large"),
        refused("too many", trailer(&vec!["x: 1"; 2000].join("\r\n")), 431, "trailers_too_large"),
        refused("too many that are dropped", trailer(&vec!["te: 1"; 2000].join("\r\n")),
            431, "trailers_too_large"),
    ]
}
