//! Where the connections of a cluster are limited (`connectionPool.tcp.maxConnections`): who may
//! open one, and who waits for one of those there are.
//!
//! The limit is of all cores together. A core that has no connection to an endpoint may open one
//! all the same, as in Envoy: nobody on it could give one back, so its requests would wait for
//! ever. Requests wait in the order in which they came; who is called and finds nothing is first
//! again.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    future::poll_fn,
    rc::Rc,
    sync::Arc,
    task::{Poll, Waker},
};

use ringmain_core::limit::{OpenConnection, OpenConnections};

/// The way to the limited connections of one core to one endpoint.
#[derive(Default)]
pub struct Turnstile {
    /// Open or being opened.
    connections: Cell<u32>,
    /// Bounded by the requests of the core, and by `http1MaxPendingRequests`.
    waiting: RefCell<VecDeque<Rc<Ticket>>>,
}

#[derive(Default)]
struct Ticket {
    is_called: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

/// A limited connection. Dropping it makes room for another.
pub struct Held {
    turnstile: Rc<Turnstile>,
    open: Option<OpenConnection>,
}

impl Turnstile {
    /// Room for one more connection; `None`: somebody else's is to be waited for.
    pub fn enter(self: &Rc<Self>, open: &Arc<OpenConnections>, max: u32) -> Option<Held> {
        let open = match open.take(Some(max)) {
            None if self.connections.get() > 0 => return None,
            None => Some(open.take_beyond()),
            taken => taken,
        };
        self.connections.set(self.connections.get() + 1);
        Some(Held {
            turnstile: Rc::clone(self),
            open,
        })
    }

    /// Others came before.
    pub fn is_crowded(&self) -> bool {
        !self.waiting.borrow().is_empty()
    }

    /// Something is to be had for the one that has waited for longest.
    pub fn call(&self) {
        let Some(ticket) = self.waiting.borrow_mut().pop_front() else {
            return;
        };
        ticket.is_called.set(true);
        if let Some(waker) = ticket.waker.take() {
            waker.wake();
        }
    }

    /// Waits to be called; `again`: it was, in vain. May be dropped.
    pub async fn wait(&self, again: bool) {
        let waiting = Waiting {
            turnstile: self,
            ticket: Rc::default(),
        };
        let ticket = Rc::clone(&waiting.ticket);
        match again {
            true => self.waiting.borrow_mut().push_front(ticket),
            false => self.waiting.borrow_mut().push_back(ticket),
        }
        poll_fn(|context| match waiting.ticket.is_called.take() {
            true => Poll::Ready(()),
            false => {
                *waiting.ticket.waker.borrow_mut() = Some(context.waker().clone());
                Poll::Pending
            }
        })
        .await;
    }
}

/// Somebody waits.
struct Waiting<'t> {
    turnstile: &'t Turnstile,
    ticket: Rc<Ticket>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if self.ticket.is_called.get() {
            // It was called and is gone: the call is the next one's.
            self.turnstile.call();
        } else {
            let mut waiting = self.turnstile.waiting.borrow_mut();
            waiting.retain(|other| !Rc::ptr_eq(other, &self.ticket));
        }
    }
}

impl Held {
    /// It has something to give to who waits.
    pub fn call(&self) {
        self.turnstile.call();
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let connections = &self.turnstile.connections;
        connections.set(connections.get() - 1);
        // Before somebody is called who takes it.
        drop(self.open.take());
        self.turnstile.call();
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::Future,
        pin::{Pin, pin},
        rc::Rc,
        sync::Arc,
        task::{Context, Waker},
    };

    use ringmain_core::limit::OpenConnections;

    use super::Turnstile;

    fn is_called(wait: Pin<&mut impl Future>) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        wait.poll(&mut context).is_ready()
    }

    #[test]
    fn each_core_has_one_and_all_have_no_more_than_allowed() {
        let open = Arc::new(OpenConnections::default());
        let [here, there] = [(); 2].map(|()| Rc::new(Turnstile::default()));
        let first = here.enter(&open, 2);
        let second = here.enter(&open, 2);
        assert!(first.is_some() && second.is_some());
        assert!(here.enter(&open, 2).is_none());
        let beyond = there.enter(&open, 2);
        assert!(beyond.is_some(), "it has none");
        assert!(there.enter(&open, 2).is_none());
        assert_eq!(open.count(), 3);
        drop(first);
        assert!(here.enter(&open, 2).is_none(), "there is one too many");
        drop(beyond);
        assert!(here.enter(&open, 2).is_some());
        drop(second);
        assert_eq!(open.count(), 0);
    }

    #[test]
    fn first_come_first_served() {
        let turnstile = Rc::new(Turnstile::default());
        let (mut first, mut second) = (pin!(turnstile.wait(false)), pin!(turnstile.wait(false)));
        assert!(!is_called(first.as_mut()) && !is_called(second.as_mut()));
        assert!(turnstile.is_crowded());
        turnstile.call();
        assert!(is_called(first.as_mut()) && !is_called(second.as_mut()));
        let mut again = pin!(turnstile.wait(true));
        assert!(!is_called(again.as_mut()));
        turnstile.call();
        assert!(is_called(again.as_mut()) && !is_called(second.as_mut()));
        turnstile.call();
        assert!(is_called(second.as_mut()) && !turnstile.is_crowded());
        turnstile.call();
    }

    #[test]
    fn who_leaves_takes_no_call_along() {
        let turnstile = Rc::new(Turnstile::default());
        let mut first = Box::pin(turnstile.wait(false));
        let mut second = Box::pin(turnstile.wait(false));
        let mut third = pin!(turnstile.wait(false));
        assert!(!is_called(first.as_mut()) && !is_called(second.as_mut()));
        assert!(!is_called(third.as_mut()));
        drop(first);
        turnstile.call();
        drop(second);
        assert!(is_called(third.as_mut()));
    }
}
