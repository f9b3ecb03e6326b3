//! Keep-alive clients that never pause, to see whether a single request is lost.

use std::{
    io::ErrorKind,
    net::{SocketAddr, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
};

use crate::{
    message::{Message, Wire},
    wait,
};

/// Running clients.
pub struct Load {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    answered: AtomicU64,
    closes: AtomicU64,
    refused: AtomicU64,
    failures: Mutex<Vec<String>>,
}

/// What came of it.
#[derive(Debug)]
pub struct Report {
    /// Requests with a whole and right answer.
    pub answered: u64,
    /// Answers that said `connection: close`.
    pub closes: u64,
    /// Clients that ended because nobody listened any more.
    pub refused: u64,
    /// What went wrong, for each request that was lost.
    pub failures: Vec<String>,
}

impl Load {
    /// Starts so many clients that send `GET path`. An answer is right if `check` says so.
    pub fn start(
        address: SocketAddr,
        clients: usize,
        path: &str,
        check: impl Fn(&Message) -> bool + Send + Sync + 'static,
    ) -> Self {
        let shared = Arc::new(Shared::default());
        let check = Arc::new(check);
        let request = format!("GET {path} HTTP/1.1\r\nhost: example.test\r\n\r\n");
        let threads = (0..clients).map(|_| {
            let (shared, check, request) =
                (Arc::clone(&shared), Arc::clone(&check), request.clone());
            thread::spawn(move || run(&shared, address, &request, &*check))
        });
        Self {
            threads: threads.collect(),
            shared,
        }
    }

    /// Answers so far.
    pub fn answered(&self) -> u64 {
        self.shared.answered.load(Ordering::Relaxed)
    }

    /// Waits for so many answers more.
    pub fn wait_for(&self, more: u64) {
        let goal = self.answered() + more;
        wait::until(format!("{goal} answers"), || match self.answered() {
            answered if answered >= goal => Ok(()),
            answered => Err(format!(
                "{answered}, {:?}",
                self.shared.failures.lock().unwrap()
            )),
        });
    }

    /// Lets requests under way end.
    pub fn stop(self) -> Report {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.join()
    }

    /// Waits until every client was refused a connection: the proxy has ended.
    pub fn join(self) -> Report {
        for thread in self.threads {
            thread.join().expect("a client does not panic");
        }
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Report {
            answered: count(&self.shared.answered),
            closes: count(&self.shared.closes),
            refused: count(&self.shared.refused),
            failures: self.shared.failures.lock().unwrap().clone(),
        }
    }
}

fn run(shared: &Shared, address: SocketAddr, request: &str, check: &dyn Fn(&Message) -> bool) {
    let fail = |what: String| shared.failures.lock().unwrap().push(what);
    while !shared.stop.load(Ordering::Relaxed) {
        let mut wire = match TcpStream::connect(address) {
            Ok(stream) => Wire::new(stream),
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                shared.refused.fetch_add(1, Ordering::Relaxed);
                return;
            }
            Err(error) => return fail(format!("connect: {error}")),
        };
        let mut count = 0_u64;
        loop {
            let answer = match wire.send(request) {
                Ok(()) => wire.response("GET"),
                Err(error) => return fail(format!("send of request {count}: {error}")),
            };
            let answer = match answer {
                Ok(answer) => answer,
                Err(broken) => return fail(format!("answer to request {count}: {broken}")),
            };
            if !check(&answer) {
                return fail(format!("wrong answer to request {count}: {answer:?}"));
            }
            count += 1;
            shared.answered.fetch_add(1, Ordering::Relaxed);
            if answer.closes() {
                shared.closes.fetch_add(1, Ordering::Relaxed);
                break;
            }
            if shared.stop.load(Ordering::Relaxed) {
                break;
            }
        }
    }
}
