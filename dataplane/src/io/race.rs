//! Two futures on one task.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::Poll,
};

/// Which of two futures was first.
#[derive(Debug, PartialEq, Eq)]
pub enum Either<A, B> {
    /// The first one, which wins a tie.
    First(A),
    /// The second one.
    Second(B),
}

/// The first of two futures; the other one is dropped. Not for reads and writes.
pub async fn race<A: Future, B: Future>(first: A, second: B) -> Either<A::Output, B::Output> {
    let mut first = pin!(first);
    let mut second = pin!(second);
    poll_fn(|context| {
        if let Poll::Ready(output) = first.as_mut().poll(context) {
            return Poll::Ready(Either::First(output));
        }
        second.as_mut().poll(context).map(Either::Second)
    })
    .await
}

/// Both futures to their ends. `on_end` is called when the leader has ended and the follower has
/// not: the place to make it end, too. It is asked again at once.
///
/// In each turn the follower is asked before the leader: what has become of both since the last
/// turn, the leader sees after the follower has.
///
/// The futures stay where the caller has pinned them: they are large.
pub async fn join<A: Future, B: Future>(
    mut leader: Pin<&mut A>,
    mut follower: Pin<&mut B>,
    on_end: impl FnOnce(&A::Output),
) -> (A::Output, B::Output) {
    let mut on_end = Some(on_end);
    let mut outputs = (None, None);
    poll_fn(|context| {
        if outputs.1.is_none()
            && let Poll::Ready(output) = follower.as_mut().poll(context)
        {
            outputs.1 = Some(output);
        }
        if outputs.0.is_none()
            && let Poll::Ready(output) = leader.as_mut().poll(context)
        {
            outputs.0 = Some(output);
        }
        if let (Some(output), None) = &outputs
            && let Some(on_end) = on_end.take()
        {
            on_end(output);
            if let Poll::Ready(output) = follower.as_mut().poll(context) {
                outputs.1 = Some(output);
            }
        }
        match (outputs.0.take(), outputs.1.take()) {
            (Some(leader), Some(follower)) => Poll::Ready((leader, follower)),
            unfinished => {
                outputs = unfinished;
                Poll::Pending
            }
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::{
        cell::{Cell, RefCell},
        future::{Future, poll_fn},
        pin::pin,
        task::{Context, Poll, Waker},
    };

    use super::join;

    /// Ends with the poll of this number.
    fn ends_at<T: Clone>(poll: usize, output: T) -> impl Future<Output = T> {
        let polls = Cell::new(0);
        poll_fn(move |_| {
            polls.set(polls.get() + 1);
            match polls.get() >= poll {
                true => Poll::Ready(output.clone()),
                false => Poll::Pending,
            }
        })
    }

    /// `called`: what `on_end` was called with.
    fn check(leader: usize, follower: usize, called: &[char]) {
        let calls = RefCell::new(Vec::new());
        let one = pin!(ends_at(leader, 'a'));
        let two = pin!(ends_at(follower, 'b'));
        let joined = join(one, two, |output| calls.borrow_mut().push(*output));
        let mut joined = pin!(joined);
        let mut context = Context::from_waker(Waker::noop());
        // The follower is asked twice when it is told to end.
        for _ in 1..leader.max(follower - called.len()) {
            assert!(joined.as_mut().poll(&mut context).is_pending());
        }
        let ended = joined.as_mut().poll(&mut context);
        assert_eq!(ended, Poll::Ready(('a', 'b')), "{leader} {follower}");
        assert_eq!(*calls.borrow(), called, "{leader} {follower}");
    }

    #[test]
    fn the_follower_is_stopped_only_when_it_has_not_ended() {
        check(1, 1, &[]);
        check(3, 3, &[]);
        check(2, 1, &[]);
        check(1, 2, &['a']);
        check(1, 3, &['a']);
        check(2, 4, &['a']);
    }
}
