//! The bytes of one TLS connection, without its socket.
//!
//! Ciphertext is read straight into [`Session::incoming`] and decrypted where it stands; plaintext
//! goes to the caller's buffer, and only what has no room there is kept. What is to be sent
//! collects in [`Session::outgoing`]. The client's last flight of a handshake stays there too, and
//! leaves with the first request.

use rustls::{
    Error,
    client::UnbufferedClientConnection,
    unbuffered::{ConnectionState, EncodeError, EncryptError, UnbufferedStatus},
};

/// Room for one record with its head (RFC 8446 section 5.2) and most of the next.
const INCOMING_BYTES: usize = 32 << 10;
/// A handshake message may fill many records, and stays until it is complete. rustls refuses longer
/// ones than 64 KiB.
const INCOMING_BYTES_MAX: usize = 256 << 10;
/// What a handshake's flight or a small request needs.
const OUTGOING_BYTES: usize = 2 << 10;

/// A client's side.
pub(crate) struct Session {
    connection: UnbufferedClientConnection,
    /// Ciphertext, of which the first `consumed` bytes are done with.
    incoming: Vec<u8>,
    consumed: usize,
    /// Plaintext that had no room where it was read to, of which the first `taken` bytes are gone.
    surplus: Vec<u8>,
    taken: usize,
    outgoing: Outgoing,
    /// `close_notify` was received, or what is as good.
    ended: bool,
}

/// How far a session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Data can neither be sent nor received yet.
    Handshake,
    /// Data flows.
    Open,
    /// The peer said that it sends no more.
    Ended,
}

/// What a caller wants to send.
#[derive(Clone, Copy)]
enum Send<'a> {
    Nothing,
    Data(&'a [u8]),
    /// `close_notify` (RFC 8446 section 6.1).
    Close,
}

/// Takes plaintext and says how many bytes it had room for.
pub(crate) trait Sink {
    fn put(&mut self, plaintext: &[u8]) -> usize;
    fn is_full(&self) -> bool;
}

/// Fills the spare capacity.
impl Sink for Vec<u8> {
    fn put(&mut self, plaintext: &[u8]) -> usize {
        let room = plaintext.len().min(self.capacity() - self.len());
        self.extend_from_slice(&plaintext[..room]);
        room
    }

    fn is_full(&self) -> bool {
        self.len() == self.capacity()
    }
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

impl Session {
    pub(super) fn new(connection: UnbufferedClientConnection) -> Self {
        Self {
            connection,
            incoming: Vec::with_capacity(INCOMING_BYTES),
            consumed: 0,
            surplus: Vec::new(),
            taken: 0,
            outgoing: Outgoing::default(),
            ended: false,
        }
    }

    /// What ALPN agreed on.
    pub(crate) fn alpn(&self) -> Option<&[u8]> {
        self.connection.alpn_protocol()
    }

    /// It took up an earlier session. Known once the phase is open.
    pub(crate) fn is_resumed(&self) -> bool {
        self.connection.handshake_kind() == Some(rustls::HandshakeKind::Resumed)
    }

    /// Looks at all ciphertext that is there during the handshake.
    ///
    /// # Errors
    /// What is wrong with the peer. An alert that tells it is then in the outgoing bytes.
    pub(crate) fn advance(&mut self) -> Result<Phase, Error> {
        self.run(&mut Keep, Send::Nothing)
    }

    /// Moves plaintext into `sink` until it is full or there is no more. [`Phase::Open`] with
    /// nothing moved means that more ciphertext is needed.
    ///
    /// # Errors
    /// As [`Self::advance`].
    pub(crate) fn read(&mut self, sink: &mut impl Sink) -> Result<Phase, Error> {
        let moved = sink.put(&self.surplus[self.taken..]);
        self.taken += moved;
        if self.taken < self.surplus.len() || moved > 0 && sink.is_full() {
            return Ok(Phase::Open);
        }
        self.surplus.clear();
        self.taken = 0;
        let phase = self.run(sink, Send::Nothing)?;
        // Bytes before the end come first.
        Ok(match moved > 0 || !self.surplus.is_empty() {
            true => Phase::Open,
            false => phase,
        })
    }

    /// Encrypts `plaintext` behind what is to be sent already.
    ///
    /// # Errors
    /// As [`Self::advance`], since what has been received is looked at first.
    pub(crate) fn write(&mut self, plaintext: &[u8]) -> Result<(), Error> {
        self.run(&mut Keep, Send::Data(plaintext)).map(drop)
    }

    /// Tells the peer that nothing more comes.
    ///
    /// # Errors
    /// As [`Self::advance`].
    pub(crate) fn close(&mut self) -> Result<(), Error> {
        self.run(&mut Keep, Send::Close).map(drop)
    }

    /// Where ciphertext is to be read to, behind what it holds; `None` when an earlier one did not
    /// come back, or a message of the peer is too long.
    pub(crate) fn take_incoming(&mut self) -> Option<Vec<u8>> {
        self.incoming.drain(..std::mem::take(&mut self.consumed));
        let (held, capacity) = (self.incoming.len(), self.incoming.capacity());
        if held == capacity {
            if capacity == 0 || capacity >= INCOMING_BYTES_MAX {
                return None;
            }
            self.incoming.reserve_exact(capacity);
        }
        Some(std::mem::take(&mut self.incoming))
    }

    /// Gives back what [`Self::take_incoming`] gave, with more in it.
    pub(crate) fn give_incoming(&mut self, incoming: Vec<u8>) {
        self.incoming = incoming;
    }

    /// Takes all of `chunk`, for those who read and write at the same time: the session needs its
    /// own buffer for either. Reading stops while there is something to [`Self::read`], so what is
    /// held is bounded by the longest message.
    ///
    /// # Errors
    /// When a message of the peer is too long.
    pub(crate) fn feed(&mut self, chunk: &mut Vec<u8>) -> Result<(), Error> {
        if self.consumed == self.incoming.len() {
            self.consumed = 0;
            self.incoming.clear();
            std::mem::swap(&mut self.incoming, chunk);
            return Ok(());
        }
        self.incoming.drain(..std::mem::take(&mut self.consumed));
        if self.incoming.len() + chunk.len() > INCOMING_BYTES_MAX {
            return Err(Error::General("a TLS message is too long".to_owned()));
        }
        self.incoming.append(chunk);
        Ok(())
    }

    /// Memory for what [`Self::feed`] takes.
    pub(crate) fn chunk() -> Vec<u8> {
        Vec::with_capacity(INCOMING_BYTES)
    }

    /// The ciphertext that is to be sent: so many bytes from the front.
    pub(crate) fn take_outgoing(&mut self) -> (Vec<u8>, usize) {
        self.outgoing.take()
    }

    /// Gives memory back for later ciphertext.
    pub(crate) fn give_outgoing(&mut self, spent: Vec<u8>) {
        self.outgoing.give(spent);
    }

    /// Bytes of ciphertext that are to be sent.
    pub(crate) fn outgoing_bytes(&self) -> usize {
        self.outgoing.filled
    }

    fn run(&mut self, sink: &mut impl Sink, send: Send<'_>) -> Result<Phase, Error> {
        let outcome = self.step_through(sink, send);
        if outcome.is_err() {
            self.collect_alert();
        }
        outcome
    }

    /// Goes from state to state until more ciphertext is needed, or the sink is full.
    fn step_through(&mut self, sink: &mut impl Sink, mut send: Send<'_>) -> Result<Phase, Error> {
        if self.incoming.capacity() == 0 {
            // What was read last may have begun a message that is not here.
            return Err(Error::General("a read was given up".to_owned()));
        }
        let mut moved = 0;
        loop {
            let incoming = &mut self.incoming[self.consumed..];
            let UnbufferedStatus { discard, state } = self.connection.process_tls_records(incoming);
            let mut discard = discard;
            let mut phase = None;
            let state = match state {
                Ok(state) => state,
                Err(error) => {
                    self.consumed += discard;
                    return Err(error);
                }
            };
            match state {
                ConnectionState::ReadTraffic(mut traffic) => {
                    while let Some(record) = traffic.next_record() {
                        let record = record?;
                        discard += record.discard;
                        let put = match self.surplus.is_empty() {
                            true => sink.put(record.payload),
                            false => 0,
                        };
                        moved += put;
                        self.surplus.extend_from_slice(&record.payload[put..]);
                    }
                    // A writer has to go on to where data can be sent; a reader has enough.
                    if matches!(send, Send::Nothing) && moved > 0 && sink.is_full() {
                        phase = Some(Phase::Open);
                    }
                }
                ConnectionState::EncodeTlsData(mut data) => {
                    self.outgoing.encode(|room| data.encode(room))?;
                }
                // The outgoing bytes are sent in their order, so they are as good as sent.
                ConnectionState::TransmitTlsData(data) => data.done(),
                ConnectionState::BlockedHandshake => phase = Some(Phase::Handshake),
                ConnectionState::WriteTraffic(mut traffic) => {
                    match std::mem::replace(&mut send, Send::Nothing) {
                        Send::Nothing if self.ended => phase = Some(Phase::Ended),
                        Send::Nothing => phase = Some(Phase::Open),
                        Send::Data(plaintext) => self
                            .outgoing
                            .encrypt(|room| traffic.encrypt(plaintext, room))?,
                        Send::Close => self
                            .outgoing
                            .encrypt(|room| traffic.queue_close_notify(room))?,
                    }
                }
                // Said once. There may still be something to send.
                ConnectionState::PeerClosed => self.ended = true,
                ConnectionState::Closed => {
                    self.ended = true;
                    phase = Some(Phase::Ended);
                }
                state => {
                    let text = format!("unexpected state of the TLS connection: {state:?}");
                    return Err(Error::General(text));
                }
            }
            self.consumed += discard;
            if let Some(phase) = phase {
                return Ok(match moved {
                    0 => phase,
                    _ => Phase::Open,
                });
            }
        }
    }

    /// After an error rustls may have one more thing to say: the alert.
    fn collect_alert(&mut self) {
        let incoming = &mut self.incoming[self.consumed..];
        let status = self.connection.process_tls_records(incoming);
        if let Ok(ConnectionState::EncodeTlsData(mut data)) = status.state {
            // Without it the peer only sees that the connection is closed.
            let _ = self.outgoing.encode(|room| data.encode(room));
        }
        self.consumed += status.discard;
    }
}

/// Ciphertext on its way out. Its memory is initialised once and used again.
#[derive(Default)]
struct Outgoing {
    bytes: Vec<u8>,
    filled: usize,
}

impl Outgoing {
    fn take(&mut self) -> (Vec<u8>, usize) {
        let filled = std::mem::take(&mut self.filled);
        (std::mem::take(&mut self.bytes), filled)
    }

    fn give(&mut self, spent: Vec<u8>) {
        if self.bytes.is_empty() {
            self.bytes = spent;
        }
    }

    fn encode(
        &mut self,
        mut encode: impl FnMut(&mut [u8]) -> Result<usize, EncodeError>,
    ) -> Result<(), Error> {
        loop {
            match encode(&mut self.bytes[self.filled..]) {
                Ok(count) => {
                    self.filled += count;
                    return Ok(());
                }
                Err(EncodeError::InsufficientSize(need)) => self.grow(need.required_size),
                Err(EncodeError::AlreadyEncoded) => {
                    return Err(Error::General("a record was encoded twice".to_owned()));
                }
            }
        }
    }

    fn encrypt(
        &mut self,
        mut encrypt: impl FnMut(&mut [u8]) -> Result<usize, EncryptError>,
    ) -> Result<(), Error> {
        loop {
            match encrypt(&mut self.bytes[self.filled..]) {
                Ok(count) => {
                    self.filled += count;
                    return Ok(());
                }
                Err(EncryptError::InsufficientSize(need)) => self.grow(need.required_size),
                Err(EncryptError::EncryptExhausted) => return Err(Error::EncryptError),
            }
        }
    }

    fn grow(&mut self, room: usize) {
        let bytes = (self.filled + room).max(OUTGOING_BYTES);
        self.bytes.resize(bytes.max(self.bytes.capacity()), 0);
    }
}
