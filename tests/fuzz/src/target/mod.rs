//! The list of targets.

mod chunked;
mod document;
mod downgrade;
mod forward;
mod path;
mod request;
mod response;
mod route;

use crate::tables;

/// Something that takes bytes of others.
pub struct Target {
    /// On the command line, and its directory in `corpus/`.
    pub name: &'static str,
    /// What must hold, as a sentence.
    pub promise: &'static str,
    /// Panics when it does not hold. What came of the bytes, in a few words.
    pub run: fn(&[u8]) -> String,
    /// What it begins with besides its corpus.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// What its input is made of.
    pub words: &'static [&'static str],
}

/// Every one.
pub const TARGETS: [Target; 8] = [
    Target {
        name: "request",
        promise: "a request's head is read alike however it is cut, and what is accepted has one \
                  meaning: that of a reader who knows nothing but the RFC",
        run: request::run,
        seeds: tables::requests,
        words: MESSAGE_WORDS,
    },
    Target {
        name: "response",
        promise: "a response's head is read alike however it is cut, and what is accepted has one \
                  meaning: that of a reader who knows nothing but the RFC",
        run: response::run,
        seeds: tables::answers,
        words: MESSAGE_WORDS,
    },
    Target {
        name: "chunked",
        promise: "a chunked body is decoded alike however it is cut, to what its grammar says, and \
                  ends where that does",
        run: chunked::run,
        seeds: tables::bodies,
        words: CHUNK_WORDS,
    },
    Target {
        name: "forward",
        promise: "requests that are forwarded, with any edits and values, are as many at the next \
                  hop, with the same bodies, and no field bound to the connection goes with them",
        run: forward::run,
        seeds: tables::requests,
        words: MESSAGE_WORDS,
    },
    Target {
        name: "downgrade",
        promise: "a head that came over HTTP/2 becomes one head of HTTP/1, with the same fields \
                  and the framing that its stream has, or is refused",
        run: downgrade::run,
        seeds: Vec::new,
        words: DOWNGRADE_WORDS,
    },
    Target {
        name: "route",
        promise: "the compiled table answers as asking every domain and every route in order does",
        run: route::run,
        seeds: Vec::new,
        words: ROUTE_WORDS,
    },
    Target {
        name: "document",
        promise: "frames decode alike however they are cut, and again when they are written again; \
                  what they hold compiles or is refused with problems",
        run: document::run,
        seeds: Vec::new,
        words: DOCUMENT_WORDS,
    },
    Target {
        name: "path",
        promise: "a path is made canonical once and for all, never leads out of its root, and is \
                  the same to whoever decodes it",
        run: path::run,
        seeds: tables::paths,
        words: PATH_WORDS,
    },
];

const MESSAGE_WORDS: &[&str] = &[
    "\r\n",
    "\n",
    "\r",
    "\0",
    "\t",
    " ",
    ":",
    ",",
    ";",
    "\r\n\r\n",
    "\r\n ",
    "GET ",
    "HEAD ",
    "OPTIONS * ",
    "CONNECT ",
    "HTTP/1.1",
    "HTTP/1.0",
    "HTTP/1.1 200 OK\r\n",
    "HTTP/1.1 100 C\r\n",
    "204",
    "304",
    "\r\nhost: a",
    "\r\ncontent-length: 5",
    "\r\ncontent-length: 0",
    "\r\ntransfer-encoding: chunked",
    "\r\nTransfer-Encoding:chunked",
    ", chunked",
    "identity",
    "\r\nconnection: close",
    "\r\nconnection: x",
    "\r\nconnection: keep-alive, x, te",
    "\r\nx: 1",
    "\r\nte: trailers",
    "\r\ntrailer: x",
    "\r\nexpect: 100-continue",
    "\r\nupgrade: h2c",
    "\r\nx-forwarded-for: 1.2.3.4",
    "http://a",
    "/../",
    "%2e",
    "\u{e4}",
    "5\r\nhello\r\n",
    "0\r\n\r\n",
    "18446744073709551615",
    "18446744073709551616",
];

const CHUNK_WORDS: &[&str] = &[
    "\r\n",
    "\n",
    "\r",
    "\0",
    ";",
    ";a=b",
    "=",
    "\"",
    "0",
    "00",
    "f",
    "F",
    "10",
    "0\r\n\r\n",
    "1\r\nx\r\n",
    "ffffffffffffffff",
    "10000000000000000",
    "0\r\nx: 1\r\n",
    "x: 1\r\n",
    "content-length: 5\r\n",
    "host: a\r\n",
    " ",
    "\t",
    "-",
    "+",
    "_",
];

const DOWNGRADE_WORDS: &[&str] = &[
    "GET http a / e",
    "POST https a:80 /a?b -",
    "CONNECT  a:443  -",
    "CONNECT https a / w",
    ":status 200 -",
    ":status 204 e",
    ":status 304 -",
    ":status 103 -",
    ":status 101 -",
    "HEAD ",
    "\n",
    "\r",
    "\0",
    " ",
    "\t",
    ":",
    "\nhost: a",
    "\nhost: b",
    "\ncontent-length: 0",
    "\ncontent-length: 5",
    "\ntransfer-encoding: chunked",
    "\nconnection: close",
    "\nte: trailers",
    "\nte: gzip",
    "\ncookie: a=b",
    "\ncookie: ",
    "\nupgrade: x",
    "\nexpect: 100-continue",
    "\nx: 1",
    "\nsec-websocket-key: x",
    "\ntrailer: x",
    "\u{e4}",
    "*",
    "#",
    "%0d%0a",
    "/a b",
    "me@a",
    "http://b/",
];

const ROUTE_WORDS: &[&str] = &[
    "@a\n",
    "@*\n",
    "@*.a\n",
    "@a.*\n",
    "@a:80\n",
    "= /a\n",
    "^ /a\n",
    "^ /\n",
    "i= /A\n",
    "i^ /A\n",
    "~ /a\n",
    "m GET\n",
    "h x 1\n",
    "h x\n",
    "q y 1\n",
    "\n",
    "? a /a\n",
    "? b.a /a/b\n",
    "? a:80 /A?y=1\n",
    "? A.B /\n",
    "/",
    "a",
    "A",
    "b",
    ".",
    "x: 1",
    "\u{e9}",
];

const DOCUMENT_WORDS: &[&str] = &[
    "RM",
    "\0",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "null",
    "0",
    "-1",
    "1e9",
    "\"\"",
    "\"*\"",
    "true",
    "\"upserts\":",
    "\"removals\":",
    "\"version\":",
    "\"part\":",
    "\"listener\":",
    "\"route_table\":",
    "\"cluster\":",
    "\"endpoint_set\":",
    "\"name\":",
    "\"routes\":",
    "\"match\":",
    "\"path\":",
    "\"exact\":",
    "\"prefix\":",
    "\"regex\":",
    "\"/a\"",
    "\"(a|b)*\"",
    "\"action\":",
    "\"forward\":",
    "\"redirect\":",
    "\"direct\":",
    "\"destinations\":",
    "\"weight\":",
    "4294967295",
    "18446744073709551615",
    "\"timeout\":",
    "\"1s\"",
];

const PATH_WORDS: &[&str] = &[
    "/", "//", ".", "..", "/.", "/..", "/../", "/./", "%2e", "%2E", "%2f", "%5c", "\\", "%", "%25",
    "%2", "%00", "%41", "%7e", ";", "?", "#", "*", "a", "\u{e9}", "%c3%a9",
];
