//! Bytes that come back (RFC 862): every one of them is compared.

use std::rc::Rc;

use super::{Answer, Broken, Endpoint, Protocol};
use crate::{
    failure::Failed,
    plan::{Plan, PlanError, Target},
    transport::{Connector, Transport},
};

/// So many bytes may be away at a time: as many as the sockets on the way hold in any case, so that
/// neither side waits for the other to read.
const AWAY_BYTES_MAX: usize = 64 << 10;

/// Echo over TCP or TLS.
#[derive(Clone, Debug)]
pub(crate) struct Echo {
    connector: Connector,
}

/// What is sent, in pieces that may be away at a time.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pieces: Vec<Rc<Vec<u8>>>,
    bytes: u64,
}

/// A connection.
pub(crate) struct Session {
    transport: Transport,
    buffer: Vec<u8>,
}

impl Protocol for Echo {
    type Message = Message;
    type Session = Session;

    fn new(plan: &Plan) -> Result<Self, PlanError> {
        Ok(Self {
            connector: Connector::new(&plan.tls, &[], plan.is_secure())?,
        })
    }

    fn connector(&self) -> &Connector {
        &self.connector
    }

    fn message(&self, target: &Target) -> Result<Message, PlanError> {
        let pieces = target.body.chunks(AWAY_BYTES_MAX);
        Ok(Message {
            pieces: pieces.map(|piece| Rc::new(piece.to_vec())).collect(),
            bytes: target.body.len() as u64,
        })
    }

    async fn open(&self, endpoint: &Endpoint) -> Result<Session, Failed> {
        Ok(Session {
            transport: self.connector.connect(endpoint).await?,
            buffer: Vec::with_capacity(AWAY_BYTES_MAX),
        })
    }

    async fn exchange(&self, session: &mut Session, message: &Message) -> Result<Answer, Broken> {
        for piece in &message.pieces {
            session.exchange(piece).await?;
        }
        Ok(Answer {
            status: None,
            bytes_in: message.bytes,
            bytes_out: message.bytes,
        })
    }

    fn is_reusable(&self, _: &Session, complete: bool) -> bool {
        complete
    }
}

impl Session {
    async fn exchange(&mut self, piece: &Rc<Vec<u8>>) -> Result<(), Failed> {
        let sent = self.transport.send(piece).await;
        sent.map_err(|error| Failed::io("sending", &error))?;
        self.buffer.clear();
        while self.buffer.len() < piece.len() {
            let before = self.buffer.len();
            let buffer = std::mem::take(&mut self.buffer);
            let (read, buffer) = self.transport.read(buffer).await;
            self.buffer = buffer;
            match read {
                Ok(0) => return Err(Failed::closed()),
                Ok(_) => {}
                Err(error) => return Err(Failed::io("waiting for the echo", &error)),
            }
            let back = &self.buffer[before..];
            if piece.get(before..before + back.len()) != Some(back) {
                return Err(Failed::protocol(
                    "the bytes that came back are not those that were sent",
                ));
            }
        }
        Ok(())
    }
}
