//! Bytes as fast as they go, to the server, from it, or both at the same time.
//!
//! An exchange is one block, so that the engine sees the bytes as they move. Both directions are two
//! lanes of a connection, which do not wait for each other.

use std::{cell::RefCell, future::poll_fn, pin::pin, rc::Rc};

use super::{Answer, Broken, Endpoint, Protocol};
use crate::{
    failure::Failed,
    plan::{Direction, Kind, Plan, PlanError, Target},
    transport::{Connector, Receiver, Sender, Transport},
};

/// Sent or received at a time: large enough that what a block costs does not show, small enough to
/// stay in a CPU's cache.
const BLOCK_BYTES: usize = 128 << 10;

/// A stream over TCP or, in one direction, TLS.
#[derive(Clone, Debug)]
pub(crate) struct Stream {
    connector: Connector,
    direction: Direction,
    block: Rc<Vec<u8>>,
}

/// One direction of a connection.
pub(crate) enum Session {
    Send(Transport),
    Receive(Transport, Vec<u8>),
    /// Sends; what the other lane is to have, until it asks.
    SendHalf(Sender, RefCell<Option<Receiver>>),
    ReceiveHalf(Receiver, Vec<u8>),
}

impl Protocol for Stream {
    type Message = ();
    type Session = Session;

    fn new(plan: &Plan) -> Result<Self, PlanError> {
        Ok(Self {
            connector: Connector::new(&plan.tls, &[], plan.is_secure())?,
            direction: match plan.kind {
                Kind::TcpStream(direction) => direction,
                _ => Direction::default(),
            },
            block: Rc::new(Target::filler(BLOCK_BYTES)),
        })
    }

    fn connector(&self) -> &Connector {
        &self.connector
    }

    fn message(&self, _: &Target) -> Result<(), PlanError> {
        Ok(())
    }

    async fn open(&self, endpoint: &Endpoint) -> Result<Session, Failed> {
        let transport = self.connector.connect(endpoint).await?;
        Ok(match self.direction {
            Direction::Send => Session::Send(transport),
            Direction::Receive => Session::Receive(transport, Vec::with_capacity(BLOCK_BYTES)),
            Direction::Both => {
                let (receiver, sender) = transport.into_halves();
                Session::SendHalf(sender, RefCell::new(Some(receiver)))
            }
        })
    }

    fn fork(&self, session: &Session) -> Option<Session> {
        let Session::SendHalf(_, other) = session else {
            return None;
        };
        let receiver = other.borrow_mut().take()?;
        Some(Session::ReceiveHalf(
            receiver,
            Vec::with_capacity(BLOCK_BYTES),
        ))
    }

    async fn exchange(&self, session: &mut Session, (): &()) -> Result<Answer, Broken> {
        in_turn(self.move_block(session)).await
    }

    fn is_reusable(&self, _: &Session, complete: bool) -> bool {
        complete
    }
}

impl Stream {
    async fn move_block(&self, session: &mut Session) -> Result<Answer, Broken> {
        let moved = match session {
            Session::Send(transport) => transport.send(&self.block).await,
            Session::SendHalf(sender, _) => sender.send(&self.block).await,
            Session::Receive(transport, buffer) => {
                let mut block = std::mem::take(buffer);
                block.clear();
                let (read, block) = transport.read(block).await;
                *buffer = block;
                return received(read);
            }
            Session::ReceiveHalf(receiver, buffer) => {
                let mut block = std::mem::take(buffer);
                block.clear();
                let (read, block) = receiver.read(block).await;
                *buffer = block;
                return received(read);
            }
        };
        moved.map_err(|error| Failed::io("sending", &error))?;
        Ok(Answer {
            status: None,
            bytes_in: 0,
            bytes_out: self.block.len() as u64,
        })
    }
}

/// Lets the other lanes have their turn after an operation that was done at once. With epoll all are
/// for as long as the other side keeps up, and a lane would have the thread to itself; those of a
/// ring never are.
async fn in_turn<F: Future>(operation: F) -> F::Output {
    let mut operation = pin!(operation);
    let mut at_once = true;
    let output = poll_fn(|context| {
        let polled = operation.as_mut().poll(context);
        at_once &= polled.is_ready();
        polled
    })
    .await;
    if at_once {
        // A task that wakes itself stays first in the runtime's queue; one that waits for another
        // goes to the end of it.
        monoio::spawn(async {}).await;
    }
    output
}

fn received(read: std::io::Result<usize>) -> Result<Answer, Broken> {
    match read {
        Ok(0) => Err(Failed::closed().into()),
        Ok(count) => Ok(Answer {
            status: None,
            bytes_in: count as u64,
            bytes_out: 0,
        }),
        Err(error) => Err(Failed::io("receiving", &error).into()),
    }
}
