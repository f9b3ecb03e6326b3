//! What an origin answers, and what the client gets.

/// Bytes of an origin, and what is to come of them.
pub(crate) struct Answer {
    /// For whoever reads that it failed.
    pub(crate) name: &'static str,
    /// The method that is answered.
    pub(crate) method: &'static str,
    /// What the origin sends, at once.
    pub(crate) bytes: Vec<u8>,
    /// It then closes the connection, which is kept open otherwise.
    pub(crate) ends: bool,
    /// What the client gets.
    pub(crate) outcome: Got,
    /// The origin's connection carries the next request too.
    pub(crate) is_reused: bool,
}

/// What a client gets.
pub(crate) enum Got {
    /// An answer of the proxy's own.
    Local(u16),
    /// These bytes, apart from how long it took and when. Its connection stays open.
    Bytes(Vec<u8>),
    /// An answer that is not whole, and the end of the connection. It begins with these bytes,
    /// unless nothing of it had gone when the mistake was seen: then it is the proxy's own 502.
    Cut(Vec<u8>),
}

impl Answer {
    fn of(name: &'static str, bytes: impl Into<Vec<u8>>, outcome: Got) -> Self {
        Self {
            name,
            method: "GET",
            bytes: bytes.into(),
            ends: false,
            outcome,
            is_reused: false,
        }
    }

    fn to(mut self, method: &'static str) -> Self {
        self.method = method;
        self
    }

    fn then_ends(mut self) -> Self {
        self.ends = true;
        self
    }

    fn reused(mut self) -> Self {
        self.is_reused = true;
        self
    }
}

pub(crate) fn all() -> Vec<Answer> {
    [
        status_lines(),
        fields(),
        framing(),
        chunks(),
        behind(),
        interim(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// It is no answer: the client is told so.
fn bad(name: &'static str, bytes: impl Into<Vec<u8>>) -> Answer {
    Answer::of(name, bytes, Got::Local(502))
}

fn becomes(name: &'static str, bytes: impl Into<Vec<u8>>, got: impl Into<Vec<u8>>) -> Answer {
    Answer::of(name, bytes, Got::Bytes(got.into()))
}

fn same(name: &'static str, bytes: impl Into<Vec<u8>>) -> Answer {
    let bytes = bytes.into();
    becomes(name, bytes.clone(), bytes).reused()
}

/// A whole answer: these field lines, and a body.
fn ok(fields: &str, body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\n{body}")
}

fn line(line: &str) -> String {
    format!("{line}\r\ncontent-length: 2\r\n\r\nok")
}

fn chunked(body: &str) -> String {
    ok("transfer-encoding: chunked", body)
}

#[rustfmt::skip]
fn status_lines() -> Vec<Answer> {
    vec![
        same("an answer", line("HTTP/1.1 200 OK")),
        same("a status of its own", line("HTTP/1.1 299 Nearly")),
        same("an empty reason", line("HTTP/1.1 200 ")),
        same("a reason that is not ASCII", line("HTTP/1.1 200 \u{fc}ber")),
        becomes("no reason", line("HTTP/1.1 200"), line("HTTP/1.1 200 ")).reused(),
        becomes("HTTP/1.0", line("HTTP/1.0 200 OK"), line("HTTP/1.1 200 OK")),
        bad("HTTP/2.0", line("HTTP/2.0 200 OK")),
        bad("HTTP/1.2", line("HTTP/1.2 200 OK")),
        bad("HTTP/0.9", "ok\r\n"),
        bad("lower case", line("http/1.1 200 OK")),
        bad("another protocol", line("ICY 200 OK")),
        bad("two digits", line("HTTP/1.1 20 OK")),
        bad("four digits", line("HTTP/1.1 2000 OK")),
        bad("no digits", line("HTTP/1.1 OK")),
        bad("a sign", line("HTTP/1.1 +20 OK")),
        bad("a status below 100", line("HTTP/1.1 099 OK")),
        bad("two spaces", line("HTTP/1.1  200 OK")),
        bad("a tab", line("HTTP/1.1\t200 OK")),
        bad("a space before", line(" HTTP/1.1 200 OK")),
        bad("an empty line before", line("\r\nHTTP/1.1 200 OK")),
        bad("a body before", line("okHTTP/1.1 200 OK")),
        bad("a control character in the reason", line("HTTP/1.1 200 \x01")),
        bad("NUL in the reason", line("HTTP/1.1 200 \0")),
        bad("a bare CR in the reason", line("HTTP/1.1 200 OK\rx: 1")),
        bad("a bare LF behind the reason", "HTTP/1.1 200 OK\ncontent-length: 2\r\n\r\nok"),
        bad("a request", "GET / HTTP/1.1\r\nhost: a\r\n\r\n"),
        bad("an endless line", "HTTP/1.1 200 ".to_owned() + &"a".repeat(70_000)),
        bad("protocols switched for no reason", "HTTP/1.1 101 Switching Protocols\r\n\r\n"),
        Answer::of("half a head", "HTTP/1.1 200 OK\r\nx: 1", Got::Local(503)).then_ends(),
        Answer::of("nothing", "", Got::Local(503)).then_ends(),
    ]
}

#[rustfmt::skip]
fn fields() -> Vec<Answer> {
    let field = |name, line: &str| bad(name, ok(&format!("{line}\r\ncontent-length: 2"), "ok"));
    let many = |count| vec!["x: 1"; count].join("\r\n") + "\r\ncontent-length: 2";
    let long = |length| format!("x: {}\r\ncontent-length: 2", "a".repeat(length));
    vec![
        same("fields", ok("X-Y: Z\r\nset-cookie: a\r\nset-cookie: b\r\ncontent-length: 2", "ok")),
        same("as many as may be", ok(&many(99), "ok")),
        same("a long one", ok(&long(50_000), "ok")),
        bad("one more", ok(&many(100), "ok")),
        bad("a longer one", ok(&long(70_000), "ok")),
        becomes(
            "fields about the connection",
            ok("connection: x-secret\r\nx-secret: 1\r\nkeep-alive: a\r\nproxy-connection: b\r\n\
                upgrade: h2c\r\nproxy-authenticate: c\r\ncontent-length: 2", "ok"),
            ok("content-length: 2", "ok"),
        )
        .reused(),
        same(
            "what it demands",
            "HTTP/1.1 426 Up\r\nconnection: upgrade\r\nupgrade: a/1, b\r\n\
             content-length: 0\r\n\r\n",
        ),
        becomes("it closes", ok("connection: close\r\ncontent-length: 2", "ok"),
            ok("content-length: 2", "ok")),
        becomes("white space", ok("x:\t 1 \r\ncontent-length:2", "ok"),
            ok("x: 1\r\ncontent-length: 2", "ok")).reused(),
        field("a bare LF that begins another field", "x: 1\nset-cookie: a=b"),
        field("a bare LF that begins another answer", "x: 1\n\nHTTP/1.1 200 OK"),
        field("a bare CR", "x: 1\rset-cookie: a=b"),
        field("NUL", "x: a\0b"),
        field("a control character", "x: a\x01b"),
        field("a folded line", "x: 1\r\n 2"),
        field("a space before the first", " x: 1"),
        field("a space before the colon", "x : 1"),
        field("no colon", "x"),
        field("no name", ": 1"),
        field("a separator in a name", "x(y): 1"),
        field("an option that is no token", "connection: a b"),
    ]
}

#[rustfmt::skip]
fn framing() -> Vec<Answer> {
    let length = |name, value: &str| bad(name, ok(&format!("content-length: {value}"), "ok"));
    let coding = |name, value: &str| {
        bad(name, ok(&format!("transfer-encoding: {value}"), "2\r\nok\r\n0\r\n\r\n"))
    };
    let seen = || ok("content-length: 2", "ok");
    vec![
        same("chunks", chunked("2\r\nok\r\n0\r\n\r\n")),
        same("nothing", ok("content-length: 0", "")),
        becomes("a length twice", ok("content-length: 2\r\ncontent-length: 2", "ok"), seen())
            .reused(),
        becomes("a list of lengths", ok("content-length: 2, 2", "ok"), seen()).reused(),
        becomes("leading zeros", ok("content-length: 002", "ok"), seen()).reused(),
        becomes("no length", ok("x: 1", "ok"),
            ok("x: 1\r\ntransfer-encoding: chunked", "2\r\nok\r\n0\r\n\r\n")).then_ends(),
        becomes("no length in HTTP/1.0", "HTTP/1.0 200 OK\r\n\r\nok",
            chunked("2\r\nok\r\n0\r\n\r\n")).then_ends(),
        bad("both", ok("content-length: 2\r\ntransfer-encoding: chunked", "2\r\nok\r\n0\r\n\r\n")),
        bad("both, the other way", ok("transfer-encoding: chunked\r\ncontent-length: 2", "ok")),
        bad("chunks in HTTP/1.0", "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
        length("two lengths", "2\r\ncontent-length: 3"),
        length("a list of two lengths", "2, 3"),
        length("an empty length", ""),
        length("a sign", "+2"),
        length("a negative length", "-2"),
        length("a hexadecimal length", "0x2"),
        length("a length that does not fit", "18446744073709551618"),
        length("a length and more", "2 2"),
        coding("another coding", "gzip"),
        coding("two codings", "gzip, chunked"),
        coding("chunked twice", "chunked, chunked"),
        coding("chunked not last", "chunked, gzip"),
        coding("identity", "identity"),
        coding("an unknown coding", "xchunked"),
        coding("parameters", "chunked;a"),
        coding("no coding", ""),
        coding("a vertical tab", "\x0bchunked"),
    ]
}

#[rustfmt::skip]
fn chunks() -> Vec<Answer> {
    let cut = |name, body: &str| {
        let begin = "2\r\nok\r\n";
        Answer::of(name, chunked(&format!("{begin}{body}")), Got::Cut(chunked("").into()))
    };
    let passes = |name, body: &str, got: &str| becomes(name, chunked(body), chunked(got)).reused();
    let end = "2\r\nok\r\n0\r\n\r\n";
    vec![
        passes("extensions", "2;a=b\r\nok\r\n0;c\r\n\r\n", end),
        passes("leading zeros", "0002\r\nok\r\n00\r\n\r\n", end),
        passes("trailers", "2\r\nok\r\n0\r\nx: 1\r\n\r\n", "2\r\nok\r\n0\r\nx: 1\r\n\r\n"),
        passes("trailers that are no trailers", "2\r\nok\r\n0\r\ncontent-length: 9\r\n\
            set-cookie: a\r\ntransfer-encoding: x\r\nx: 1\r\n\r\n", "2\r\nok\r\n0\r\nx: 1\r\n\r\n"),
        cut("no number", "x\r\n"),
        cut("no size", "\r\n"),
        cut("a negative size", "-1\r\n"),
        cut("17 digits", "00000000000000001\r\na\r\n0\r\n\r\n"),
        cut("a space behind the size", "1 \r\na\r\n0\r\n\r\n"),
        cut("a bare LF", "1\na\r\n0\r\n\r\n"),
        cut("a longer chunk than was said", "1\r\nab\r\n0\r\n\r\n"),
        cut("LF behind a chunk", "1\r\na\n0\r\n\r\n"),
        cut("a control character in an extension", "1;\x01\r\na\r\n0\r\n\r\n"),
        cut("LF in an extension", "1;a\nb\r\na\r\n0\r\n\r\n"),
        cut("an extension without end", &format!("1;{}", "a".repeat(300))),
        cut("an answer among the trailers", "0\r\nHTTP/1.1 200 OK\r\n\r\n"),
        cut("LF in a trailer", "0\r\nx: 1\ny: 2\r\n\r\n"),
        cut("a folded trailer", "0\r\nx: 1\r\n y\r\n\r\n"),
        cut("trailers without end", &format!("0\r\nx: {}", "a".repeat(9000))),
        cut("the end in a chunk", "5\r\nab").then_ends(),
        cut("the end behind a chunk", "2\r\nab\r\n").then_ends(),
        cut("the end in the last chunk", "0\r\n").then_ends(),
        Answer::of("the end in a body", ok("content-length: 5", "ok"),
            Got::Cut(ok("content-length: 5", "").into())).then_ends(),
    ]
}

/// What was not asked for is nobody's, and the connection it came on is not used again.
#[rustfmt::skip]
fn behind() -> Vec<Answer> {
    let evil = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil";
    let followed = |name, answer: String| becomes(name, answer.clone() + evil, answer);
    vec![
        followed("an answer behind a body", ok("content-length: 2", "ok")),
        followed("an answer behind chunks", chunked("2\r\nok\r\n0\r\n\r\n")),
        followed("an answer behind nothing", ok("content-length: 0", "")),
        followed("an answer behind the answer to HEAD", ok("content-length: 4", "")).to("HEAD"),
        followed("an answer behind chunks of no body", chunked("")).to("HEAD"),
        followed("an answer behind 204", "HTTP/1.1 204 No Content\r\n\r\n".to_owned()),
        followed("an answer behind 304", "HTTP/1.1 304 Not Modified\r\n\r\n".to_owned()),
        becomes("a body longer than was said", ok("content-length: 2", "okay"),
            ok("content-length: 2", "ok")),
        becomes("a body of 204", "HTTP/1.1 204 No Content\r\ncontent-length: 4\r\n\r\nevil",
            "HTTP/1.1 204 No Content\r\n\r\n"),
        becomes("chunks of 204", "HTTP/1.1 204 No Content\r\ntransfer-encoding: chunked\r\n\r\n",
            "HTTP/1.1 204 No Content\r\n\r\n"),
        becomes("a body of 204 that does not come",
            "HTTP/1.1 204 No Content\r\ncontent-length: 4\r\n\r\n", "HTTP/1.1 204 No Content\r\n\r\n"),
        becomes("no body of 204, which says so",
            "HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n", "HTTP/1.1 204 No Content\r\n\r\n").reused(),
        same("a length of 304", "HTTP/1.1 304 Not Modified\r\ncontent-length: 4\r\n\r\n"),
        same("a length for HEAD", ok("content-length: 4", "")).to("HEAD"),
        becomes("a body of 304", "HTTP/1.1 304 Not Modified\r\ncontent-length: 4\r\n\r\nevil",
            "HTTP/1.1 304 Not Modified\r\ncontent-length: 4\r\n\r\n"),
        becomes("line ends behind a body", ok("content-length: 2", "ok\r\n"),
            ok("content-length: 2", "ok")),
    ]
}

#[rustfmt::skip]
fn interim() -> Vec<Answer> {
    let hints = |count| vec!["HTTP/1.1 103 Early Hints"; count].join("\r\n\r\n");
    let then = |head: &str| format!("{head}\r\n\r\n{}", ok("content-length: 2", "ok"));
    vec![
        same("hints before it", then("HTTP/1.1 103 Early Hints\r\nlink: </a>")),
        same("several before it", then("HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints")),
        becomes("an interim answer that is framed",
            then("HTTP/1.1 103 Early Hints\r\ncontent-length: 9\r\nconnection: close"),
            then("HTTP/1.1 103 Early Hints")).reused(),
        same("as many as may be", then(&hints(64))),
        bad("one more", then(&hints(65))),
        bad("without end", format!("{}\r\n\r\n", hints(2000))),
        bad("a bad one", then("HTTP/1.1 103 Early Hints\r\n x: 1")),
    ]
}
