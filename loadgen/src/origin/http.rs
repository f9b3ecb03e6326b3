//! HTTP/1.1, as far as an origin behind a proxy needs it.
//!
//! | path | answer |
//! |---|---|
//! | `/bytes/N` | N bytes, at most a MiB |
//! | `/delay/N` | 100 bytes, after N milliseconds, at most 10 000 |
//! | `/origin/counts` | what was done so far, as JSON; not counted itself |
//! | any other | 100 bytes |
//!
//! Methods make no difference. Bodies have a `content-length`. What cannot be read is answered with
//! 400, and the connection is closed.

use std::{cell::RefCell, collections::HashMap, io, rc::Rc, time::Duration};

use monoio::{
    io::{AsyncReadRent, AsyncWriteRent, AsyncWriteRentExt},
    net::TcpStream,
};

use super::{Counts, add};
use crate::time::Alarm;

/// Room for a request's head; bodies are thrown away in pieces of this size.
const BUFFER_BYTES: usize = 64 << 10;
const HEADERS_MAX: usize = 64;
pub(super) const BYTES_MAX: usize = 1 << 20;
pub(super) const BYTES: usize = 100;
const DELAY_MAX: Duration = Duration::from_secs(10);
/// Answers are kept for ever, so there may not be many.
const SIZES_MAX: usize = 64;

/// Serves one connection until either side closes it.
pub(super) async fn serve(
    stream: TcpStream,
    answers: Rc<Answers>,
    counts: Rc<Counts>,
) -> io::Result<()> {
    add(&counts.connections, 1);
    let served = exchange(stream, &answers, &counts).await;
    add(&counts.closed, 1);
    served
}

async fn exchange(mut stream: TcpStream, answers: &Answers, counts: &Counts) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(BUFFER_BYTES);
    let mut alarm = None;
    loop {
        let request = loop {
            match read_head(&buffer) {
                Ok(Some(request)) => break request,
                Ok(None) if buffer.len() < BUFFER_BYTES => {}
                Ok(None) | Err(NotHttp) => return refuse(stream).await,
            }
            let Some(more) = receive(&mut stream, buffer).await? else {
                return Ok(());
            };
            buffer = more;
        };
        let mut taken = request.head_bytes + request.body_bytes;
        // The body may be longer than the buffer: what is there is thrown away until the rest fits.
        while taken > buffer.len() {
            taken -= buffer.len();
            buffer.clear();
            let Some(more) = receive(&mut stream, buffer).await? else {
                return Ok(());
            };
            buffer = more;
        }
        // Nothing stands behind a request but for one that was sent early.
        if taken == buffer.len() {
            buffer.clear();
        } else {
            buffer.drain(..taken);
        }
        if let Ask::Delay(delay) = request.ask {
            wait(&mut alarm, delay).await?;
        }
        answer(&mut stream, &request, answers, counts).await?;
        if request.closes {
            return stream.shutdown().await;
        }
    }
}

async fn answer(
    stream: &mut TcpStream,
    request: &Request,
    answers: &Answers,
    counts: &Counts,
) -> io::Result<()> {
    let bytes = match request.ask {
        Ask::Counts => {
            let text = response("application/json", &counts.to_json(), request.closes);
            return stream.write_all(text).await.0.map(drop);
        }
        Ask::Bytes(bytes) => bytes,
        Ask::Delay(_) => BYTES,
    };
    add(&counts.requests, 1);
    add(&counts.body_bytes, request.body_bytes);
    let whole = answers.of(bytes, request.closes);
    stream.write_all(whole).await.0.map(drop)
}

/// The runtime has no timers. A connection that is asked to wait makes one and keeps it.
async fn wait(alarm: &mut Option<Alarm>, delay: Duration) -> io::Result<()> {
    let alarm = match alarm {
        Some(alarm) => alarm,
        None => alarm.insert(Alarm::new()?),
    };
    alarm.wait(delay).await
}

async fn refuse(mut stream: TcpStream) -> io::Result<()> {
    let text = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    stream.write_all(&text[..]).await.0?;
    stream.shutdown().await
}

/// Appends what arrives next; `None` at the end.
async fn receive(stream: &mut TcpStream, buffer: Vec<u8>) -> io::Result<Option<Vec<u8>>> {
    use monoio::buf::IoBufMut;
    let filled = buffer.len();
    let (count, rest) = stream.read(buffer.slice_mut(filled..)).await;
    let count = count?;
    Ok((count > 0).then(|| rest.into_inner()))
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    Bytes(usize),
    Delay(Duration),
    Counts,
}

/// A request whose head has arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Request {
    ask: Ask,
    head_bytes: usize,
    body_bytes: usize,
    closes: bool,
}

/// What arrived is no request, or none that this origin serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct NotHttp;

/// `None` until the head is complete.
fn read_head(received: &[u8]) -> Result<Option<Request>, NotHttp> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut head = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(head_bytes) = head.parse(received).map_err(|_| NotHttp)? else {
        return Ok(None);
    };
    let mut body_bytes = 0;
    let mut closes = head.version == Some(0);
    for header in head.headers.iter() {
        // The length of a name tells most of them apart.
        match header.name.len() {
            10 if header.name.eq_ignore_ascii_case("connection") => {
                closes |= header.value.eq_ignore_ascii_case(b"close");
            }
            14 if header.name.eq_ignore_ascii_case("content-length") => {
                let text = str::from_utf8(header.value).map_err(|_| NotHttp)?;
                body_bytes = text.parse().map_err(|_| NotHttp)?;
            }
            17 if header.name.eq_ignore_ascii_case("transfer-encoding") => return Err(NotHttp),
            _ => {}
        }
    }
    Ok(Some(Request {
        ask: ask(head.path.unwrap_or_default()).ok_or(NotHttp)?,
        head_bytes,
        body_bytes,
        closes,
    }))
}

pub(super) fn ask(path: &str) -> Option<Ask> {
    if path == "/origin/counts" {
        return Some(Ask::Counts);
    }
    if let Some(bytes) = path.strip_prefix("/bytes/") {
        let bytes = bytes.parse().ok().filter(|bytes| *bytes <= BYTES_MAX);
        return bytes.map(Ask::Bytes);
    }
    if let Some(millis) = path.strip_prefix("/delay/") {
        let delay = Duration::from_millis(millis.parse().ok()?);
        return (delay <= DELAY_MAX).then_some(Ask::Delay(delay));
    }
    Some(Ask::Bytes(BYTES))
}

/// Whole answers by size, and whether they end the connection.
#[derive(Debug, Default)]
pub(super) struct Answers(RefCell<HashMap<(usize, bool), Whole>>);

type Whole = Rc<Vec<u8>>;

impl Answers {
    fn of(&self, bytes: usize, closes: bool) -> Whole {
        let mut answers = self.0.borrow_mut();
        if let Some(whole) = answers.get(&(bytes, closes)) {
            return Rc::clone(whole);
        }
        let digits = b"0123456789".iter().cycle().take(bytes);
        let body: String = digits.map(|digit| char::from(*digit)).collect();
        let whole = Rc::new(response("text/plain", &body, closes));
        if answers.len() < SIZES_MAX {
            answers.insert((bytes, closes), Rc::clone(&whole));
        }
        whole
    }
}

fn response(kind: &str, body: &str, closes: bool) -> Vec<u8> {
    let connection = if closes { "connection: close\r\n" } else { "" };
    let length = body.len();
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\
         {connection}\r\n{body}"
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads() {
        let check = |text: &str, expected: Result<Option<(Ask, usize, bool)>, NotHttp>| {
            let read = read_head(text.as_bytes());
            let read = read.map(|request| {
                request.map(|request| (request.ask, request.body_bytes, request.closes))
            });
            assert_eq!(read, expected, "{text:?}");
        };
        let small = Ask::Bytes(BYTES);
        check("", Ok(None));
        check("GET / HTTP/1.1\r\nHost: a\r\n", Ok(None));
        check(
            "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            Ok(Some((small, 0, false))),
        );
        check("GET / HTTP/1.0\r\n\r\n", Ok(Some((small, 0, true))));
        check(
            "GET /bytes/1024 HTTP/1.1\r\nConnection: Close\r\n\r\n",
            Ok(Some((Ask::Bytes(1024), 0, true))),
        );
        check(
            "POST /x HTTP/1.1\r\ncontent-length: 7\r\n\r\nabc",
            Ok(Some((small, 7, false))),
        );
        check(
            "GET /delay/3 HTTP/1.1\r\n\r\n",
            Ok(Some((Ask::Delay(Duration::from_millis(3)), 0, false))),
        );
        check(
            "GET /origin/counts HTTP/1.1\r\n\r\n",
            Ok(Some((Ask::Counts, 0, false))),
        );
        for refused in [
            "GET /bytes/x HTTP/1.1\r\n\r\n",
            "GET /bytes/1048577 HTTP/1.1\r\n\r\n",
            "GET /delay/10001 HTTP/1.1\r\n\r\n",
            "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n",
            "POST / HTTP/1.1\r\ncontent-length: x\r\n\r\n",
            "\0",
        ] {
            check(refused, Err(NotHttp));
        }
    }
}
