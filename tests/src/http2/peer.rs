//! One end of a connection of HTTP/2, client or server.
//!
//! It answers SETTINGS and PING, gives back the room that bodies took, and puts messages together;
//! all the rest is said by the test, frame by frame.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{SocketAddr, TcpStream},
};

use super::{
    frame::{ACK, END_HEADERS, Frame, kind, setting},
    hpack::{Decoder, Field},
};
use crate::message::{Broken, Fields, Message, Wire};

/// What a client sends first (RFC 9113 section 3.4).
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Bytes of payload that everybody takes in a frame (RFC 9113 section 6.5.2).
pub const FRAME_MAX: usize = 16_384;
/// Bytes that everybody takes at first (RFC 9113 section 6.9.2).
pub const WINDOW: u64 = 65_535;

/// One end.
pub struct Peer {
    /// The connection.
    pub wire: Wire,
    /// What comes is taken note of, and its sender is given as much room again.
    pub replenishes: bool,
    /// What the other side asks for, by its number.
    pub settings: BTreeMap<u16, u32>,
    /// The last stream that the other side looks at, and why no further one; one for each time it
    /// said so.
    pub farewells: Vec<(u32, u32)>,
    /// Payloads of the answers to our PINGs.
    pub pongs: Vec<Vec<u8>>,
    /// SETTINGS of ours that the other side has taken note of.
    pub settings_acknowledged: usize,
    /// Room that the other side has given, beyond what it began with; 0 is the connection.
    pub room: BTreeMap<u32, u64>,
    /// Bytes of bodies that were sent; 0: all of them.
    sent: BTreeMap<u32, u64>,
    streams: BTreeMap<u32, Stream>,
    decoder: Decoder,
    next_stream: u32,
    is_server: bool,
    /// What has come on other streams.
    nothing: Stream,
}

/// What came on a stream.
#[derive(Clone, Debug, Default)]
pub struct Stream {
    /// A request or an answer, as far as it came. Its fields begin with those of a colon.
    pub message: Message,
    /// It is whole.
    pub is_over: bool,
    /// Why the other side ended it.
    pub reset: Option<u32>,
    /// Its final head is there.
    pub has_head: bool,
    is_taken: bool,
}

impl Peer {
    /// A client that has said hello with these settings.
    pub fn client(address: SocketAddr, settings: &[(u16, u32)]) -> Self {
        let mut peer = Self::silent(address);
        peer.send_bytes(PREFACE);
        peer.send(&Frame::settings(settings));
        peer
    }

    /// A client that has said nothing.
    pub fn silent(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address)
            .unwrap_or_else(|error| panic!("cannot connect to {address}: {error}"));
        Self::new(Wire::new(stream), false)
    }

    /// A server that has read a client's preface, and said hello with these settings.
    ///
    /// # Errors
    /// When something else comes.
    pub fn server(stream: &TcpStream, settings: &[(u16, u32)]) -> Result<Self, Broken> {
        let mut wire = Wire::new(stream.try_clone().unwrap());
        let preface = wire.exactly(PREFACE.len())?;
        if preface != PREFACE {
            return Err(Broken::Malformed(format!("no preface: {preface:?}")));
        }
        let mut peer = Self::new(wire, true);
        peer.send(&Frame::settings(settings));
        Ok(peer)
    }

    fn new(wire: Wire, is_server: bool) -> Self {
        Self {
            wire,
            replenishes: true,
            settings: BTreeMap::new(),
            farewells: Vec::new(),
            pongs: Vec::new(),
            settings_acknowledged: 0,
            room: BTreeMap::new(),
            sent: BTreeMap::new(),
            streams: BTreeMap::new(),
            decoder: Decoder::default(),
            next_stream: 1,
            is_server,
            nothing: Stream::default(),
        }
    }

    /// Sends a frame. False when the other side is gone.
    pub fn send(&mut self, frame: &Frame) -> bool {
        self.send_bytes(frame.bytes())
    }

    /// Sends bytes as they are. False when the other side is gone.
    pub fn send_bytes(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.wire.send(bytes).is_ok()
    }

    /// Begins a request of these fields on a stream of its own; `ends`: it is all of it.
    pub fn begin<N: AsRef<[u8]>, V: AsRef<[u8]>>(
        &mut self,
        fields: impl IntoIterator<Item = (N, V)>,
        ends: bool,
    ) -> u32 {
        let stream = self.next_stream();
        self.send(&Frame::headers(stream, fields, ends));
        stream
    }

    /// The number of the next stream of ours.
    pub fn next_stream(&mut self) -> u32 {
        let stream = self.next_stream;
        self.next_stream += 2;
        stream
    }

    /// Sends `GET path` on a stream of its own.
    pub fn get(&mut self, path: &str) -> u32 {
        self.begin(request("GET", path), true)
    }

    /// Begins `POST path`, whose body follows, on a stream of its own.
    pub fn post(&mut self, path: &str) -> u32 {
        self.begin(request("POST", path), false)
    }

    /// Answers a request with a text.
    pub fn answer(&mut self, stream: u32, text: &str) -> bool {
        self.send(&Frame::headers(stream, [(":status", "200")], false))
            && self.send(&Frame::data(stream, text, true))
    }

    /// Sends a body in frames of at most the size that everybody takes, as fast as the receiver
    /// gives room for it; `ends`: it is the rest of the message. False when the receiver ended the
    /// stream.
    pub fn send_body(&mut self, stream: u32, mut body: &[u8], ends: bool) -> bool {
        if body.is_empty() && ends {
            return self.send(&Frame::data(stream, [], true));
        }
        while !body.is_empty() {
            let room = self.room_for(stream).min(FRAME_MAX).min(body.len());
            if room == 0 {
                if self.stream(stream).reset.is_some() || self.step().is_err() {
                    return false;
                }
                continue;
            }
            let (part, rest) = body.split_at(room);
            body = rest;
            if !self.send(&Frame::data(stream, part, ends && body.is_empty())) {
                return false;
            }
            for place in [0, stream] {
                *self.sent.entry(place).or_default() += room as u64;
            }
        }
        true
    }

    /// Bytes that the receiver of a body takes now, if all of it goes through [`Self::send_body`].
    pub fn room_for(&self, stream: u32) -> usize {
        let initial = self.settings.get(&setting::INITIAL_WINDOW_SIZE);
        let initial = initial.map_or(WINDOW, |bytes| u64::from(*bytes));
        let left = [(0, WINDOW), (stream, initial)].map(|(place, initial)| {
            let of = |map: &BTreeMap<u32, u64>| map.get(&place).copied().unwrap_or_default();
            (initial + of(&self.room)).saturating_sub(of(&self.sent))
        });
        usize::try_from(left[0].min(left[1])).unwrap()
    }

    /// The next frame, after what it means has been taken note of. Fields come with their first
    /// frame, when their last is there.
    ///
    /// # Errors
    /// See [`Broken`].
    pub fn step(&mut self) -> Result<Frame, Broken> {
        let frame = self.frame()?;
        match frame.kind {
            kind::SETTINGS if frame.is_ack() => self.settings_acknowledged += 1,
            kind::SETTINGS => {
                for pair in frame.payload.chunks_exact(6) {
                    let key = u16::from_be_bytes([pair[0], pair[1]]);
                    let value = u32::from_be_bytes(pair[2..].try_into().unwrap());
                    self.settings.insert(key, value);
                }
                self.send(&Frame::new(kind::SETTINGS, ACK, 0, []));
            }
            kind::PING if frame.is_ack() => self.pongs.push(frame.payload.clone()),
            kind::PING => {
                self.send(&Frame::new(kind::PING, ACK, 0, frame.payload.clone()));
            }
            kind::GOAWAY => self.farewells.push((frame.number(0), frame.number(4))),
            kind::WINDOW_UPDATE => {
                *self.room.entry(frame.stream).or_default() += u64::from(frame.number(0));
            }
            kind::RST_STREAM => {
                self.streams.entry(frame.stream).or_default().reset = Some(frame.number(0));
            }
            kind::DATA => self.take_data(&frame),
            kind::HEADERS => self.take_fields(&frame)?,
            _ => {}
        }
        Ok(frame)
    }

    fn take_data(&mut self, frame: &Frame) {
        let stream = self.streams.entry(frame.stream).or_default();
        stream.message.body.extend_from_slice(&frame.payload);
        stream.is_over |= frame.ends_stream();
        let count = u32::try_from(frame.payload.len()).unwrap();
        if self.replenishes && count > 0 {
            let mut bytes = Frame::window_update(0, count).bytes();
            bytes.extend(Frame::window_update(frame.stream, count).bytes());
            self.send_bytes(bytes);
        }
    }

    fn take_fields(&mut self, frame: &Frame) -> Result<(), Broken> {
        let mut block = frame.payload.clone();
        let mut flags = frame.flags;
        while flags & END_HEADERS == 0 {
            let next = self.frame()?;
            if next.kind != kind::CONTINUATION || next.stream != frame.stream {
                return Err(Broken::Malformed(format!("{next:?} within {frame:?}")));
            }
            block.extend(next.payload);
            flags = next.flags;
        }
        let fields = self.decoder.read(&block);
        let fields = fields.ok_or_else(|| Broken::Malformed(format!("fields of {frame:?}")))?;
        let is_server = self.is_server;
        let stream = self.streams.entry(frame.stream).or_default();
        stream.is_over |= frame.ends_stream();
        stream.take(fields, is_server);
        Ok(())
    }

    /// What has come on a stream so far.
    pub fn stream(&self, stream: u32) -> &Stream {
        self.streams.get(&stream).unwrap_or(&self.nothing)
    }

    /// Streams on which something has come.
    pub fn streams(&self) -> BTreeSet<u32> {
        self.streams.keys().copied().collect()
    }

    /// Takes frames until `is_enough` says so.
    ///
    /// # Errors
    /// See [`Broken`].
    pub fn until(&mut self, mut is_enough: impl FnMut(&Self) -> bool) -> Result<(), Broken> {
        while !is_enough(self) {
            self.step()?;
        }
        Ok(())
    }

    /// What came on a stream when it has ended in one way or the other.
    pub fn ended(&mut self, stream: u32) -> Stream {
        let ended = self.until(|peer| {
            let stream = peer.stream(stream);
            stream.is_over || stream.reset.is_some()
        });
        if let Err(broken) = ended {
            let (stream, farewells) = (self.stream(stream), &self.farewells);
            panic!("no end of the stream: {broken}; {stream:?}; goodbyes {farewells:?}");
        }
        self.stream(stream).clone()
    }

    /// The whole answer on a stream.
    pub fn response(&mut self, stream: u32) -> Message {
        let ended = self.ended(stream);
        assert!(ended.is_over, "not whole: {ended:?}");
        ended.message
    }

    /// The head of the answer on a stream, and what else has come of it.
    pub fn response_head(&mut self, stream: u32) -> Message {
        let came = self.until(|peer| peer.stream(stream).has_head);
        came.unwrap_or_else(|broken| panic!("no head: {broken}; {:?}", self.farewells));
        self.stream(stream).message.clone()
    }

    /// A whole request that was not given before.
    ///
    /// # Errors
    /// When there is no more.
    pub fn request(&mut self) -> Result<(u32, Message), Broken> {
        self.next_taken(|stream| stream.is_over)
    }

    /// A request that was not given before, when its head is there.
    ///
    /// # Errors
    /// When there is no more.
    pub fn request_head(&mut self) -> Result<(u32, Message), Broken> {
        self.next_taken(|stream| stream.has_head)
    }

    fn next_taken(&mut self, is_there: impl Fn(&Stream) -> bool) -> Result<(u32, Message), Broken> {
        loop {
            let mut streams = self.streams.iter_mut();
            let next = streams.find(|(_, stream)| !stream.is_taken && is_there(stream));
            if let Some((&number, stream)) = next {
                stream.is_taken = true;
                return Ok((number, stream.message.clone()));
            }
            self.step()?;
        }
    }

    /// Says PING and waits for the answer: all that was sent before has been looked at.
    pub fn ping(&mut self) {
        let before = self.pongs.len();
        self.send(&Frame::ping(*b"ringmain"));
        let answered = self.until(|peer| peer.pongs.len() > before);
        answered.unwrap_or_else(|broken| panic!("no answer to PING: {broken}"));
        assert_eq!(self.pongs[before], b"ringmain");
    }

    /// Takes what comes until the other side ends the connection; the reason that it gave, if one.
    pub fn end(&mut self) -> Option<u32> {
        loop {
            match self.step() {
                Ok(_) => {}
                Err(Broken::Closed | Broken::Cut(_)) => break,
                Err(broken) => panic!("the connection was to end: {broken}"),
            }
        }
        self.farewells.last().map(|(_, code)| *code)
    }

    /// The next frame as it is.
    fn frame(&mut self) -> Result<Frame, Broken> {
        let head = self.wire.exactly(9)?.try_into().expect("so many bytes");
        let (length, mut frame) = Frame::head(head);
        frame.payload = self.wire.exactly(length)?;
        Ok(frame)
    }
}

impl Stream {
    fn take(&mut self, fields: Vec<Field>, is_request: bool) {
        let value = |name: &str| {
            let field = fields.iter().find(|(other, _)| other == name);
            field.map(|(_, value)| value.clone())
        };
        if self.has_head {
            self.message.trailers = Fields(fields);
            return;
        }
        if is_request {
            let value = |name| value(name).unwrap_or_default();
            self.message.line = format!("{} {} HTTP/2", value(":method"), value(":path"));
        } else {
            let status = value(":status").unwrap_or_default();
            self.message.line = format!("HTTP/2 {status}");
            if status.starts_with('1') {
                self.message.interim.push(self.message.status());
                return;
            }
        }
        self.has_head = true;
        self.message.fields = Fields(fields);
    }
}

/// The fields of a request without others.
pub fn request<'a>(method: &'a str, path: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![
        (":method", method),
        (":scheme", "http"),
        (":authority", "example.test"),
        (":path", path),
    ]
}
