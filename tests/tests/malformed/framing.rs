//! Where a body ends: Content-Length, Transfer-Encoding, both, and what is neither.

use super::case::{Case, becomes, chunked, get, post, refused, same};

const ABC: &str = "3\r\nabc\r\n0\r\n\r\n";

pub(crate) fn all() -> Vec<Case> {
    [lengths(), codings(), both(), desyncs()]
        .into_iter()
        .flatten()
        .collect()
}

#[rustfmt::skip]
fn lengths() -> Vec<Case> {
    let length = |value: &str| post(format!("content-length: {value}"), "abc");
    let seen = || length("3");
    let bad = |name, value: &str| refused(name, length(value), 400, "content_length");
    let conflict = |name, fields: &str| {
        refused(name, post(fields, "abcd"), 400, "content_length_conflict")
    };
    vec![
        same("a length", seen()),
        same("a length of nothing", post("content-length: 0", "")),
        becomes("leading zeros", length("0003"), seen()),
        becomes("zeros that are not octal", post("content-length: 010", "0123456789"),
            post("content-length: 10", "0123456789")),
        becomes("spaces and tabs around it", post("Content-Length: \t 3 \t", "abc"), seen()),
        becomes("the same twice", post("content-length: 3\r\nContent-Length: 3", "abc"), seen()),
        becomes("a list of the same", length("3, 3,3"), seen()),
        becomes("the same in other digits", length("3, 03"), seen()),
        becomes("two zeros", post("content-length: 00", ""), post("content-length: 0", "")),
        same("a GET without a body that says so", get("content-length: 0")),
        conflict("two", "content-length: 3\r\ncontent-length: 4"),
        conflict("two, one of nothing", "content-length: 0\r\ncontent-length: 4"),
        conflict("two in different case", "Content-Length: 3\r\nCONTENT-LENGTH: 4"),
        conflict("two apart", "content-length: 3\r\nx: 1\r\ncontent-length: 4"),
        conflict("a list", "content-length: 3, 4"),
        conflict("a list and another", "content-length: 3, 3\r\ncontent-length: 4"),
        bad("no number", ""),
        bad("a sign", "+3"),
        bad("a negative number", "-3"),
        bad("a negative nothing", "-0"),
        bad("a hexadecimal number", "0x3"),
        bad("a hexadecimal digit", "a"),
        bad("an octal number", "0o3"),
        bad("a fraction", "3.0"),
        bad("an exponent", "3e0"),
        bad("two numbers", "3 3"),
        bad("a number in two parts", "1\t0"),
        bad("an underscore", "1_0"),
        bad("a word", "three"),
        bad("quotes", "\"3\""),
        bad("parameters", "3;a=b"),
        bad("a comma behind", "3,"),
        bad("a comma before", ",3"),
        bad("nothing but commas", ",,"),
        bad("a plus among others", "3, +3"),
        bad("2^64", "18446744073709551616"),
        bad("2^64 + 3", "18446744073709551619"),
        bad("far more", "999999999999999999999999999999"),
        bad("other digits", "\u{663}"),
        bad("a non-breaking space", "\u{a0}3"),
        refused("NUL", length("3\0"), 400, "header_value"),
        refused("a vertical tab", length("\x0b3"), 400, "header_value"),
    ]
}

#[rustfmt::skip]
fn codings() -> Vec<Case> {
    let coding = |value: &str| post(format!("transfer-encoding: {value}"), ABC);
    let passes = |name, value: &str| becomes(name, coding(value), chunked(ABC));
    let bad = |name, value: &str| refused(name, coding(value), 400, "transfer_encoding");
    let unknown = |name, value: &str| refused(name, coding(value), 501, "transfer_coding");
    let control = |name, value: &str| refused(name, coding(value), 400, "header_value");
    let fields = |fields: &str| post(fields, ABC);
    vec![
        same("chunks", chunked(ABC)),
        passes("another case", "Chunked"),
        passes("upper case", "CHUNKED"),
        passes("a space behind", "chunked "),
        passes("a tab before", "\tchunked"),
        becomes("a name in other case", fields("TRANSFER-encoding:chunked"), chunked(ABC)),
        bad("nothing", ""),
        bad("a comma", ","),
        bad("a comma before", ", chunked"),
        bad("a comma behind", "chunked,"),
        bad("twice", "chunked, chunked"),
        refused("twice in two fields",
            fields("transfer-encoding: chunked\r\ntransfer-encoding: chunked"),
            400, "transfer_encoding"),
        refused("two fields, one empty", fields("transfer-encoding:\r\ntransfer-encoding: chunked"),
            400, "transfer_encoding"),
        refused("two fields, the last another",
            fields("transfer-encoding: chunked\r\ntransfer-encoding: x"),
            400, "transfer_encoding"),
        bad("not last", "chunked, gzip"),
        bad("not last, and nothing done", "chunked, identity"),
        bad("another one", "gzip"),
        bad("parameters", "chunked;a=b"),
        bad("an empty parameter", "chunked;"),
        bad("quotes", "\"chunked\""),
        bad("single words", "chunked chunked"),
        bad("a slash", "chunked/1"),
        bad("a colon", ": chunked"),
        bad("brackets", "[chunked]"),
        bad("a letter that is not ASCII", "chun\u{212a}ed"),
        bad("a non-breaking space", "\u{a0}chunked"),
        bad("Latin-1", "chunk\u{e9}d"),
        unknown("a prefix", "xchunked"),
        unknown("a suffix", "chunkedx"),
        unknown("a part", "chunke"),
        unknown("single quotes", "'chunked'"),
        unknown("identity", "identity"),
        unknown("identity before", "identity, chunked"),
        unknown("another one before", "gzip, chunked"),
        unknown("an unknown one", "cow"),
        unknown("an unknown one before", "cow, chunked"),
        unknown("an underscore", "chunked_"),
        control("a vertical tab before", "\x0bchunked"),
        control("a form feed before", "\x0cchunked"),
        control("NUL behind", "chunked\0"),
        control("NUL before", "\0chunked"),
        control("a backspace", "chunkedd\x08"),
        control("DEL", "chunked\x7f"),
        refused("a bare CR before", fields("transfer-encoding:\rchunked"), 400, "bare_line_end"),
        refused("a bare CR behind",
            fields("transfer-encoding: chunked\r\r\nx: 1"), 400, "bare_line_end"),
        refused("a bare LF before", fields("transfer-encoding:\nchunked"), 400, "bare_line_end"),
        refused("a space before the colon",
            fields("transfer-encoding : chunked"), 400, "space_before_colon"),
        refused("a folded value", fields("transfer-encoding:\r\n chunked"), 400, "line_folding"),
        refused("a folded line",
            fields("x: 1\r\n transfer-encoding: chunked"), 400, "line_folding"),
        refused("a control character in its name",
            fields("transfer\x01-encoding: chunked"), 400, "header_name"),
    ]
}

/// One of the two hidden from one of two parsers, in all the ways that were published.
#[rustfmt::skip]
fn both() -> Vec<Case> {
    let pair = |name, coding: &str| {
        let fields = format!("content-length: 5\r\n{coding}");
        refused(name, post(fields, "0\r\n\r\nG"), 400, "length_and_transfer_encoding")
    };
    let other = |name, coding: &str, reason| {
        refused(name, post(format!("content-length: 5\r\n{coding}"), "0\r\n\r\nG"), 400, reason)
    };
    vec![
        pair("both", "transfer-encoding: chunked"),
        refused("both, the other way",
            post("transfer-encoding: chunked\r\ncontent-length: 5", "0\r\n\r\nG"),
            400, "length_and_transfer_encoding"),
        pair("both, and a field between", "x: 1\r\nTransfer-Encoding: chunked"),
        pair("the coding twice", "transfer-encoding: chunked\r\ntransfer-encoding: x"),
        pair("the coding in upper case", "TRANSFER-ENCODING: CHUNKED"),
        pair("an unknown coding", "transfer-encoding: xchunked"),
        pair("identity", "transfer-encoding: identity"),
        pair("a coding without chunks", "transfer-encoding: gzip"),
        pair("an empty coding", "transfer-encoding:"),
        pair("a tab", "transfer-encoding:\tchunked"),
        pair("a comma", "transfer-encoding: ,chunked"),
        pair("quotes", "transfer-encoding: \"chunked\""),
        pair("parameters", "transfer-encoding: chunked;a"),
        pair("Connection names the coding",
            "connection: transfer-encoding\r\ntransfer-encoding: chunked"),
        pair("Connection names the length",
            "connection: content-length\r\ntransfer-encoding: chunked"),
        pair("a length of nothing", "content-length: 5\r\ntransfer-encoding: chunked"),
        other("a space before the colon", "transfer-encoding : chunked", "space_before_colon"),
        other("a space before the name", " transfer-encoding: chunked", "line_folding"),
        other("a value on the next line", "transfer-encoding:\r\n chunked", "line_folding"),
        other("a vertical tab", "transfer-encoding:\x0bchunked", "header_value"),
        other("NUL", "transfer-encoding: chunked\0", "header_value"),
        other("NUL in the name", "transfer\0-encoding: chunked", "header_name"),
        other("a bare CR", "x: 1\rtransfer-encoding: chunked", "bare_line_end"),
        other("a bare LF", "x: 1\ntransfer-encoding: chunked", "bare_line_end"),
        other("no colon", "transfer-encoding chunked", "header_name"),
        other("two lengths",
            "content-length: 6\r\ntransfer-encoding: chunked", "content_length_conflict"),
        other("a length that is none",
            "content-length: x\r\ntransfer-encoding: chunked", "content_length"),
        // An underscore makes another name, to which no framing belongs: five bytes, and no more.
        same("an underscore",
            post("transfer_encoding: chunked\r\ncontent-length: 5", "0\r\n\r\n")),
    ]
}

/// Bodies that look like requests.
#[rustfmt::skip]
fn desyncs() -> Vec<Case> {
    let evil = "GET /evil HTTP/1.1\r\nx: y";
    let of = |method: &str, fields: &str, body: &str| {
        format!("{method} / HTTP/1.1\r\nhost: a\r\n{fields}\r\n\r\n{body}")
    };
    let length = format!("content-length: {}", evil.len());
    let chunk = format!("{:x}\r\n{evil}\r\n0\r\n\r\n", evil.len());
    vec![
        same("a body like a request", of("POST", &length, evil)),
        same("a body like a request, of a GET", of("GET", &length, evil)),
        same("a body like a request, of a HEAD", of("HEAD", &length, evil)),
        same("a body like a request, of OPTIONS", of("OPTIONS", &length, evil)),
        same("a body like a request, of DELETE", of("DELETE", &length, evil)),
        same("a body like a request, of TRACE", of("TRACE", &length, evil)),
        same("a chunk like a request", of("POST", "transfer-encoding: chunked", &chunk)),
        same("a chunk like a request, of a GET", of("GET", "transfer-encoding: chunked", &chunk)),
        same("a body like chunks", post("content-length: 13", ABC)),
        becomes(
            "a body that was to be the last",
            of("POST", &format!("connection: close\r\n{length}"), evil),
            of("POST", &length, evil),
        )
        .ends(),
    ]
}
