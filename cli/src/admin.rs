//! Asks a running proxy over its admin endpoint: one HTTP/1.0 GET, which needs no client library.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use serde_json::Value;

use crate::fault::Fault;

/// Where a proxy's admin endpoint listens unless told otherwise.
pub(crate) const DEFAULT_ADDRESS: &str = "127.0.0.1:15000";

const PATIENCE: Duration = Duration::from_secs(10);
/// A dump of a large mesh is a few MiB.
const ANSWER_BYTES_MAX: u64 = 256 << 20;

/// The JSON that the proxy's admin endpoint at `address` answers for `path`.
pub(crate) fn json(address: SocketAddr, path: &str) -> Result<Value, Fault> {
    let answer = get(address, path).map_err(|error| {
        Fault::with(
            format!("no answer from the admin endpoint at {address}: {error}"),
            "is `ringmain proxy` running? `--admin` names another address",
        )
    })?;
    let unexpected = |what: &str| {
        Fault::with(
            format!("http://{address}{path} answered {what}"),
            "is it the admin endpoint of a ringmain proxy of this version?",
        )
    };
    let (status, body) = parse(&answer).ok_or_else(|| unexpected("something that is not HTTP"))?;
    if status != 200 {
        return Err(unexpected(&format!("{status}")));
    }
    serde_json::from_slice(body).map_err(|error| unexpected(&format!("no JSON ({error})")))
}

fn get(address: SocketAddr, path: &str) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    write!(
        stream,
        "GET {path} HTTP/1.0\r\nHost: {address}\r\nAccept: application/json\r\n\r\n"
    )?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer)?;
    Ok(answer)
}

/// Status and body of an answer that ends with its connection.
fn parse(answer: &[u8]) -> Option<(u16, &[u8])> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&answer[..end]).ok()?;
    let status = head.strip_prefix("HTTP/1.")?.get(2..5)?.parse().ok()?;
    Some((status, &answer[end + 4..]))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn answers() {
        for (answer, expected) in [
            ("HTTP/1.0 200 OK\r\na: b\r\n\r\n{}", Some((200, "{}"))),
            ("HTTP/1.1 503 Service Unavailable\r\n\r\n", Some((503, ""))),
            ("HTTP/1.0 200 OK\r\na: b\r\n", None),
            ("HTTP/1.0 2\r\n\r\n", None),
            ("SSH-2.0-x\r\n\r\n", None),
        ] {
            let parsed = parse(answer.as_bytes());
            let expected = expected.map(|(status, body)| (status, body.as_bytes()));
            assert_eq!(parsed, expected, "{answer}");
        }
    }
}
