//! Two futures on one task.

use std::{
    future::{Future, poll_fn},
    pin::pin,
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

/// Both futures to their ends. `on_first` is called when the first one ends before the second: the
/// place to make the second end, too.
pub async fn join<A: Future, B: Future>(
    first: A,
    second: B,
    on_first: impl FnOnce(&A::Output),
) -> (A::Output, B::Output) {
    let mut first = pin!(first);
    let mut second = pin!(second);
    let mut on_first = Some(on_first);
    let mut outputs = (None, None);
    poll_fn(|context| {
        if outputs.0.is_none()
            && let Poll::Ready(output) = first.as_mut().poll(context)
        {
            if outputs.1.is_none()
                && let Some(on_first) = on_first.take()
            {
                on_first(&output);
            }
            outputs.0 = Some(output);
        }
        if outputs.1.is_none()
            && let Poll::Ready(output) = second.as_mut().poll(context)
        {
            outputs.1 = Some(output);
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
