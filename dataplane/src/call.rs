//! A request as others on its core see it: how it is ended from outside of its exchange.

use std::{
    cell::{Cell, OnceCell, RefCell},
    rc::Rc,
    time::Duration,
};

use crate::io::{
    self,
    alarm::Alarm,
    deadline::{Deadlines, Micros},
    stream::Stream,
};

/// There is nobody to take the answer of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone;

/// One request under way; of an HTTP/1 connection, the one that is.
#[derive(Default)]
pub struct Call {
    /// The connection that its answer comes from, unless that carries other requests, too.
    upstream: RefCell<Option<Rc<Stream>>>,
    /// What bounds the waits for streams of HTTP/2. There is none before one was needed.
    alarm: OnceCell<Alarm>,
    is_waiting: Cell<bool>,
    is_gone: Cell<bool>,
}

impl Call {
    /// It waits for its answer from now on, which comes from this connection of HTTP/1, if from
    /// one. When nobody is there to take it, the connection is of no use to anybody.
    pub fn wait_for(&self, upstream: Option<Rc<Stream>>) {
        if let (true, Some(upstream)) = (self.is_gone.get(), &upstream) {
            upstream.abort();
        }
        *self.upstream.borrow_mut() = upstream;
        self.is_waiting.set(true);
    }

    /// It waits for nobody any more. What bounded its waits is not to bound those of the next
    /// request on the connection.
    pub fn end_wait(&self) {
        *self.upstream.borrow_mut() = None;
        self.is_waiting.set(false);
        if let Some(alarm) = self.alarm.get() {
            alarm.clear();
        }
    }

    /// Waits so long.
    ///
    /// # Errors
    /// [`Gone`] as soon as there is nobody to take its answer.
    pub async fn sleep(&self, deadlines: &Rc<Deadlines>, wait: Duration) -> Result<(), Gone> {
        let alarm = self.alarm(deadlines);
        alarm.clear();
        alarm.guard(io::sleep(wait)).await.map_err(|_| Gone)
    }

    /// It waits for somebody other than its client.
    pub fn is_waiting(&self) -> bool {
        self.is_waiting.get()
    }

    /// What bounds its waits for streams of HTTP/2, of its client or its upstream.
    pub fn alarm(&self, deadlines: &Rc<Deadlines>) -> &Alarm {
        self.alarm.get_or_init(|| {
            let alarm = deadlines.alarm();
            if self.is_gone.get() {
                alarm.ring();
            }
            alarm
        })
    }

    /// Nobody is there to take its answer: whatever it waits for ends now.
    pub fn cut(&self) {
        self.is_gone.set(true);
        if let Some(upstream) = &*self.upstream.borrow() {
            upstream.abort();
        }
        if let Some(alarm) = self.alarm.get() {
            alarm.ring();
        }
    }

    /// Nobody is there to take its answer.
    pub fn is_gone(&self) -> bool {
        self.is_gone.get()
    }

    /// Something of it has moved: until `late` something has to move again.
    pub fn moved(&self, late: Micros) {
        if let Some(alarm) = self.alarm.get() {
            alarm.set(late);
        }
    }
}
