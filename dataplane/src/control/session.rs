//! One connection to the control plane, from connect to loss.
//!
//! Reading goes on while the supervisor looks at a proposal, so that the control plane's writes do
//! not time out; but a second commit stays in hand until the verdict on the first. If that verdict
//! is a refusal and more had come already, nobody can say on top of what it was meant: the
//! connection is given up, and the next hello says what is held.

use std::{convert::Infallible, sync::Arc, time::Duration};

use ringmain_config::{
    document::Document,
    problem::Problem,
    wire::{Ack, Commit, Held, Hello, MINOR, Message, Nack, Refused, Welcome, WireError},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::oneshot,
    time::{Instant, timeout, timeout_at},
};

use super::{Lost, Proposal, Receipt, State, Verdict, staging::Staging};

/// A proposal whose verdict is open.
pub(super) struct Pending {
    pub(super) document: Arc<Document>,
    pub(super) answer: oneshot::Receiver<Verdict>,
}

/// Problems sent with a nack: what a human reads before giving up, and far below a frame's limit.
const NACK_PROBLEMS_MAX: usize = 1000;
/// Characters of a refusal that are shown.
const REASON_CHARACTERS_MAX: usize = 500;

impl State {
    /// Serves one connection until it is lost.
    pub(super) async fn session(&mut self) -> Result<Infallible, Lost> {
        let limits = self.options.limits;
        let (reader, mut writer) = self.connect().await?;
        let mut frames = Frames::new(reader, limits.frame_deadline);
        self.send(&mut writer, &self.hello()).await?;
        let welcome = timeout(limits.hello_deadline, welcome(&mut frames))
            .await
            .map_err(|_| Lost::Deadline("answer the hello"))??;
        let program = shortened(&welcome.program);
        self.announced.welcomed(&self.options.socket, &program);
        self.status.send_modify(|status| status.welcomed(program));
        self.changes(&mut frames, &mut writer).await
    }

    async fn connect(&self) -> Result<(OwnedReadHalf, OwnedWriteHalf), Lost> {
        let socket = &self.options.socket;
        let connected = timeout(
            self.options.limits.hello_deadline,
            UnixStream::connect(socket),
        )
        .await
        .map_err(|_| Lost::Deadline("accept the connection"))?;
        let stream = connected.map_err(|source| Lost::Connect {
            socket: socket.clone(),
            source,
        })?;
        Ok(stream.into_split())
    }

    fn hello(&self) -> Message {
        let hello = |holds, generation| {
            Message::Hello(Hello {
                minor: MINOR,
                program: self.options.program.clone(),
                node: self.options.node.clone(),
                holds,
                generation,
            })
        };
        let holds = self.held.versions().into_iter();
        let full = hello(
            holds.map(|(key, version)| Held { key, version }).collect(),
            self.held.generation,
        );
        // More parts than a frame names: then everything is sent anew, which works as well.
        match full.encode(&mut Vec::new()) {
            Ok(()) => full,
            Err(_) => hello(Vec::new(), 0),
        }
    }

    async fn send(&self, writer: &mut OwnedWriteHalf, message: &Message) -> Result<(), Lost> {
        let mut bytes = Vec::new();
        message.encode(&mut bytes)?;
        timeout(self.options.limits.write_deadline, writer.write_all(&bytes))
            .await
            .map_err(|_| Lost::Deadline("read what this proxy sent"))?
            .map_err(|source| Lost::Io {
                operation: "write to",
                source,
            })
    }

    /// Everything after the welcome.
    async fn changes(
        &mut self,
        frames: &mut Frames,
        writer: &mut OwnedWriteHalf,
    ) -> Result<Infallible, Lost> {
        let limits = self.options.limits;
        let mut staging = Staging::new(limits.staging_bytes_max);
        let mut staged_since = None;
        let mut next_commit: Option<Commit> = None;
        loop {
            if self.pending.is_none()
                && let Some(Commit { generation }) = next_commit.take()
            {
                staged_since = None;
                let merging = Instant::now();
                let document = staging.commit(&self.held, generation);
                let arrived = frames.arrived.take().unwrap_or(merging);
                let receipt = Receipt {
                    receive: merging - arrived,
                    decode: std::mem::take(&mut frames.decoding),
                    merge: merging.elapsed(),
                };
                tracing::debug!(generation, ?receipt, "generation received");
                self.propose(document, receipt).await?;
            }
            let event = tokio::select! {
                verdict = verdict(&mut self.pending) => Event::Verdict(verdict?),
                frame = frames.next(), if next_commit.is_none() => {
                    let (message, bytes) = frame?;
                    Event::Frame(message, bytes)
                }
                () = passed(staged_since, limits.commit_deadline), if next_commit.is_none() => {
                    return Err(Lost::Deadline("commit the generation it had begun"));
                }
            };
            match event {
                Event::Verdict(verdict) => {
                    let clean = staging.is_empty() && next_commit.is_none();
                    self.answer(writer, verdict, clean).await?;
                }
                Event::Frame(Message::Update(update), bytes) => {
                    staging.add(update, bytes)?;
                    staged_since.get_or_insert_with(Instant::now);
                }
                Event::Frame(Message::Commit(commit), _) => next_commit = Some(commit),
                Event::Frame(Message::Refused(Refused { reason }), _) => {
                    return Err(Lost::Refused(shortened(&reason)));
                }
                // A newer minor version may say more than we understand.
                Event::Frame(Message::Unknown(_), _) => {}
                Event::Frame(message, _) => return Err(Lost::Unexpected(named(&message))),
            }
        }
    }

    async fn propose(&mut self, document: Arc<Document>, receipt: Receipt) -> Result<(), Lost> {
        let (sender, answer) = oneshot::channel();
        let proposal = Proposal {
            document: document.clone(),
            receipt,
            answer: sender,
        };
        self.proposals
            .send(proposal)
            .await
            .map_err(|_| Lost::Stopped)?;
        self.pending = Some(Pending { document, answer });
        Ok(())
    }

    /// Tells the control plane the verdict. `clean`: it sent nothing since that commit.
    async fn answer(
        &mut self,
        writer: &mut OwnedWriteHalf,
        verdict: Verdict,
        clean: bool,
    ) -> Result<(), Lost> {
        let pending = self.pending.take();
        let document = pending.expect("a verdict is on what is pending").document;
        let generation = document.generation;
        match self.conclude(document, verdict) {
            None => self.send(writer, &Message::Ack(Ack { generation })).await,
            Some(problems) => {
                let nack = Message::Nack(Nack {
                    generation,
                    problems: bounded(problems),
                });
                self.send(writer, &nack).await?;
                if clean {
                    Ok(())
                } else {
                    Err(Lost::OutOfStep(generation))
                }
            }
        }
    }
}

enum Event {
    Verdict(Verdict),
    Frame(Message, usize),
}

/// The verdict on what is pending; never, when nothing is.
async fn verdict(pending: &mut Option<Pending>) -> Result<Verdict, Lost> {
    match pending {
        Some(pending) => (&mut pending.answer).await.map_err(|_| Lost::Stopped),
        None => std::future::pending().await,
    }
}

/// Returns `limit` after `since`; never, without `since`.
async fn passed(since: Option<Instant>, limit: Duration) {
    match since {
        Some(since) => tokio::time::sleep_until(since + limit).await,
        None => std::future::pending().await,
    }
}

async fn welcome(frames: &mut Frames) -> Result<Welcome, Lost> {
    loop {
        match frames.next().await?.0 {
            Message::Welcome(welcome) => return Ok(welcome),
            Message::Refused(Refused { reason }) => return Err(Lost::Refused(shortened(&reason))),
            Message::Unknown(_) => {}
            message => return Err(Lost::Unexpected(named(&message))),
        }
    }
}

/// What the peer wrote, fit for a log line and for memory.
fn shortened(text: &str) -> String {
    let printable = |character: char| {
        if character.is_control() {
            ' '
        } else {
            character
        }
    };
    let characters = text.chars().take(REASON_CHARACTERS_MAX);
    characters.map(printable).collect()
}

fn bounded(mut problems: Vec<Problem>) -> Vec<Problem> {
    let count = problems.len();
    if count > NACK_PROBLEMS_MAX {
        problems.truncate(NACK_PROBLEMS_MAX - 1);
        let left_out = count - problems.len();
        problems.push(Problem::error(
            "",
            format!("{left_out} more problems are not listed"),
        ));
    }
    problems
}

fn named(message: &Message) -> &'static str {
    match message {
        Message::Hello(_) => "a hello, which only proxies send",
        Message::Welcome(_) => "a second welcome",
        Message::Refused(_) => "a refusal",
        Message::Update(_) => "an update before its welcome",
        Message::Commit(_) => "a commit before its welcome",
        Message::Ack(_) => "an ack, which only proxies send",
        Message::Nack(_) => "a nack, which only proxies send",
        Message::Query(_) => "a query, which only tools send",
        Message::Answer(_) => "an answer to a query that was not asked",
        Message::Unknown(_) => "a frame of unknown type",
    }
}

/// The frames of a stream, one after the other.
struct Frames {
    reader: OwnedReadHalf,
    buffer: Vec<u8>,
    /// Bytes of `buffer` that were decoded already.
    taken: usize,
    /// When the frame that is not complete yet was begun.
    begun: Option<Instant>,
    deadline: Duration,
    /// When something was read for the first time since this was last taken.
    arrived: Option<Instant>,
    /// Spent with making messages of bytes since it was last taken.
    decoding: Duration,
}

/// Read at once at least; what the buffer may keep while nothing comes.
const READ_BYTES: usize = 16 << 10;

impl Frames {
    fn new(reader: OwnedReadHalf, deadline: Duration) -> Self {
        Self {
            reader,
            buffer: Vec::new(),
            taken: 0,
            begun: None,
            deadline,
            arrived: None,
            decoding: Duration::ZERO,
        }
    }

    /// The next message and how many bytes it took. May be dropped at any await without losing a
    /// byte or the time a frame has had already.
    async fn next(&mut self) -> Result<(Message, usize), Lost> {
        loop {
            if let Some((message, bytes)) = self.decoded()? {
                return Ok((message, bytes));
            }
            self.buffer.reserve(READ_BYTES);
            let read = self.reader.read_buf(&mut self.buffer);
            let read = match self.begun {
                Some(begun) => timeout_at(begun + self.deadline, read)
                    .await
                    .map_err(|_| Lost::Deadline("finish a frame it had begun"))?,
                None => read.await,
            };
            let read = read.map_err(|source| Lost::Io {
                operation: "read from",
                source,
            })?;
            self.arrived.get_or_insert_with(Instant::now);
            if read == 0 {
                return Err(Lost::Closed(if self.buffer.is_empty() {
                    "between two frames"
                } else {
                    "in the middle of a frame"
                }));
            }
        }
    }

    fn decoded(&mut self) -> Result<Option<(Message, usize)>, WireError> {
        let began = Instant::now();
        let decoded = Message::decode(&self.buffer[self.taken..])?;
        self.decoding += began.elapsed();
        if let Some((message, bytes)) = decoded {
            self.taken += bytes;
            self.begun = None;
            return Ok(Some((message, bytes)));
        }
        self.buffer.drain(..self.taken);
        self.taken = 0;
        if self.buffer.is_empty() {
            self.buffer.shrink_to(READ_BYTES);
        } else {
            self.begun.get_or_insert_with(Instant::now);
        }
        Ok(None)
    }
}
