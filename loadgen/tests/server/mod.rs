//! A server that answers as it is told, one thread for each connection.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::{
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

/// Counts of what the server saw.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    connections: Arc<AtomicU64>,
    requests: Arc<AtomicU64>,
}

impl Seen {
    pub(crate) fn connections(&self) -> u64 {
        self.connections.load(Ordering::SeqCst)
    }

    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Ordering::SeqCst)
    }
}

/// What to do after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    Keep,
    Close,
}

/// Serves on a free port until the process ends. `answer` is told the number of the request and its
/// request line, and writes the answer.
pub(crate) fn start(
    answer: impl Fn(u64, &str, &mut TcpStream) -> Then + Send + Sync + 'static,
) -> (SocketAddr, Seen) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let seen = Seen::default();
    let counts = seen.clone();
    let answer = Arc::new(answer);
    thread::spawn(move || {
        for stream in listener.incoming() {
            counts.connections.fetch_add(1, Ordering::SeqCst);
            let (counts, answer) = (counts.clone(), Arc::clone(&answer));
            thread::spawn(move || converse(stream.unwrap(), &counts, &*answer));
        }
    });
    (address, seen)
}

/// Answers every request with `text` and keeps the connection.
pub(crate) fn always(text: &'static str) -> (SocketAddr, Seen) {
    start(move |_, _, stream| {
        stream.write_all(text.as_bytes()).unwrap();
        Then::Keep
    })
}

fn converse(
    mut stream: TcpStream,
    counts: &Seen,
    answer: &dyn Fn(u64, &str, &mut TcpStream) -> Then,
) {
    stream.set_nodelay(true).unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    loop {
        let mut request_line = String::new();
        // A reset is an end, too.
        if reader.read_line(&mut request_line).unwrap_or(0) == 0 {
            return;
        }
        let mut line = String::new();
        while line != "\r\n" {
            line.clear();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
        }
        let number = counts.requests.fetch_add(1, Ordering::SeqCst);
        if answer(number, request_line.trim_end(), &mut stream) == Then::Close {
            return;
        }
    }
}
