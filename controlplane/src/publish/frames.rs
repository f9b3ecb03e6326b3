//! Messages on a Unix stream, with a deadline on every wait that the peer could draw out.

use std::{io, time::Duration};

use ringmain_config::wire::{Decoder, Message, Refused, WireError};
use thiserror::Error;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    time::{error::Elapsed, timeout},
};

/// Why a connection ends.
#[derive(Debug, Error)]
pub(crate) enum FramesError {
    /// The peer closed between frames.
    #[error("the peer closed the connection")]
    Closed,
    /// The peer closed within a frame.
    #[error("the peer closed the connection within a message")]
    Truncated,
    /// A message that has no place where it came, or an answer to what was not asked.
    #[error("the peer sent a message out of turn")]
    OutOfPlace,
    /// What came is not our protocol.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// The peer does not read, or says nothing.
    #[error("the peer {0} for {1:?}")]
    Slow(&'static str, Duration),
    /// Anything else.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// One end of a connection between control plane and proxy or tool.
#[derive(Debug)]
pub(crate) struct Frames {
    stream: UnixStream,
    decoder: Decoder,
    /// Kept between messages, so that a connection does not allocate for each.
    scratch: Vec<u8>,
}

impl Frames {
    /// Takes over a connected stream.
    pub(crate) fn new(stream: UnixStream) -> Self {
        Self {
            stream,
            decoder: Decoder::default(),
            scratch: Vec::new(),
        }
    }

    /// The next message. Dropping the future loses nothing.
    ///
    /// # Errors
    /// When there will be none.
    pub(crate) async fn read(&mut self) -> Result<Message, FramesError> {
        let mut piece = [0; READ_BYTES];
        loop {
            if let Some(message) = self.decoder.message()? {
                return Ok(message);
            }
            let read = self.stream.read(&mut piece).await?;
            if read == 0 {
                let complete = self.decoder.is_empty();
                return Err(if complete {
                    FramesError::Closed
                } else {
                    FramesError::Truncated
                });
            }
            self.decoder.extend(&piece[..read]);
        }
    }

    /// As [`Self::read`], and an error when the whole message is not there in time.
    ///
    /// # Errors
    /// When there will be none, or not in time.
    pub(crate) async fn read_within(&mut self, limit: Duration) -> Result<Message, FramesError> {
        timeout(limit, self.read())
            .await
            .unwrap_or(Err(FramesError::Slow("sent no complete message", limit)))
    }

    /// Sends a message. A peer that does not take it within `limit` is given up: the stream then
    /// ends within a frame and cannot be used any further.
    ///
    /// # Errors
    /// When the message is too long (nothing is sent then), or the stream ends.
    pub(crate) async fn write(
        &mut self,
        message: &Message,
        limit: Duration,
    ) -> Result<(), FramesError> {
        self.scratch.clear();
        message.encode(&mut self.scratch)?;
        let scratch = std::mem::take(&mut self.scratch);
        let written = self.write_frame(&scratch, limit).await;
        if scratch.capacity() <= SCRATCH_BYTES_KEPT {
            self.scratch = scratch;
        }
        written
    }

    /// As [`Self::write`], of a message that was put into a frame already.
    ///
    /// # Errors
    /// When the stream ends.
    pub(crate) async fn write_frame(
        &mut self,
        frame: &[u8],
        limit: Duration,
    ) -> Result<(), FramesError> {
        match timeout(limit, self.stream.write_all(frame)).await {
            Ok(result) => Ok(result?),
            Err(Elapsed { .. }) => Err(FramesError::Slow("read nothing", limit)),
        }
    }

    /// Tells the peer why it is not served. The connection is to be dropped after it.
    pub(crate) async fn refuse(mut self, reason: String) {
        let refused = Message::Refused(Refused { reason });
        // Nothing follows from it when the peer is gone already.
        let _ = self.write(&refused, REFUSE_LIMIT).await;
    }
}

/// A hello or an ack fits into one read; on the stack of a connection's future.
const READ_BYTES: usize = 4 << 10;
/// A connection at rest keeps no more.
const SCRATCH_BYTES_KEPT: usize = 16 << 10;
const REFUSE_LIMIT: Duration = Duration::from_secs(1);
