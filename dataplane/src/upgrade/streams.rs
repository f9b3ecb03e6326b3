//! Bytes in both directions when one end, or both, is a stream of HTTP/2.
//!
//! A direction takes what has come, gives it on, and only then takes more: a receiver that takes
//! nothing holds up its sender, through the stream's window or the socket's. END_STREAM stands for
//! the end of a connection's direction, RST_STREAM with CANCEL for its reset (RFC 8441 section 5).

use std::{cell::Cell, pin::pin};

use bytes::Bytes;
use h2::Reason;
use ringmain_core::ending::Ending;

use crate::{
    call::Call,
    carry::Piece,
    http2::stream::{Incoming, Outlet, meanwhile},
    io::{
        alarm::Alarm,
        buffer::Buffer,
        deadline::{Expiry, Micros},
        race::join,
        stream::{Received, Stream},
    },
    relay::Broken,
    tunnel::Bounds,
    worker::Worker,
};

/// Where bytes come from.
pub enum Inward<'a> {
    /// A connection, and what has come on it.
    Socket(&'a Stream, Buffer),
    /// A stream; `None`: nothing comes.
    Stream(Option<&'a mut Incoming>),
}

impl Inward<'_> {
    fn incoming(&mut self) -> Option<&mut Incoming> {
        match self {
            Self::Stream(incoming) => incoming.as_deref_mut(),
            Self::Socket(..) => None,
        }
    }
}

/// Where bytes go.
#[derive(Clone, Copy)]
pub enum Outward<'a> {
    /// A connection.
    Socket(&'a Stream),
    /// A stream.
    Stream(&'a Outlet),
}

/// One direction.
pub struct Passage<'a> {
    /// Where its bytes come from.
    pub from: Inward<'a>,
    /// Where they go.
    pub to: Outward<'a>,
}

/// What both directions know of each other.
pub struct Streams<'a> {
    worker: &'a Worker,
    call: &'a Call,
    bounds: Bounds,
    received: Cell<u64>,
    sent: Cell<u64>,
    /// Why it was ended, by whoever was first.
    ending: Cell<Option<Ending>>,
    half_closed: Cell<bool>,
    /// Directions in which there is something that the receiver has not taken yet.
    sending: Cell<u8>,
}

/// Why a direction has ended too early.
enum Lost {
    /// Its source failed.
    Source,
    /// Its target failed.
    Target,
    /// Nothing moved for too long, or it is not wanted any more.
    Stopped,
}

impl<'a> Streams<'a> {
    /// Of what was the request of `call`.
    pub fn new(worker: &'a Worker, call: &'a Call, bounds: Bounds) -> Self {
        Self {
            worker,
            call,
            bounds,
            received: Cell::new(0),
            sent: Cell::new(0),
            ending: Cell::new(None),
            half_closed: Cell::new(false),
            sending: Cell::new(0),
        }
    }

    /// Bytes that came from the client, and that went to it.
    pub fn moved(&self) -> (u64, u64) {
        (self.received.get(), self.sent.get())
    }

    /// The client has reset its stream.
    pub fn client_has_gone(&self) {
        self.note(Ending::DownstreamReset);
        self.call.cut();
    }

    /// Carries bytes until both directions have ended.
    pub async fn carry(&self, mut upload: Passage<'_>, mut download: Passage<'_>) -> Ending {
        use Ending::{DownstreamReset, UpstreamReset};
        let ends = [upload.to, download.to];
        let up = async {
            let result = self.run(&mut upload, &self.received).await;
            self.end(&ends, result, DownstreamReset, UpstreamReset);
        };
        let down = async {
            let result = self.run(&mut download, &self.sent).await;
            self.end(&ends, result, UpstreamReset, DownstreamReset);
        };
        join(pin!(up), pin!(down), |()| {}).await;
        self.ending.get().unwrap_or(Ending::Closed)
    }

    /// One direction, to the end of its source, of which the target is told.
    async fn run(&self, passage: &mut Passage<'_>, moved: &Cell<u64>) -> Result<(), Lost> {
        while let Some(payload) = self.next(&mut passage.from).await? {
            let count = payload.len() as u64;
            self.sending.set(self.sending.get() + 1);
            let put = self.put(passage.to, payload);
            let put = meanwhile(passage.from.incoming(), put).await;
            self.sending.set(self.sending.get() - 1);
            put?;
            moved.set(moved.get() + count);
        }
        self.half_closed.set(true);
        self.wait_from_now();
        match passage.to {
            Outward::Socket(stream) => {
                stream.finish();
                stream.probe();
                Ok(())
            }
            Outward::Stream(outlet) => outlet.end(&[]).map_err(|_| Lost::Target),
        }
    }

    /// A direction has ended. When it was too early, so has the other, and both peers are told.
    fn end(
        &self,
        ends: &[Outward<'_>],
        result: Result<(), Lost>,
        source_lost: Ending,
        target_lost: Ending,
    ) {
        let ending = match result {
            Ok(()) => return,
            Err(Lost::Source) => source_lost,
            Err(Lost::Target) => target_lost,
            Err(Lost::Stopped) if self.call.is_gone() => Ending::Drained,
            Err(Lost::Stopped) => Ending::Idle,
        };
        self.note(ending);
        for end in ends {
            match end {
                Outward::Socket(stream) => stream.reset(),
                Outward::Stream(outlet) => outlet.reset(Reason::CANCEL),
            }
        }
        self.call.cut();
    }

    fn note(&self, ending: Ending) {
        if self.ending.get().is_none() {
            self.ending.set(Some(ending));
        }
    }

    /// What comes next; `None`: nothing more does.
    async fn next(&self, from: &mut Inward<'_>) -> Result<Option<Bytes>, Lost> {
        self.wait_from_now();
        match from {
            Inward::Socket(stream, buffer) => {
                while buffer.is_empty() {
                    let received = self.alarm().guard(stream.receive(buffer)).await;
                    match received.map_err(|_| Lost::Stopped)? {
                        Ok(Received::Bytes(_)) => {}
                        Ok(Received::End) if stream.was_stopped() => return Err(Lost::Stopped),
                        Ok(Received::End) => return Ok(None),
                        Err(_) => return Err(Lost::Source),
                    }
                }
                let payload = Bytes::copy_from_slice(buffer.filled());
                buffer.clear();
                buffer.release();
                Ok(Some(payload))
            }
            Inward::Stream(None) => Ok(None),
            Inward::Stream(Some(incoming)) => match incoming.next(self.alarm()).await {
                Ok(Piece::Data(payload, _)) => Ok(Some(payload)),
                // There are no trailers to what is not HTTP.
                Ok(Piece::End(_)) => Ok(None),
                Err(Broken::Late) => Err(Lost::Stopped),
                Err(_) => Err(Lost::Source),
            },
        }
    }

    /// Gives bytes to who may have to be waited for.
    async fn put(&self, to: Outward<'_>, mut payload: Bytes) -> Result<(), Lost> {
        self.wait_from_now();
        while !payload.is_empty() {
            match to {
                Outward::Stream(outlet) => {
                    let room = match outlet.room_for(self.alarm(), payload.len()).await {
                        Ok(room) => room,
                        Err(Broken::Late) => return Err(Lost::Stopped),
                        Err(_) => return Err(Lost::Target),
                    };
                    let part = payload.split_to(payload.len().min(room));
                    outlet.send(part, false).map_err(|_| Lost::Target)?;
                }
                Outward::Socket(stream) => {
                    let mut buffer = self.worker.buffers.take();
                    let part = payload.split_to(payload.len().min(buffer.room()));
                    buffer.tail().extend_from_slice(&part);
                    // A send cannot be given up: it is the socket that ends.
                    stream.deadline().set(self.late(), Expiry::Close);
                    let (sent, _) = stream.send(buffer).await;
                    stream.deadline().clear();
                    match sent {
                        Ok(()) => {}
                        Err(_) if stream.was_stopped() => return Err(Lost::Stopped),
                        Err(_) => return Err(Lost::Target),
                    }
                }
            }
            self.wait_from_now();
        }
        Ok(())
    }

    fn alarm(&self) -> &Alarm {
        self.call.alarm(&self.worker.deadlines)
    }

    /// Something has moved: the next move may take its time.
    fn wait_from_now(&self) {
        self.call.moved(self.late());
    }

    fn late(&self) -> Micros {
        let is_stuck = self.half_closed.get() || self.sending.get() > 0;
        match self.bounds.idle(is_stuck) {
            Micros::MAX => Micros::MAX,
            most => self.worker.now() + most,
        }
    }
}
