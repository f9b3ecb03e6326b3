//! What a bridge sends: put together until the connection's task has said all that it has to say.

use std::{
    cell::RefCell,
    future::Future,
    io::{self, IoSlice},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
    time::Duration,
};

use smallvec::SmallVec;

use super::{Stream, Turn};
use crate::io::{buffer::Buffer, deadline::Expiry};

/// The sending half of a connection.
pub struct Line {
    stream: Rc<Stream>,
    /// Without progress.
    flush_timeout: Duration,
    state: RefCell<State>,
}

struct State {
    /// Written and not sent. Has memory only while there is something in it.
    outgoing: Buffer,
    /// A write waits for room. Made for each wait: there are few.
    room: Option<Pin<Box<dyn Future<Output = io::Result<()>>>>>,
    turns: Turn,
}

impl Line {
    pub(super) fn new(stream: Rc<Stream>, outgoing: Buffer, flush_timeout: Duration) -> Rc<Self> {
        Rc::new(Self {
            stream,
            flush_timeout,
            state: RefCell::new(State {
                outgoing,
                room: None,
                turns: Turn::default(),
            }),
        })
    }

    /// Sends what was written. Until it is, wakes when there is more room.
    ///
    /// # Errors
    /// The kernel's.
    pub fn poll_flush(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let state = &mut *self.state.borrow_mut();
        while !state.outgoing.is_empty() || self.stream.has_unsent() {
            ready!(self.poll_once(state, context, &[]))?;
        }
        Poll::Ready(Ok(()))
    }

    /// Takes as much of `slices` as it says.
    pub(super) fn poll_send(
        &self,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let state = &mut *self.state.borrow_mut();
        let total: usize = slices.iter().map(|slice| slice.len()).sum();
        state.outgoing.hold();
        if total <= state.outgoing.room() {
            let tail = state.outgoing.tail();
            slices
                .iter()
                .for_each(|slice| tail.extend_from_slice(slice));
            return Poll::Ready(Ok(total));
        }
        loop {
            let count = ready!(self.poll_once(state, context, slices))?;
            if count > 0 {
                return Poll::Ready(Ok(count));
            }
        }
    }

    /// Sends what was written and `slices` behind it, as far as there is room: so much of those.
    fn poll_once(
        &self,
        state: &mut State,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        loop {
            if let Some(room) = &mut state.room {
                let waited = ready!(room.as_mut().poll(context));
                state.room = None;
                waited?;
            } else if self.stream.is_epoll() {
                // On a ring whatever is sent has been received by way of the ring.
                ready!(state.turns.poll(&self.stream, context));
            }
            let sent = {
                let mut all: SmallVec<[IoSlice<'_>; 8]> = SmallVec::new();
                all.push(IoSlice::new(state.outgoing.filled()));
                all.extend(slices.iter().copied());
                self.stream.send_now(&all)
            };
            match sent {
                Ok(count) => {
                    // Nothing else sets it. When nothing has, this is one store.
                    self.stream.deadline().clear();
                    let waited = state.outgoing.filled().len().min(count);
                    state.outgoing.consume(waited);
                    state.outgoing.release();
                    return Poll::Ready(Ok(count - waited));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    state.turns.moves = 0;
                    let deadline = self.stream.deadline();
                    deadline.set_after(self.flush_timeout, Expiry::Close);
                    let stream = Rc::clone(&self.stream);
                    state.room = Some(Box::pin(async move { stream.writable().await }));
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    /// Sends what was written and these bytes, if there is room for them. Nothing is sent behind
    /// them.
    pub(super) fn send_last(&self, bytes: &[u8]) {
        let state = &mut *self.state.borrow_mut();
        let slices = [state.outgoing.filled(), bytes].map(IoSlice::new);
        // Who reads nothing is not told.
        let _ = self.stream.send_now(&slices);
        state.outgoing.clear();
        state.outgoing.release();
    }
}
