//! Memory for large futures: one that ends leaves its place to the next.
//!
//! A connection needs its large future only while a request is served. Allocated anew each time, it
//! would cost two system calls: pieces of a page and more are mapped on their own
//! ([`super::memory`]). All places have one size.

use std::{
    alloc::{Layout, alloc, dealloc, handle_alloc_error},
    future::Future,
    marker::PhantomData,
    pin::Pin,
    ptr::NonNull,
    rc::Rc,
    task::{Context, Poll},
};

use crate::shelf::Shelf;

/// Bytes of a place. A future that is larger does not compile.
const PLACE_BYTES: usize = 4608;
const PLACE_ALIGN: usize = 16;
/// Free places kept for reuse.
const FREE_MAX: usize = 4096;
/// Free places that are given back at once, so that the core is not held up.
const TIDIED_MAX: usize = 1024;

/// The places of one core.
#[derive(Debug)]
pub struct Berths(Shelf<Place>);

impl Berths {
    /// None yet.
    pub fn new() -> Rc<Self> {
        Rc::new(Self(Shelf::new(FREE_MAX)))
    }

    /// Puts a future into a place, until it is dropped.
    pub fn berth<F: Future>(self: &Rc<Self>, future: F) -> Berthed<F> {
        const {
            assert!(size_of::<F>() <= PLACE_BYTES, "the future is too large");
            assert!(align_of::<F>() <= PLACE_ALIGN, "the future is aligned");
        }
        let place = self.0.take().unwrap_or_else(Place::new);
        // SAFETY: the place is free, and large enough and aligned as was checked above.
        unsafe { place.0.cast::<F>().write(future) };
        Berthed {
            place: Some(place),
            berths: Rc::clone(self),
            future: PhantomData,
        }
    }

    /// Gives back what was not needed since the last call. To be called every second or so.
    pub fn tidy(&self) {
        self.0.tidy(TIDIED_MAX);
    }
}

/// Memory that nobody uses.
#[derive(Debug)]
struct Place(NonNull<u8>);

impl Place {
    const LAYOUT: Layout = match Layout::from_size_align(PLACE_BYTES, PLACE_ALIGN) {
        Ok(layout) => layout,
        Err(_) => panic!("the alignment is a power of two"),
    };

    fn new() -> Self {
        // SAFETY: the layout is not empty.
        let memory = unsafe { alloc(Self::LAYOUT) };
        Self(NonNull::new(memory).unwrap_or_else(|| handle_alloc_error(Self::LAYOUT)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // SAFETY: it was allocated with this layout, and is dropped once.
        unsafe { dealloc(self.0.as_ptr(), Self::LAYOUT) };
    }
}

/// A future in a place.
#[must_use = "futures do nothing unless polled"]
pub struct Berthed<F> {
    /// `None` in [`Drop`] only.
    place: Option<Place>,
    berths: Rc<Berths>,
    future: PhantomData<F>,
}

/// The place does not move with it.
impl<F> Unpin for Berthed<F> {}

impl<F: Future> Future for Berthed<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let place = self.place.as_ref().expect("only drop takes it");
        // SAFETY: `berth` wrote the future there, it is dropped in place only, and it is borrowed
        // mutably through `self`.
        let future = unsafe { Pin::new_unchecked(place.0.cast::<F>().as_mut()) };
        future.poll(context)
    }
}

impl<F> Drop for Berthed<F> {
    fn drop(&mut self) {
        if let Some(place) = self.place.take() {
            // SAFETY: `berth` wrote the future there, and nobody uses it after this.
            unsafe { place.0.cast::<F>().drop_in_place() };
            self.berths.0.put(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::{Future, poll_fn},
        pin::pin,
        rc::Rc,
        task::{Context, Poll, Waker},
    };

    use super::Berths;

    #[test]
    fn a_place_is_used_again_and_its_future_dropped() {
        let berths = Berths::new();
        let witness = Rc::new(());
        for _ in 0..3 {
            let held = Rc::clone(&witness);
            let mut polls = 0;
            let future = berths.berth(poll_fn(move |_| {
                polls += 1;
                match polls {
                    1 => Poll::Pending,
                    _ => Poll::Ready(Rc::strong_count(&held)),
                }
            }));
            let mut future = pin!(future);
            let mut context = Context::from_waker(Waker::noop());
            assert_eq!(berths.0.len(), 0);
            assert!(future.as_mut().poll(&mut context).is_pending());
            assert_eq!(future.as_mut().poll(&mut context), Poll::Ready(2));
        }
        assert_eq!(berths.0.len(), 1, "one place was enough");
        assert_eq!(Rc::strong_count(&witness), 1);
        berths.tidy();
        berths.tidy();
        assert_eq!(berths.0.len(), 0);
    }
}
