//! A request as others on its core see it: how it is ended from outside of its exchange.

use std::{
    cell::{Cell, OnceCell, RefCell},
    rc::Rc,
};

use crate::io::{
    alarm::Alarm,
    deadline::{Deadlines, Micros},
    stream::Stream,
};

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
    /// one.
    pub fn wait_for(&self, upstream: Option<Rc<Stream>>) {
        *self.upstream.borrow_mut() = upstream;
        self.is_waiting.set(true);
    }

    /// It waits for nobody any more.
    pub fn end_wait(&self) {
        *self.upstream.borrow_mut() = None;
        self.is_waiting.set(false);
    }

    /// It waits for somebody other than its client.
    pub fn is_waiting(&self) -> bool {
        self.is_waiting.get()
    }

    /// What bounds its waits for streams of HTTP/2, of its client or its upstream.
    pub fn alarm(&self, deadlines: &Rc<Deadlines>) -> &Alarm {
        self.alarm.get_or_init(|| deadlines.alarm())
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
