//! One connection: a tool with a question, or a proxy for as long as it stays.
//!
//! A proxy has at most one generation that it has not answered. What changes meanwhile replaces the
//! Document that it is sent next, so a slow proxy skips generations and never makes a queue grow. A
//! refused generation is sent again after a while, less and less often: what was in its way, a port
//! that another process held, may be gone. Each is cut against what the proxy then still holds.

use std::{sync::Arc, time::Duration};

use ringmain_config::{
    document::Document,
    wire::{Answer, Commit, Hello, MINOR, Message, Query, Refused, Welcome, WireError},
};
use tokio::{
    net::UnixStream,
    sync::{mpsc, oneshot, watch},
    time::Instant,
};

use super::{
    Door, Event, Progress,
    frames::{Frames, FramesError},
    peer::Peer,
    plan::{Holding, plan},
};

/// Serves one accepted connection to its end.
pub(super) async fn serve(stream: UnixStream, door: Arc<Door>, events: mpsc::Sender<Event>) {
    let peer = match Peer::of(&stream) {
        Ok(peer) => peer,
        Err(error) => {
            tracing::warn!(%error, "cannot tell who connected; closed the connection");
            return;
        }
    };
    let mut frames = Frames::new(stream);
    if let Err(reason) = door.allowed.admits(peer, door.own_uid) {
        tracing::warn!(%peer, "refused a connection: {reason}");
        frames.refuse(reason).await;
        return;
    }
    let first = frames.read_within(door.limits.hello).await;
    match first {
        Ok(Message::Hello(hello)) => match check(&hello) {
            Ok(()) => proxy(frames, hello, peer, &door, &events).await,
            Err(reason) => {
                tracing::warn!(%peer, "refused a proxy: {reason}");
                frames.refuse(reason).await;
            }
        },
        Ok(Message::Query(query)) => {
            if let Err(error) = answer(&mut frames, query, &door, &events).await {
                tracing::debug!(%peer, %error, "could not answer a query");
            }
        }
        Ok(_) => {
            let reason = "a connection starts with a hello or a query";
            tracing::warn!(%peer, "refused a connection: {reason}");
            frames.refuse(reason.to_owned()).await;
        }
        // Whoever looks whether the socket is alive does just this.
        Err(FramesError::Closed) => {}
        Err(error) => {
            tracing::warn!(%peer, "closed a connection: {error}");
            if matches!(error, FramesError::Wire(_)) {
                frames.refuse(error.to_string()).await;
            }
        }
    }
}

/// What a node must have to be told apart from others.
fn check(hello: &Hello) -> Result<(), String> {
    let node = &hello.node;
    for (field, value) in [("name", &node.name), ("namespace", &node.namespace)] {
        if value.is_empty() {
            return Err(format!(
                "the proxy's workload has no {field}; set `{field}` under [workload] in its \
                 ringmain.toml"
            ));
        }
        if value.len() > NAME_BYTES_MAX {
            return Err(format!(
                "the {field} of the proxy's workload is longer than {NAME_BYTES_MAX} bytes; \
                 shorten it under [workload] in its ringmain.toml"
            ));
        }
    }
    Ok(())
}

async fn answer(
    frames: &mut Frames,
    query: Query,
    door: &Door,
    events: &mpsc::Sender<Event>,
) -> Result<(), FramesError> {
    let (answer, answered) = oneshot::channel();
    // Only while the control plane stops is there nobody to ask.
    let asked = events.send(Event::Asked { query, answer }).await;
    let (Ok(()), Ok(answered)) = (asked, answered.await) else {
        return Err(FramesError::Closed);
    };
    let message = match answered {
        Ok(body) => Message::Answer(Answer { body }),
        Err(reason) => Message::Refused(Refused { reason }),
    };
    let limit = door.limits.write;
    match frames.write(&message, limit).await {
        Err(FramesError::Wire(WireError::TooLong(bytes))) => {
            let reason = format!("the answer has {bytes} bytes, more than one frame takes");
            let message = Message::Refused(Refused { reason });
            frames.write(&message, limit).await
        }
        written => written,
    }
}

/// Serves a proxy to its end, and tells the control plane of it.
async fn proxy(
    mut frames: Frames,
    hello: Hello,
    peer: Peer,
    door: &Door,
    events: &mpsc::Sender<Event>,
) {
    let welcome = Message::Welcome(Welcome {
        minor: MINOR,
        program: crate::PROGRAM.to_owned(),
    });
    if let Err(error) = frames.write(&welcome, door.limits.write).await {
        tracing::warn!(%peer, "lost a proxy before it was welcomed: {error}");
        return;
    }
    let id = door.next_id();
    let holds = hello
        .holds
        .iter()
        .map(|held| (held.key.clone(), held.version));
    let mut session = Session {
        id,
        held: Holding::Said(holds.collect()),
        generation: hello.generation,
        is_agreed: false,
        outstanding: None,
        again: None,
        pause: AGAIN_FIRST,
        frames,
        write_limit: door.limits.write,
        events,
    };
    let (target, targets) = watch::channel(None);
    let connected = Event::Connected {
        id,
        hello: Box::new(hello),
        peer,
        target,
    };
    if events.send(connected).await.is_err() {
        return;
    }
    let Err(error) = session.run(targets).await;
    let _ = events.send(Event::Disconnected { id, error }).await;
}

struct Session<'a> {
    id: u64,
    frames: Frames,
    write_limit: Duration,
    /// What the proxy uses: of the last generation that it acknowledged.
    held: Holding,
    /// That generation.
    generation: u64,
    /// The proxy has been sent something on this connection: it knows that what it holds is meant.
    is_agreed: bool,
    outstanding: Option<Outstanding>,
    /// When the target is sent again, if it was refused.
    again: Option<Instant>,
    /// What a refusal is answered with next: it doubles.
    pause: Duration,
    events: &'a mpsc::Sender<Event>,
}

/// A generation that was sent and not answered.
struct Outstanding {
    generation: u64,
    /// Of the target that it is sent for.
    target: u64,
    /// What the proxy holds if it takes it.
    document: Arc<Document>,
}

impl Session<'_> {
    async fn run(
        &mut self,
        mut targets: watch::Receiver<Option<Arc<Document>>>,
    ) -> Result<std::convert::Infallible, FramesError> {
        loop {
            tokio::select! {
                message = self.frames.read() => self.heard(message?).await?,
                changed = targets.changed(), if self.outstanding.is_none() => {
                    if changed.is_err() {
                        return Err(FramesError::Closed);
                    }
                    self.again = None;
                    self.pause = AGAIN_FIRST;
                    let target = targets.borrow_and_update().clone();
                    if let Some(document) = target
                        && self.send(&document).await?
                    {
                        self.report(document.generation, Progress::Sent).await?;
                    }
                }
                // Not reported: to whoever looks, it is refused until it is not.
                () = passed(self.again), if self.outstanding.is_none() => {
                    self.again = None;
                    let target = targets.borrow().clone();
                    if let Some(document) = target {
                        self.send(&document).await?;
                    }
                }
            }
        }
    }

    async fn heard(&mut self, message: Message) -> Result<(), FramesError> {
        let answered = match &message {
            Message::Ack(ack) => ack.generation,
            Message::Nack(nack) => nack.generation,
            // Of a newer minor version.
            Message::Unknown(_) => return Ok(()),
            Message::Hello(_)
            | Message::Welcome(_)
            | Message::Refused(_)
            | Message::Update(_)
            | Message::Commit(_)
            | Message::Query(_)
            | Message::Answer(_) => return Err(FramesError::OutOfPlace),
        };
        let outstanding = self.outstanding.take_if(|sent| sent.generation == answered);
        let Some(outstanding) = outstanding else {
            return Err(FramesError::OutOfPlace);
        };
        let progress = match message {
            Message::Nack(nack) => {
                self.again = Some(Instant::now() + self.pause);
                self.pause = (2 * self.pause).min(AGAIN_MAX);
                Progress::Refused {
                    problems: nack.problems,
                }
            }
            _ => {
                self.is_agreed = true;
                self.held = Holding::Sent(outstanding.document);
                self.generation = answered;
                Progress::Holds {
                    generation: answered,
                }
            }
        };
        self.report(outstanding.target, progress).await
    }

    /// True when it was sent. A proxy that holds it already is told so, once on each connection.
    async fn send(&mut self, document: &Arc<Document>) -> Result<bool, FramesError> {
        let began = Instant::now();
        let target = document.generation;
        let frames = match plan(&self.held, document) {
            Ok(frames) => frames,
            Err(problem) => {
                let problems = vec![*problem];
                self.report(target, Progress::Withheld { problems }).await?;
                return Ok(false);
            }
        };
        // A proxy that never had a generation is told of an empty one too: it then knows that there
        // is nothing for it, rather than nothing yet.
        let mut generation = target;
        if frames.is_empty() && self.generation != 0 {
            generation = self.generation;
            if self.is_agreed {
                self.report(target, Progress::Holds { generation }).await?;
                return Ok(false);
            }
        }
        let mut count = 0;
        for frame in frames {
            count += 1;
            self.frames.write_frame(&frame, self.write_limit).await?;
        }
        let commit = Message::Commit(Commit { generation });
        self.frames.write(&commit, self.write_limit).await?;
        self.outstanding = Some(Outstanding {
            generation,
            target,
            document: Arc::clone(document),
        });
        tracing::debug!(generation, frames = count, took = ?began.elapsed(), "sent");
        Ok(generation == target)
    }

    async fn report(&self, target: u64, progress: Progress) -> Result<(), FramesError> {
        let event = Event::Progressed {
            id: self.id,
            target,
            progress,
        };
        let reported = self.events.send(event).await;
        reported.map_err(|_| FramesError::Closed)
    }
}

/// Returns at this time; never, without one.
async fn passed(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// Pause before a refused generation is sent again; it doubles to [`AGAIN_MAX`].
const AGAIN_FIRST: Duration = Duration::from_secs(1);
/// See [`AGAIN_FIRST`].
const AGAIN_MAX: Duration = Duration::from_secs(60);
/// DNS-1123 subdomain.
const NAME_BYTES_MAX: usize = 253;
