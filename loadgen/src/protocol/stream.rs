//! Bytes as fast as they go, to the server, from it, or both at the same time.
//!
//! An exchange is one block, so that the engine sees the bytes as they move. Both directions are
//! two lanes of a connection, which do not wait for each other.

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    io,
    pin::pin,
    rc::Rc,
};

use super::{Answer, Broken, Endpoint, Protocol};
use crate::{
    failure::Failed,
    plan::{Direction, Kind, Plan, PlanError, Target},
    transport::{Connector, Receiver, Sender, Transport},
};

/// Sent or received at a time: large enough that what a block costs does not show, small enough to
/// stay in a CPU's cache.
const BLOCK_BYTES: usize = 128 << 10;

/// A stream over TCP or TLS.
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
    SendHalf(Sender, RefCell<Option<Receiver>>, Farewell),
    ReceiveHalf(Receiver, Vec<u8>, Farewell),
}

/// The sending half has said that nothing more comes: from then on an end of what is received is an
/// answer to that.
type Farewell = Rc<Cell<bool>>;

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
            block: Rc::new(Target::filler(BLOCK_BYTES).into()),
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
                Session::SendHalf(sender, RefCell::new(Some(receiver)), Farewell::default())
            }
        })
    }

    fn fork(&self, session: &Session) -> Option<Session> {
        let Session::SendHalf(_, other, farewell) = session else {
            return None;
        };
        let receiver = other.borrow_mut().take()?;
        Some(Session::ReceiveHalf(
            receiver,
            Vec::with_capacity(BLOCK_BYTES),
            Rc::clone(farewell),
        ))
    }

    async fn exchange(&self, session: &mut Session, (): &()) -> Result<Answer, Broken> {
        in_turn(self.move_block(session)).await
    }

    async fn end(&self, session: Session) -> Result<Answer, Failed> {
        let mut bytes_in = 0;
        match session {
            Session::Send(mut transport) => {
                transport
                    .shutdown()
                    .await
                    .map_err(|error| refused(&error))?;
                // What a server says at its end is not part of the stream.
                let mut block = Vec::with_capacity(BLOCK_BYTES);
                while more(transport.read(emptied(&mut block)).await, &mut block)? > 0 {}
            }
            Session::Receive(mut transport, mut block) => {
                transport
                    .shutdown()
                    .await
                    .map_err(|error| refused(&error))?;
                while let count @ 1.. = more(transport.read(emptied(&mut block)).await, &mut block)?
                {
                    bytes_in += count;
                }
            }
            Session::SendHalf(mut sender, _, farewell) => {
                farewell.set(true);
                sender.shutdown().await.map_err(|error| refused(&error))?;
            }
            Session::ReceiveHalf(mut receiver, mut block, _) => {
                while let count @ 1.. = more(receiver.read(emptied(&mut block)).await, &mut block)?
                {
                    bytes_in += count;
                }
            }
        }
        Ok(Answer {
            bytes_in,
            ..Answer::default()
        })
    }

    fn is_reusable(&self, _: &Session, complete: bool) -> bool {
        complete
    }
}

impl Stream {
    async fn move_block(&self, session: &mut Session) -> Result<Answer, Broken> {
        let moved = match session {
            Session::Send(transport) => transport.send(&self.block).await,
            Session::SendHalf(sender, ..) => sender.send(&self.block).await,
            Session::Receive(transport, block) => {
                return received(transport.read(emptied(block)).await, block, false);
            }
            Session::ReceiveHalf(receiver, block, farewell) => {
                let read = receiver.read(emptied(block)).await;
                return received(read, block, farewell.get());
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

/// Lets the other lanes have their turn after an operation that was done at once. With epoll all
/// are for as long as the other side keeps up, and a lane would have the thread to itself; those of
/// a ring never are.
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

/// A buffer to read into; what it was taken from gets it back from [`more`].
fn emptied(block: &mut Vec<u8>) -> Vec<u8> {
    let mut block = std::mem::take(block);
    block.clear();
    block
}

/// What a read has brought; 0 at the end.
fn more((read, buffer): (io::Result<usize>, Vec<u8>), block: &mut Vec<u8>) -> Result<u64, Failed> {
    *block = buffer;
    let count = read.map_err(|error| Failed::io("receiving", &error))?;
    Ok(count as u64)
}

fn received(
    read: (io::Result<usize>, Vec<u8>),
    block: &mut Vec<u8>,
    may_end: bool,
) -> Result<Answer, Broken> {
    match more(read, block)? {
        0 if !may_end => Err(Failed::closed().into()),
        bytes_in => Ok(Answer {
            bytes_in,
            ..Answer::default()
        }),
    }
}

fn refused(error: &io::Error) -> Failed {
    Failed::io("ending the stream", error)
}
