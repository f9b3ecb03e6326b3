//! The worker threads: started, told, waited for.

use std::{
    sync::{
        Arc,
        mpsc::{Sender, channel},
    },
    thread,
    time::Duration,
};

use ringmain_config::tuning::{Io, Tuning};
use ringmain_core::http1;
use thiserror::Error;
use tokio::{sync::Notify, time::timeout};

use crate::{
    access_log::LogSink,
    configuration::Configuration,
    cpus::{CoreId, Cpus},
    http_policy::HttpPolicy,
    http2,
    inbox::{Command, Inbox},
    io::{
        doorbell::{BellSocket, doorbell},
        ring::{self, Refused, Rung},
    },
    metrics::WorkerParts,
    worker::{Limits, Parts, Worker},
};

/// Why the workers could not be started.
#[derive(Debug, Error)]
pub enum StartError {
    /// No rung of the ladder can be used.
    #[error("no way to do I/O: {}", .0.join("; "))]
    NoRing(Vec<String>),
    /// The system gives no thread or descriptor.
    #[error("cannot start worker {index}: {source}")]
    Thread {
        /// Which.
        index: usize,
        /// The kernel's answer.
        source: std::io::Error,
    },
}

/// The running workers.
pub struct Workers {
    /// In their order.
    pub inboxes: Arc<[Arc<Inbox>]>,
    /// What they run on.
    pub rung: Rung,
    /// Why it is not a better one.
    pub refusals: Vec<String>,
    /// Core of each; `None` for one that is not pinned.
    pub pins: Vec<Option<usize>>,
    threads: Vec<thread::JoinHandle<()>>,
    noticed: Arc<Notify>,
    published: u64,
}

impl Workers {
    /// As many as `metrics`, which has the parts of each; `logs` likewise, or none at all.
    ///
    /// # Errors
    /// When one cannot be started.
    pub fn start(
        tuning: &Tuning,
        metrics: Vec<WorkerParts>,
        logs: Vec<LogSink>,
    ) -> Result<Self, StartError> {
        let count = metrics.len();
        let noticed = Arc::new(Notify::new());
        let mut inboxes = Vec::with_capacity(count);
        let mut bells = Vec::with_capacity(count);
        for index in 0..count {
            let (button, bell) =
                doorbell().map_err(|source| StartError::Thread { index, source })?;
            inboxes.push(Inbox::new(button, Arc::clone(&noticed)));
            bells.push(bell);
        }
        let inboxes: Arc<[_]> = inboxes.into();
        let pins = pins(tuning, count);
        let (started, starts) = channel();
        let mut threads = Vec::with_capacity(count);
        let mut logs = logs.into_iter();
        for (index, (metrics, bell)) in metrics.into_iter().zip(bells).enumerate() {
            let parts = Parts {
                index,
                limits: limits(tuning),
                http: HttpPolicy::of(&tuning.http),
                inboxes: Arc::clone(&inboxes),
                metrics,
                log: logs.next(),
                seed: fastrand::u64(..),
            };
            let thread = Thread {
                parts,
                bell,
                pin: pins[index],
                rungs: rungs(tuning.workers.io),
                entries: tuning.workers.entries,
                started: started.clone(),
                noticed: Arc::clone(&noticed),
            };
            let spawned = thread::Builder::new()
                .name(format!("worker-{index}"))
                .spawn(|| thread.run());
            threads.push(spawned.map_err(|source| StartError::Thread { index, source })?);
        }
        drop(started);
        let (rung, refusals) = first_start(starts.iter().take(count))?;
        let pins = pins
            .into_iter()
            .map(|pin| pin.map(|core| core.id))
            .collect();
        Ok(Self {
            inboxes,
            rung,
            refusals,
            pins,
            threads,
            noticed,
            published: 0,
        })
    }

    /// Makes `snapshot` the one that all workers use, and waits until they do, but not longer than
    /// `patience`. Says which do not use it yet; they will before they look at anything that they
    /// are told later.
    pub async fn publish(
        &mut self,
        configuration: &Arc<Configuration>,
        patience: Duration,
    ) -> Vec<usize> {
        self.published += 1;
        for inbox in &*self.inboxes {
            inbox.publish(self.published, Arc::clone(configuration));
        }
        let adopted = async {
            while !self.have_ended() && !late(&self.inboxes, self.published).is_empty() {
                self.noticed.notified().await;
            }
        };
        // What it leads to is looked at below.
        let _ = timeout(patience, adopted).await;
        late(&self.inboxes, self.published)
    }

    /// Tells each worker something.
    pub fn command(&self, command: impl Fn() -> Command) {
        for (index, inbox) in self.inboxes.iter().enumerate() {
            if inbox.command(command()).is_err() {
                tracing::error!("worker {index} does not keep up with its commands");
            }
        }
    }

    /// Frees the snapshots that no worker uses any more.
    pub fn free_retired(&self) {
        self.inboxes.iter().for_each(|inbox| inbox.free_retired());
    }

    /// At least one worker thread has ended.
    pub fn have_ended(&self) -> bool {
        self.threads.iter().any(thread::JoinHandle::is_finished)
    }

    /// All worker threads have ended.
    pub fn all_ended(&self) -> bool {
        self.threads.iter().all(thread::JoinHandle::is_finished)
    }

    /// Completes when a worker has adopted a snapshot or ended.
    pub async fn noticed(&self) {
        self.noticed.notified().await;
    }
}

/// Workers that do not use the snapshot of this number, or a later one.
fn late(inboxes: &[Arc<Inbox>], number: u64) -> Vec<usize> {
    let inboxes = inboxes.iter().enumerate();
    let late = inboxes.filter(|(_, inbox)| inbox.adopted() < number);
    late.map(|(index, _)| index).collect()
}

/// The rung that a worker reached and why it is not a better one, or why there is none.
type Start = Result<(Rung, Vec<String>), Vec<String>>;

/// What a worker's thread begins with.
struct Thread {
    parts: Parts,
    bell: BellSocket,
    pin: Option<CoreId>,
    rungs: &'static [Rung],
    entries: u32,
    started: Sender<Start>,
    noticed: Arc<Notify>,
}

impl Thread {
    fn run(self) {
        let Self {
            parts,
            bell,
            pin,
            rungs,
            entries,
            started,
            noticed,
        } = self;
        if let Some(core) = pin {
            // A core that is taken away later is the kernel's business; it runs elsewhere then.
            core_affinity::set_for_current(core);
        }
        let report = started.clone();
        let result = ring::run(rungs, entries, move |rung, refusals| {
            let refusals = texts(refusals);
            async move {
                let bell = match bell.hang(rung == Rung::Epoll) {
                    Ok(bell) => bell,
                    Err(error) => return drop(report.send(Err(vec![error.to_string()]))),
                };
                let worker = Worker::new(parts, rung);
                drop(report.send(Ok((rung, refusals))));
                worker.run(bell).await;
            }
        });
        if let Err(refusals) = result {
            drop(started.send(Err(texts(&refusals))));
        }
        // The thread counts as finished a moment after this.
        noticed.notify_one();
    }
}

fn texts(refusals: &[Refused]) -> Vec<String> {
    refusals.iter().map(ToString::to_string).collect()
}

/// The first worker's rung; they all climbed the same ladder.
fn first_start(starts: impl Iterator<Item = Start>) -> Result<(Rung, Vec<String>), StartError> {
    let mut first = None;
    for start in starts {
        let start = start.map_err(StartError::NoRing)?;
        first.get_or_insert(start);
    }
    first.ok_or_else(|| StartError::NoRing(vec!["no worker started".to_owned()]))
}

fn rungs(io: Io) -> &'static [Rung] {
    match io {
        Io::Auto => &Rung::ALL,
        Io::Uring => &Rung::ALL[..3],
        Io::UringCoop => &Rung::ALL[1..3],
        Io::Epoll => &Rung::ALL[3..],
    }
}

fn pins(tuning: &Tuning, count: usize) -> Vec<Option<CoreId>> {
    if !tuning.workers.pin {
        return vec![None; count];
    }
    Cpus::available().pins(count, fastrand::usize(..))
}

fn limits(tuning: &Tuning) -> Limits {
    let limits = &tuning.limits;
    Limits {
        head: http1::Limits {
            head_bytes_max: limits.head_bytes,
            headers_max: limits.headers,
            target_bytes_max: limits.target_bytes,
        },
        request_head_timeout: limits.request_head_timeout,
        protocol_detection_timeout: limits.protocol_detection_timeout,
        tls_handshake_timeout: limits.tls_handshake_timeout,
        idle_timeout: limits.connection_idle_timeout,
        stream_idle_timeout: limits.stream_idle_timeout,
        buffer_bytes: limits.buffer_bytes,
        body_bytes_max: limits.body_bytes,
        replay_bytes: limits.replay_bytes,
        connections_max: limits.downstream_connections,
        upstream_connections_max: limits.upstream_connections,
        mirrors_max: limits.mirrors,
        upstream_idle_max: limits.upstream_idle_connections as usize,
        pipes_max: limits.pipes as usize,
        drain_timeout: limits.drain_timeout,
        http2: http2::Settings::new(limits),
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use tokio::sync::Notify;

    use super::Workers;
    use crate::{
        inbox::Inbox,
        io::{doorbell::doorbell, ring::Rung},
    };

    fn workers(count: usize) -> Workers {
        let noticed = Arc::new(Notify::new());
        let inbox = |_| {
            let (button, _) = doorbell().expect("a socket pair");
            Inbox::new(button, Arc::clone(&noticed))
        };
        Workers {
            inboxes: (0..count).map(inbox).collect(),
            rung: Rung::Epoll,
            refusals: Vec::new(),
            pins: vec![None; count],
            threads: Vec::new(),
            noticed,
            published: 0,
        }
    }

    /// What a worker's thread does with its inbox.
    fn adopt(inbox: &Inbox) -> Option<u64> {
        let (number, _) = inbox.take_configuration()?;
        inbox.set_adopted(number);
        Some(number)
    }

    #[tokio::test]
    async fn a_worker_that_does_not_turn_holds_up_nobody() {
        let mut workers = workers(2);
        let configuration = Arc::default();
        let inboxes = Arc::clone(&workers.inboxes);
        let turning = tokio::spawn({
            let inboxes = Arc::clone(&inboxes);
            async move {
                while inboxes[0].adopted() < 2 {
                    adopt(&inboxes[0]);
                    tokio::task::yield_now().await;
                }
            }
        });
        let patience = Duration::from_millis(20);
        assert_eq!(workers.publish(&configuration, patience).await, [1]);
        assert_eq!(workers.publish(&configuration, patience).await, [1]);
        turning.await.expect("it adopted both");
        assert_eq!(adopt(&inboxes[1]), Some(2), "the newest, once it turns");
        assert_eq!(adopt(&inboxes[1]), None);
        inboxes.iter().for_each(|inbox| inbox.free_retired());
    }

    #[tokio::test]
    async fn publishing_ends_when_the_last_has_adopted() {
        let mut workers = workers(2);
        let configuration = Arc::default();
        let inboxes = Arc::clone(&workers.inboxes);
        let turning = tokio::spawn(async move {
            for inbox in &*inboxes {
                while adopt(inbox).is_none() {
                    tokio::task::yield_now().await;
                }
            }
        });
        let hour = Duration::from_secs(3600);
        assert!(workers.publish(&configuration, hour).await.is_empty());
        turning.await.expect("both adopted");
    }
}
