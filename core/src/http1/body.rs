//! Takes the framing off a body, in place (RFC 9112 sections 6 and 7).

use std::ops::Range;

use memchr::memchr;
use ringmain_config::tuning::UnderscoresInHeaders;

use super::{framing::Framing, reject::Reject, trailers::Trailers};

/// Decodes one message's body. Its state is a few words, and at most 8 KiB of trailers.
#[derive(Clone, Debug)]
pub struct BodyDecoder {
    state: State,
    /// Payload bytes that may still come before the body is refused as too large.
    allowance: u64,
    /// Bytes of chunk extensions that were skipped.
    extension_bytes: usize,
    trailers: Trailers,
}

/// What one call of [`BodyDecoder::decode`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// Bytes taken from the front of the buffer: all of it, unless the body ended before.
    pub consumed: usize,
    /// Where the payload among them now stands.
    pub data: Range<usize>,
    /// The body is complete; what follows belongs to the next message.
    pub done: bool,
}

/// What it means that the peer closed its side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndOfStream {
    /// The body is complete.
    Complete,
    /// Something is missing.
    Truncated,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Done,
    UntilClose,
    /// Bytes still to come.
    Length(u64),
    /// In the digits of a chunk size.
    Size {
        size: u64,
        digits: u8,
    },
    /// After `;`.
    Extension {
        size: u64,
        length: usize,
    },
    /// After the CR of a chunk's first line.
    SizeEnd {
        size: u64,
    },
    /// Bytes of this chunk still to come.
    Data(u64),
    /// CR must follow the data.
    DataEnd,
    /// LF must follow that CR.
    DataLineFeed,
    Trailers,
}

impl BodyDecoder {
    /// For a body of this framing, of any size.
    pub fn new(framing: Framing) -> Self {
        let state = match framing {
            Framing::None | Framing::Length(0) => State::Done,
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => CHUNK_START,
            Framing::UntilClose => State::UntilClose,
        };
        Self {
            state,
            allowance: u64::MAX,
            extension_bytes: 0,
            trailers: Trailers::default(),
        }
    }

    /// Refuses a body whose payload is longer ([`Reject::BodyTooLarge`]): at once when its length
    /// was declared, else when the chunk arrives that crosses the limit.
    #[must_use]
    pub fn with_limit(mut self, payload_bytes_max: u64) -> Self {
        self.allowance = payload_bytes_max;
        self
    }

    /// What is done with trailers whose name holds `_`: refused with
    /// [`Reject::HeaderUnderscore`], left out, or, without this call, nothing.
    #[must_use]
    pub fn with_underscores(mut self, underscores: UnderscoresInHeaders) -> Self {
        self.trailers.set_underscores(underscores);
        self
    }

    /// Takes everything from the front of `buffer` that belongs to the body, and moves the payload
    /// together so that it is one range. Nothing moves when there is at most one chunk. A body
    /// without bytes is done at the first call, also with an empty buffer.
    ///
    /// # Errors
    /// Why the body is refused; payload of the same call is lost. The verdict does not depend on
    /// how the bytes were cut.
    pub fn decode(&mut self, buffer: &mut [u8]) -> Result<Decoded, Reject> {
        match self.state {
            State::Done => Ok(Decoded {
                consumed: 0,
                data: 0..0,
                done: true,
            }),
            State::Length(remaining) => self.decode_length(buffer, remaining),
            State::UntilClose => {
                self.allow(buffer.len() as u64)?;
                Ok(Decoded {
                    consumed: buffer.len(),
                    data: 0..buffer.len(),
                    done: false,
                })
            }
            _ => self.decode_chunks(buffer),
        }
    }

    /// Bytes of a body of declared length that are still to come: all payload, so that they may go
    /// where they go without being looked at, which [`Self::pass`] is told. 0 for other framings.
    pub fn remaining(&self) -> u64 {
        match self.state {
            State::Length(remaining) => remaining,
            _ => 0,
        }
    }

    /// So many bytes of the [`remaining`](Self::remaining) ones went on.
    ///
    /// # Errors
    /// The body is too large, as for [`Self::decode`].
    ///
    /// # Panics
    /// There were not so many.
    pub fn pass(&mut self, payload_bytes: u64) -> Result<(), Reject> {
        let left = self.remaining().checked_sub(payload_bytes);
        let left = left.expect("no more passes than is left of the body");
        self.allow(payload_bytes)?;
        self.state = match left {
            0 => State::Done,
            left => State::Length(left),
        };
        Ok(())
    }

    /// The body is complete. False for one that ends with the connection.
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Once the body is complete: its trailers, as lines with their CRLF, without those that must
    /// not be sent on (RFC 9110 section 6.5.1). Often empty.
    pub fn trailers(&self) -> &[u8] {
        self.trailers.lines()
    }

    /// The peer closed its side now.
    pub fn on_end_of_stream(&self) -> EndOfStream {
        match self.state {
            State::Done | State::UntilClose => EndOfStream::Complete,
            _ => EndOfStream::Truncated,
        }
    }

    fn decode_length(&mut self, buffer: &[u8], remaining: u64) -> Result<Decoded, Reject> {
        if remaining > self.allowance {
            return Err(Reject::BodyTooLarge);
        }
        let (taken, _) = take(buffer.len(), remaining);
        self.pass(taken as u64)?;
        Ok(Decoded {
            consumed: taken,
            data: 0..taken,
            done: self.is_done(),
        })
    }

    fn decode_chunks(&mut self, buffer: &mut [u8]) -> Result<Decoded, Reject> {
        let mut data = 0..0;
        let mut position = 0;
        while position < buffer.len() && self.state != State::Done {
            match self.state {
                State::Data(remaining) => {
                    let (taken, left) = take(buffer.len() - position, remaining);
                    if data.is_empty() {
                        data = position..position;
                    }
                    if data.end != position {
                        buffer.copy_within(position..position + taken, data.end);
                    }
                    data.end += taken;
                    position += taken;
                    self.state = match left {
                        0 => State::DataEnd,
                        left => State::Data(left),
                    };
                }
                State::Trailers => {
                    let rest = &buffer[position..];
                    let line_feed = memchr(b'\n', rest);
                    self.trailers
                        .extend(&rest[..line_feed.unwrap_or(rest.len())])?;
                    position += line_feed.map_or(rest.len(), |offset| offset + 1);
                    if line_feed.is_some() && self.trailers.end_line()? {
                        self.state = State::Done;
                    }
                }
                _ => {
                    self.state = self.frame_byte(buffer[position])?;
                    position += 1;
                }
            }
        }
        Ok(Decoded {
            consumed: position,
            data,
            done: self.state == State::Done,
        })
    }

    /// The state after a byte between the data.
    fn frame_byte(&mut self, byte: u8) -> Result<State, Reject> {
        match (self.state, byte) {
            (State::Size { size, digits }, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                // 16 digits are 64 bits, so the shift below loses none.
                if digits == 16 {
                    return Err(Reject::ChunkSize);
                }
                let digit = (byte as char).to_digit(16).unwrap_or_default();
                Ok(State::Size {
                    size: size << 4 | u64::from(digit),
                    digits: digits + 1,
                })
            }
            (State::Size { digits: 0, .. }, _) => Err(Reject::ChunkSize),
            (State::Size { size, .. } | State::Extension { size, .. }, b'\r') => {
                Ok(State::SizeEnd { size })
            }
            (State::Size { .. } | State::Extension { .. }, b'\n') => Err(Reject::BareLineEnd),
            (State::Size { size, .. }, b';') => Ok(State::Extension { size, length: 0 }),
            (State::Size { .. }, _) => Err(Reject::ChunkSize),
            (State::Extension { size, length }, b'\t' | b' '..=b'~') => {
                self.extension_bytes += 1;
                if length == EXTENSION_BYTES_MAX
                    || self.extension_bytes > EXTENSION_BYTES_PER_BODY_MAX
                {
                    return Err(Reject::ChunkExtensionTooLong);
                }
                Ok(State::Extension {
                    size,
                    length: length + 1,
                })
            }
            (State::Extension { .. }, _) => Err(Reject::ChunkExtension),
            (State::SizeEnd { size: 0 }, b'\n') => Ok(State::Trailers),
            (State::SizeEnd { size }, b'\n') => {
                self.allow(size)?;
                Ok(State::Data(size))
            }
            (State::SizeEnd { .. }, _) => Err(Reject::BareLineEnd),
            (State::DataEnd, b'\r') => Ok(State::DataLineFeed),
            (State::DataEnd, b'\n') => Err(Reject::BareLineEnd),
            (State::DataEnd, _) => Err(Reject::ChunkEnd),
            (State::DataLineFeed, b'\n') => Ok(CHUNK_START),
            (State::DataLineFeed, _) => Err(Reject::BareLineEnd),
            (
                State::Done
                | State::UntilClose
                | State::Length(_)
                | State::Data(_)
                | State::Trailers,
                _,
            ) => unreachable!("these states do not read byte by byte"),
        }
    }

    fn allow(&mut self, payload_bytes: u64) -> Result<(), Reject> {
        self.allowance = self
            .allowance
            .checked_sub(payload_bytes)
            .ok_or(Reject::BodyTooLarge)?;
        Ok(())
    }
}

/// How many of `available` bytes belong to a part of `remaining` bytes, and what is left of it.
fn take(available: usize, remaining: u64) -> (usize, u64) {
    match usize::try_from(remaining) {
        Ok(remaining) if remaining <= available => (remaining, 0),
        _ => (available, remaining - available as u64),
    }
}

const CHUNK_START: State = State::Size { size: 0, digits: 0 };

/// Of one chunk's extensions: known ones are a short name and a number.
const EXTENSION_BYTES_MAX: usize = 256;

/// Of a body's extensions in all, so that they cannot be most of what is read.
const EXTENSION_BYTES_PER_BODY_MAX: usize = 4096;
