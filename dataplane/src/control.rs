//! The client of the control plane: connects, says what this proxy holds, receives changes, hands
//! each committed generation to the supervisor and carries its verdict back.
//!
//! Nothing here serves traffic or touches a worker. Whatever the control plane does - gone, slow,
//! restarted, sending rubbish - ends in a line of the log, a wait and another try; the Document in
//! force stays. [`session`] is one connection, [`staging`] turns updates into a Document,
//! [`status`] is what `ringmain status` and the admin endpoints show.

mod lost;
mod session;
mod staging;
mod status;
#[cfg(test)]
mod tests;

use std::{path::PathBuf, sync::Arc, time::Duration};

use ringmain_config::{document::Document, node::Node, problem::Problem};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
    time::Instant,
};

use self::{lost::Announced, session::Pending};
pub use self::{
    lost::Lost,
    status::{Connection, Failed, Refusal, Status},
};
use crate::back_off::{BackOff, jittered};

/// Where the control plane is, who asks, and how patient it is.
#[derive(Clone, Debug)]
pub struct Options {
    /// The control plane's Unix socket.
    pub socket: PathBuf,
    /// Whose proxy this is.
    pub node: Node,
    /// Version of this program.
    pub program: String,
    /// Bounds on memory and time.
    pub limits: Limits,
}

/// Bounds on what one control plane may take from its proxy.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Payload bytes of the updates of one generation. Parsed they take about three times as much.
    pub staging_bytes_max: usize,
    /// Wait before the second try to connect; doubles from there.
    pub reconnect_first: Duration,
    /// The longest wait between two tries.
    pub reconnect_max: Duration,
    /// Wait after a refusal: it takes a human to mend its cause.
    pub refused_retry: Duration,
    /// From connecting to the answer to our hello.
    pub hello_deadline: Duration,
    /// From the first byte of a frame to its last.
    pub frame_deadline: Duration,
    /// From the first update of a generation to its commit.
    pub commit_deadline: Duration,
    /// For writing one frame.
    pub write_deadline: Duration,
}

impl Default for Limits {
    /// 64 MiB staged; tries between 100 ms and 5 s apart, 30 s after a refusal; 10 s for the
    /// greeting and for a write, 30 s for a frame, 60 s for a generation.
    fn default() -> Self {
        Self {
            staging_bytes_max: 64 << 20,
            reconnect_first: Duration::from_millis(100),
            reconnect_max: Duration::from_secs(5),
            refused_retry: Duration::from_secs(30),
            hello_deadline: Duration::from_secs(10),
            frame_deadline: Duration::from_secs(30),
            commit_deadline: Duration::from_secs(60),
            write_deadline: Duration::from_secs(10),
        }
    }
}

/// A generation that the control plane committed. The supervisor answers it with
/// [`Self::applied`] or [`Self::refused`]; until then no other is proposed. Dropped without an
/// answer, it counts as not applied and ends the client: the supervisor is gone.
#[derive(Debug)]
pub struct Proposal {
    /// The whole Document; parts that are unchanged keep the pointer that the held one has.
    pub document: Arc<Document>,
    /// What it took to get it.
    pub receipt: Receipt,
    answer: oneshot::Sender<Verdict>,
}

impl Proposal {
    /// All workers use it: acknowledged to the control plane, and held from now on.
    pub fn applied(self) {
        // A client that has ended needs no answer.
        let _ = self.answer.send(Verdict::Applied);
    }

    /// It cannot be used; what was held before still is.
    pub fn refused(self, problems: Vec<Problem>) {
        let _ = self.answer.send(Verdict::Refused(problems));
    }
}

/// What it took to get a generation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    /// From its first update to its commit, and on to the verdict on the generation before.
    pub receive: Duration,
    /// The part of it that was spent with making messages of bytes.
    pub decode: Duration,
    /// Making the Document.
    pub merge: Duration,
}

#[derive(Debug)]
enum Verdict {
    Applied,
    Refused(Vec<Problem>),
}

/// The running client; dropping it ends it.
#[derive(Debug)]
pub struct Client {
    status: watch::Receiver<Status>,
    task: JoinHandle<()>,
}

impl Client {
    /// Starts on the current tokio runtime, and connects once it is told which Document is in
    /// force: the last good one, or an empty one. The receiver yields one [`Proposal`] at a time.
    pub fn start(
        options: Options,
    ) -> (
        Self,
        mpsc::Receiver<Proposal>,
        oneshot::Sender<Arc<Document>>,
    ) {
        let (proposals, receiver) = mpsc::channel(1);
        let (hold, held) = oneshot::channel();
        let (status, status_receiver) = watch::channel(Status::new(0));
        let back_off = BackOff::new(options.limits.reconnect_first, options.limits.reconnect_max);
        let state = State {
            options,
            held: Arc::default(),
            proposals,
            pending: None,
            back_off,
            announced: Announced::default(),
            status,
        };
        let client = Self {
            status: status_receiver,
            task: tokio::spawn(state.hold_and_run(held)),
        };
        (client, receiver, hold)
    }

    /// What to show of it.
    pub fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// Follows its status: for the admin endpoints, which live longer than a borrow.
    pub fn watch(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What outlives a connection.
struct State {
    options: Options,
    /// What all workers use. A refused generation never gets here.
    held: Arc<Document>,
    proposals: mpsc::Sender<Proposal>,
    /// The generation that the supervisor is looking at, even across connections: the next hello
    /// must say what is held after its verdict.
    pending: Option<Pending>,
    back_off: BackOff,
    announced: Announced,
    status: watch::Sender<Status>,
}

impl State {
    async fn hold_and_run(mut self, held: oneshot::Receiver<Arc<Document>>) {
        // Without a word of it the supervisor is gone.
        let Ok(held) = held.await else { return };
        let generation = held.generation;
        self.held = held;
        self.status
            .send_modify(|status| status.generation = generation);
        self.run().await;
    }

    async fn run(mut self) {
        loop {
            self.status.send_modify(Status::connecting);
            let began = Instant::now();
            let Err(lost) = self.session().await;
            if matches!(lost, Lost::Stopped) || self.settle().await.is_err() {
                return;
            }
            if began.elapsed() >= self.options.limits.reconnect_max {
                self.healthy();
            }
            let wait = match &lost {
                Lost::Refused(_) => jittered(self.options.limits.refused_retry, fastrand::u64(..)),
                _ => self.back_off.wait(fastrand::u64(..)),
            };
            self.announced.lost(&lost);
            self.status.send_modify(|status| status.lost(&lost));
            tokio::time::sleep(wait).await;
        }
    }

    /// The connection has proven itself: tries are quick again, and failures are news again.
    fn healthy(&mut self) {
        self.back_off.reset();
        self.announced.clear();
    }

    /// Waits for the verdict on what an ended connection had proposed.
    async fn settle(&mut self) -> Result<(), Lost> {
        if let Some(mut pending) = self.pending.take() {
            let verdict = (&mut pending.answer).await.map_err(|_| Lost::Stopped)?;
            self.conclude(pending.document, verdict);
        }
        Ok(())
    }

    /// Records a verdict; its problems when it is a refusal.
    fn conclude(&mut self, document: Arc<Document>, verdict: Verdict) -> Option<Vec<Problem>> {
        let generation = document.generation;
        match verdict {
            Verdict::Applied => {
                self.held = document;
                self.healthy();
                self.status.send_modify(|status| status.applied(generation));
                None
            }
            Verdict::Refused(problems) => {
                self.announced.nack(generation, &problems);
                self.status
                    .send_modify(|status| status.refused(generation, &problems));
                Some(problems)
            }
        }
    }
}
