//! What a row of the tables is made of. Data alone, so that the fuzz targets can begin with it.

/// Bytes that a client sends, and what is to come of them.
pub(crate) struct Case {
    /// For whoever reads that it failed.
    pub(crate) name: &'static str,
    /// What the client sends, at once.
    pub(crate) bytes: Vec<u8>,
    /// What it gets and what the origin sees.
    pub(crate) outcome: Outcome,
}

/// What is to come of a request.
pub(crate) enum Outcome {
    /// An answer of this status, whose reason is in the log, and the end of the connection. The
    /// origin sees nothing.
    Refused(u16, &'static str),
    /// The origin sees exactly these bytes, apart from what every proxy adds. The connection stays
    /// open.
    Passes(Vec<u8>),
    /// As `Passes`, but the connection ends behind the answer.
    PassesAndEnds(Vec<u8>),
}

impl Case {
    /// It passes, and the connection ends.
    pub(crate) fn ends(mut self) -> Self {
        if let Outcome::Passes(bytes) = self.outcome {
            self.outcome = Outcome::PassesAndEnds(bytes);
        }
        self
    }
}

/// It is refused with this status, for this reason without its `http1.`, or with a `.` in it.
pub(crate) fn refused(
    name: &'static str,
    bytes: impl Into<Vec<u8>>,
    status: u16,
    reason: &'static str,
) -> Case {
    Case {
        name,
        bytes: bytes.into(),
        outcome: Outcome::Refused(status, reason),
    }
}

/// The origin gets something else than was sent.
pub(crate) fn becomes(
    name: &'static str,
    bytes: impl Into<Vec<u8>>,
    seen: impl Into<Vec<u8>>,
) -> Case {
    Case {
        name,
        bytes: bytes.into(),
        outcome: Outcome::Passes(seen.into()),
    }
}

/// The origin gets what was sent, byte for byte.
pub(crate) fn same(name: &'static str, bytes: impl Into<Vec<u8>>) -> Case {
    let bytes = bytes.into();
    becomes(name, bytes.clone(), bytes)
}

/// A head with this first line and a Host.
pub(crate) fn line(line: impl AsRef<[u8]>) -> Vec<u8> {
    [line.as_ref(), b"\r\nhost: a\r\n\r\n"].concat()
}

/// `GET /` with a Host and then these field lines.
pub(crate) fn get(fields: impl AsRef<[u8]>) -> Vec<u8> {
    let start = b"GET / HTTP/1.1\r\nhost: a\r\n";
    [start, fields.as_ref(), b"\r\n\r\n"].concat()
}

/// `GET` of a target, with a Host.
pub(crate) fn target(target: impl AsRef<[u8]>) -> Vec<u8> {
    line([b"GET ", target.as_ref(), b" HTTP/1.1"].concat())
}

/// `POST /` with a Host, these field lines, and a body.
pub(crate) fn post(fields: impl AsRef<[u8]>, body: impl AsRef<[u8]>) -> Vec<u8> {
    let start = b"POST / HTTP/1.1\r\nhost: a\r\n";
    [start, fields.as_ref(), b"\r\n\r\n", body.as_ref()].concat()
}

/// `POST /` with a body that says it is chunked.
pub(crate) fn chunked(body: impl AsRef<[u8]>) -> Vec<u8> {
    post("transfer-encoding: chunked", body)
}
