//! Turns of the connections of one core, with epoll.
//!
//! There neither a receive nor a send waits while both peers keep up, so one connection could hold
//! the core for as long as it likes. On a ring every send to a peer is waited for.
//!
//! Who gives way waits for a byte that comes through the kernel. A task that wakes itself is put
//! before all others by the runtime, and as long as any task is ready the loop looks for events but
//! for no timers: with a byte on its way nothing is ready, and it looks for both.

use std::{
    cell::{OnceCell, RefCell},
    future::poll_fn,
    rc::Rc,
    task::{Poll, Waker},
};

use super::{
    doorbell::{Bell, Button, doorbell},
    spawn,
};

/// Who waits for its next turn.
#[derive(Default)]
pub struct Turns {
    /// Made when it is needed first; `None` when it cannot be.
    button: OnceCell<Option<Button>>,
    waiting: Rc<RefCell<Vec<Waker>>>,
}

impl Turns {
    /// Lets all others of this core have their turn, and what is due happen. Returns at once when
    /// there are no descriptors left for that.
    pub async fn give_way(&self) {
        let mut is_over = false;
        poll_fn(|context| {
            let is_queued = !std::mem::replace(&mut is_over, true) && self.queue(context.waker());
            match is_queued {
                true => Poll::Pending,
                false => Poll::Ready(()),
            }
        })
        .await;
    }

    /// Who is polled gives way until `waker` is woken; false when there are no descriptors left for
    /// that, and it must go on.
    pub(super) fn queue(&self, waker: &Waker) -> bool {
        let Some(button) = self.button.get_or_init(|| hang(&self.waiting)) else {
            return false;
        };
        let mut waiting = self.waiting.borrow_mut();
        if waiting.is_empty() {
            button.ring();
        }
        waiting.push(waker.clone());
        true
    }
}

fn hang(waiting: &Rc<RefCell<Vec<Waker>>>) -> Option<Button> {
    let (button, bell) = doorbell().ok()?;
    let bell = bell.hang(true).ok()?;
    spawn(wake_all(bell, Rc::clone(waiting)));
    Some(button)
}

async fn wake_all(mut bell: Bell, waiting: Rc<RefCell<Vec<Waker>>>) {
    while bell.rung().await {
        let wakers = waiting.take();
        wakers.into_iter().for_each(Waker::wake);
    }
}
