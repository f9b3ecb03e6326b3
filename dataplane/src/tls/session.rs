//! The bytes of one TLS connection, without its socket: ciphertext in, plaintext out, and back.
//!
//! Ciphertext is received into a buffer of the core's pool, which is held only while there is part
//! of a record in it. Plaintext goes to the caller's memory; only what has no room there is kept.
//! What is to be sent collects in another buffer of the pool until the socket has taken it.

use std::fmt;

use rustls::{
    Error, HandshakeKind, ProtocolVersion, SupportedCipherSuite,
    client::{ClientConnectionData, UnbufferedClientConnection},
    server::{ServerConnectionData, UnbufferedServerConnection},
    unbuffered::{ConnectionState, EncodeError, EncryptError, UnbufferedStatus},
};

use crate::io::buffer::Buffer;

/// A record of TLS takes so many bytes more than what is in it, at most (RFC 8446 section 5.2).
const RECORD_OVERHEAD_BYTES: usize = 5 + 1 + 255;
/// Bytes in a record.
const RECORD_BYTES_MAX: usize = 1 << 14;

/// One side of a connection.
pub struct Session {
    connection: Side,
    /// Ciphertext, of which nothing was looked at that is done with.
    incoming: Buffer,
    /// Plaintext that had no room where it was received to, or that was given back.
    surplus: Vec<u8>,
    /// Of it, bytes that are gone.
    taken: usize,
    /// Ciphertext that is to be sent.
    outgoing: Buffer,
    /// The peer said that it sends no more.
    has_ended: bool,
    /// This side did.
    has_closed: bool,
    failure: Option<Error>,
}

enum Side {
    Client(Box<UnbufferedClientConnection>),
    Server(Box<UnbufferedServerConnection>),
}

/// How far a session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Data can neither be sent nor received yet.
    Handshake,
    /// Data flows.
    Open,
    /// The peer has said that it sends no more (`close_notify`, RFC 8446 section 6.1).
    Ended,
}

/// What is agreed on when a handshake is over.
#[derive(Clone, Debug)]
pub struct Agreed {
    /// TLS 1.2 or 1.3.
    pub version: Option<ProtocolVersion>,
    /// With its parameters.
    pub suite: Option<SupportedCipherSuite>,
    /// The protocol inside (ALPN).
    pub alpn: Option<Box<[u8]>>,
    /// An earlier session was taken up.
    pub is_resumed: bool,
    /// The peer's certificates, its own first, in DER. Empty: it has shown none.
    pub certificates: Vec<Box<[u8]>>,
}

/// Takes plaintext and says how many bytes it had room for.
pub trait Sink {
    /// Takes what there is room for.
    fn put(&mut self, plaintext: &[u8]) -> usize;
    /// There is room for nothing.
    fn is_full(&self) -> bool;
}

/// What a caller wants to send.
#[derive(Clone, Copy)]
enum Send<'a> {
    Nothing,
    Data(&'a [u8]),
    Close,
}

/// Nobody waits for plaintext now.
struct Keep;

impl Sink for Keep {
    fn put(&mut self, _: &[u8]) -> usize {
        0
    }

    fn is_full(&self) -> bool {
        true
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Session")
            .field("incoming", &self.incoming.filled().len())
            .field("outgoing", &self.outgoing.filled().len())
            .finish_non_exhaustive()
    }
}

impl Session {
    /// A client's, which has something to send at once ([`Self::advance`]). The buffers are empty
    /// ones of the core's pool.
    pub fn client(
        connection: UnbufferedClientConnection,
        (incoming, outgoing): (Buffer, Buffer),
    ) -> Self {
        Self::new(Side::Client(Box::new(connection)), incoming, outgoing)
    }

    /// A server's. What has come already is in `incoming`.
    pub fn server(
        connection: UnbufferedServerConnection,
        (incoming, outgoing): (Buffer, Buffer),
    ) -> Self {
        Self::new(Side::Server(Box::new(connection)), incoming, outgoing)
    }

    fn new(connection: Side, incoming: Buffer, outgoing: Buffer) -> Self {
        Self {
            connection,
            incoming,
            surplus: Vec::new(),
            taken: 0,
            outgoing,
            has_ended: false,
            has_closed: false,
            failure: None,
        }
    }

    /// What was agreed on. To be asked once the phase is open.
    pub fn agreed(&self) -> Agreed {
        macro_rules! of {
            ($connection:expr) => {{
                let certificates = $connection.peer_certificates().unwrap_or_default();
                Agreed {
                    version: $connection.protocol_version(),
                    suite: $connection.negotiated_cipher_suite(),
                    alpn: $connection.alpn_protocol().map(Into::into),
                    is_resumed: $connection.handshake_kind() == Some(HandshakeKind::Resumed),
                    certificates: certificates.iter().map(|der| der[..].into()).collect(),
                }
            }};
        }
        match &self.connection {
            Side::Client(connection) => of!(connection),
            Side::Server(connection) => of!(connection),
        }
    }

    /// Looks at the ciphertext that is there, for the handshake's sake.
    ///
    /// # Errors
    /// What is wrong with the peer. An alert that tells it is then in the outgoing bytes.
    pub fn advance(&mut self) -> Result<Phase, Error> {
        self.run(&mut Keep, Send::Nothing)
    }

    /// Moves plaintext to `sink` until that is full or there is no more. [`Phase::Open`] with
    /// nothing moved means that more ciphertext is needed.
    ///
    /// # Errors
    /// As [`Self::advance`].
    pub fn read(&mut self, sink: &mut impl Sink) -> Result<(Phase, usize), Error> {
        let mut moved = 0;
        if self.taken < self.surplus.len() {
            moved = sink.put(&self.surplus[self.taken..]);
            self.taken += moved;
            if self.taken < self.surplus.len() {
                return Ok((Phase::Open, moved));
            }
            (self.surplus, self.taken) = (Vec::new(), 0);
            if sink.is_full() {
                return Ok((Phase::Open, moved));
            }
        }
        let mut counting = Counting { sink, moved };
        let phase = self.run(&mut counting, Send::Nothing)?;
        let moved = counting.moved;
        // Bytes before the end come first.
        Ok(match moved > 0 || self.has_plaintext() {
            true => (Phase::Open, moved),
            false => (phase, 0),
        })
    }

    /// Encrypts `plaintext` behind what is to be sent already.
    ///
    /// # Errors
    /// As [`Self::advance`], since what has been received is looked at first.
    pub fn write(&mut self, plaintext: &[u8]) -> Result<(), Error> {
        if plaintext.is_empty() {
            return Ok(());
        }
        self.run(&mut Keep, Send::Data(plaintext)).map(drop)
    }

    /// Says that nothing more comes, once.
    ///
    /// # Errors
    /// As [`Self::advance`].
    pub fn close(&mut self) -> Result<(), Error> {
        if std::mem::replace(&mut self.has_closed, true) {
            return Ok(());
        }
        self.run(&mut Keep, Send::Close).map(drop)
    }

    /// Where ciphertext is to be received to, behind what is there, with room for some. `None`: a
    /// message of the peer is longer than any buffer.
    pub fn incoming(&mut self) -> Option<&mut Buffer> {
        self.incoming.hold();
        let has_room = self.incoming.room() > 0 || self.incoming.make_room();
        has_room.then_some(&mut self.incoming)
    }

    /// Gives back memory in which there is nothing.
    pub fn release(&mut self) {
        self.incoming.release();
        self.outgoing.release();
    }

    /// What was decrypted and waits for somebody to take it.
    pub fn plaintext(&self) -> &[u8] {
        &self.surplus[self.taken..]
    }

    fn has_plaintext(&self) -> bool {
        self.taken < self.surplus.len()
    }

    /// Ciphertext that is to be sent.
    pub fn outgoing(&mut self) -> &mut Buffer {
        &mut self.outgoing
    }

    /// The peer has said that it sends no more: the end of the connection is no accident.
    pub fn has_ended(&self) -> bool {
        self.has_ended
    }

    fn run(&mut self, sink: &mut impl Sink, send: Send<'_>) -> Result<Phase, Error> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        let outcome = self.step_through(sink, send);
        if let Err(error) = &outcome {
            self.failure = Some(error.clone());
            self.collect_alert();
        }
        self.incoming.release();
        outcome
    }

    fn step_through(&mut self, sink: &mut impl Sink, send: Send<'_>) -> Result<Phase, Error> {
        let parts = Parts {
            incoming: &mut self.incoming,
            outgoing: &mut self.outgoing,
            surplus: &mut self.surplus,
            has_ended: &mut self.has_ended,
        };
        match &mut self.connection {
            Side::Client(connection) => parts.step_through(&mut **connection, sink, send),
            Side::Server(connection) => parts.step_through(&mut **connection, sink, send),
        }
    }

    /// After an error there may be one more thing to say: the alert.
    fn collect_alert(&mut self) {
        let (incoming, outgoing) = (&mut self.incoming, &mut self.outgoing);
        match &mut self.connection {
            Side::Client(connection) => collect_alert(&mut **connection, incoming, outgoing),
            Side::Server(connection) => collect_alert(&mut **connection, incoming, outgoing),
        }
        self.incoming.clear();
    }
}

/// What both sides' connections have in common.
trait Records {
    type Data;

    fn process<'c, 'i>(
        &'c mut self,
        incoming: &'i mut [u8],
    ) -> UnbufferedStatus<'c, 'i, Self::Data>;
}

impl Records for UnbufferedClientConnection {
    type Data = ClientConnectionData;

    fn process<'c, 'i>(
        &'c mut self,
        incoming: &'i mut [u8],
    ) -> UnbufferedStatus<'c, 'i, Self::Data> {
        self.process_tls_records(incoming)
    }
}

impl Records for UnbufferedServerConnection {
    type Data = ServerConnectionData;

    fn process<'c, 'i>(
        &'c mut self,
        incoming: &'i mut [u8],
    ) -> UnbufferedStatus<'c, 'i, Self::Data> {
        self.process_tls_records(incoming)
    }
}

/// What a session has besides its connection.
struct Parts<'a> {
    incoming: &'a mut Buffer,
    outgoing: &'a mut Buffer,
    surplus: &'a mut Vec<u8>,
    has_ended: &'a mut bool,
}

impl Parts<'_> {
    /// Goes from state to state until more ciphertext is needed, or the sink is full.
    fn step_through(
        self,
        connection: &mut impl Records,
        sink: &mut impl Sink,
        mut send: Send<'_>,
    ) -> Result<Phase, Error> {
        let mut moved = false;
        loop {
            // Full is what held something and was given enough; nobody gives it more.
            if moved && sink.is_full() && matches!(send, Send::Nothing) {
                return Ok(Phase::Open);
            }
            let UnbufferedStatus { discard, state } =
                connection.process(self.incoming.filled_mut());
            let mut discard = discard;
            let mut phase = None;
            match state {
                Err(error) => {
                    self.incoming.consume(discard);
                    return Err(error);
                }
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(record) = traffic.next_record() {
                        let record = record?;
                        discard += record.discard;
                        let put = match self.surplus.is_empty() {
                            true => sink.put(record.payload),
                            false => 0,
                        };
                        moved = true;
                        self.surplus.extend_from_slice(&record.payload[put..]);
                    }
                }
                Ok(ConnectionState::EncodeTlsData(mut data)) => {
                    append(self.outgoing, 0, |room| data.encode(room))?;
                }
                // The outgoing bytes are sent in their order, so they are as good as sent.
                Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
                Ok(ConnectionState::BlockedHandshake) => match send {
                    Send::Nothing | Send::Close => phase = Some(Phase::Handshake),
                    Send::Data(_) => return Err(Error::HandshakeNotComplete),
                },
                Ok(ConnectionState::WriteTraffic(mut traffic)) => {
                    let ended = match *self.has_ended {
                        true => Phase::Ended,
                        false => Phase::Open,
                    };
                    match std::mem::replace(&mut send, Send::Nothing) {
                        Send::Nothing => {}
                        Send::Data(plaintext) => {
                            let need = encrypted_bytes(plaintext.len());
                            append(self.outgoing, need, |room| traffic.encrypt(plaintext, room))?;
                        }
                        Send::Close => {
                            append(self.outgoing, 0, |room| traffic.queue_close_notify(room))?;
                        }
                    }
                    phase = Some(ended);
                }
                // Said once. There may still be something to send.
                Ok(ConnectionState::PeerClosed) => *self.has_ended = true,
                Ok(ConnectionState::Closed) => match send {
                    Send::Nothing | Send::Close => {
                        *self.has_ended = true;
                        phase = Some(Phase::Ended);
                    }
                    Send::Data(_) => return Err(Error::General("it was closed".to_owned())),
                },
                // No early data is accepted, so there is no other state.
                Ok(state) => {
                    let text = format!("unexpected state of the TLS connection: {state:?}");
                    return Err(Error::General(text));
                }
            }
            self.incoming.consume(discard);
            if let Some(phase) = phase {
                return Ok(phase);
            }
        }
    }
}

fn collect_alert(connection: &mut impl Records, incoming: &mut Buffer, outgoing: &mut Buffer) {
    let status = connection.process(incoming.filled_mut());
    if let Ok(ConnectionState::EncodeTlsData(mut data)) = status.state {
        // Without it the peer only sees that the connection is closed.
        let _ = append(outgoing, 0, |room| data.encode(room));
    }
}

/// What so many bytes take as records, at most.
fn encrypted_bytes(plaintext: usize) -> usize {
    plaintext + plaintext.div_ceil(RECORD_BYTES_MAX) * RECORD_OVERHEAD_BYTES
}

/// Why nothing could be appended.
enum Refused {
    /// So much room is needed.
    Room(usize),
    Error(Error),
}

impl From<EncodeError> for Refused {
    fn from(error: EncodeError) -> Self {
        match error {
            EncodeError::InsufficientSize(need) => Self::Room(need.required_size),
            EncodeError::AlreadyEncoded => {
                Self::Error(Error::General("a record was encoded twice".to_owned()))
            }
        }
    }
}

impl From<EncryptError> for Refused {
    fn from(error: EncryptError) -> Self {
        match error {
            EncryptError::InsufficientSize(need) => Self::Room(need.required_size),
            EncryptError::EncryptExhausted => Self::Error(Error::EncryptError),
        }
    }
}

/// Appends what `write` writes to room for `need` bytes, or for as many as it says.
fn append<E: Into<Refused>>(
    outgoing: &mut Buffer,
    mut need: usize,
    mut write: impl FnMut(&mut [u8]) -> Result<usize, E>,
) -> Result<(), Error> {
    loop {
        outgoing.hold();
        while outgoing.room() < need && outgoing.grow() {}
        let tail = outgoing.tail();
        let filled = tail.len();
        tail.resize(filled + need, 0);
        match write(&mut tail[filled..]).map_err(Into::into) {
            Ok(count) => {
                tail.truncate(filled + count);
                return Ok(());
            }
            Err(refused) => {
                tail.truncate(filled);
                match refused {
                    Refused::Room(room) if room > need => need = room,
                    Refused::Room(_) => return Err(Error::EncryptError),
                    Refused::Error(error) => return Err(error),
                }
            }
        }
    }
}

/// Counts what goes to another sink.
struct Counting<'a, S> {
    sink: &'a mut S,
    moved: usize,
}

impl<S: Sink> Sink for Counting<'_, S> {
    fn put(&mut self, plaintext: &[u8]) -> usize {
        let count = self.sink.put(plaintext);
        self.moved += count;
        count
    }

    fn is_full(&self) -> bool {
        self.sink.is_full()
    }
}

#[cfg(test)]
mod tests;
