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

/// Both futures to their ends. `on_first` is called when the first one has ended and the second,
/// asked after that, has not: the place to make the second end, too. It is asked again at once.
///
/// The futures stay where the caller has pinned them: they are large.
pub async fn join<A: Future, B: Future>(
    mut first: Pin<&mut A>,
    mut second: Pin<&mut B>,
    on_first: impl FnOnce(&A::Output),
) -> (A::Output, B::Output) {
    let mut on_first = Some(on_first);
    let mut outputs = (None, None);
    poll_fn(|context| {
        if outputs.0.is_none()
            && let Poll::Ready(output) = first.as_mut().poll(context)
        {
            outputs.0 = Some(output);
        }
        if outputs.1.is_none()
            && let Poll::Ready(output) = second.as_mut().poll(context)
        {
            outputs.1 = Some(output);
        }
        if let (Some(output), None) = &outputs
            && let Some(on_first) = on_first.take()
        {
            on_first(output);
            if let Poll::Ready(output) = second.as_mut().poll(context) {
                outputs.1 = Some(output);
            }
        }
        match (outputs.0.take(), outputs.1.take()) {
            (Some(first), Some(second)) => Poll::Ready((first, second)),
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

    /// `called`: what `on_first` was called with.
    fn check(first: usize, second: usize, called: &[char]) {
        let calls = RefCell::new(Vec::new());
        let one = pin!(ends_at(first, 'a'));
        let two = pin!(ends_at(second, 'b'));
        let joined = join(one, two, |output| calls.borrow_mut().push(*output));
        let mut joined = pin!(joined);
        let mut context = Context::from_waker(Waker::noop());
        // The second is asked twice when it is told to end.
        for _ in 1..first.max(second - called.len()) {
            assert!(joined.as_mut().poll(&mut context).is_pending());
        }
        let ended = joined.as_mut().poll(&mut context);
        assert_eq!(ended, Poll::Ready(('a', 'b')), "{first} {second}");
        assert_eq!(*calls.borrow(), called, "{first} {second}");
    }

    #[test]
    fn the_second_is_stopped_only_when_it_has_not_ended() {
        check(1, 1, &[]);
        check(3, 3, &[]);
        check(2, 1, &[]);
        check(1, 2, &['a']);
        check(1, 3, &['a']);
        check(2, 4, &['a']);
    }
}
