//! Things that one user is done with and the next one takes, rather than making them anew.
//!
//! The one put back last is taken first, so that few are warm instead of many lukewarm. What was
//! not needed for a while is dropped by [`Shelf::tidy`], which its owner calls every second or so.

use std::{
    cell::{Cell, RefCell},
    fmt,
};

/// Things for the next user, of one core.
pub struct Shelf<T> {
    things: RefCell<Vec<T>>,
    /// The fewest that stood here since the last [`Self::tidy`]: so many were not needed.
    unneeded: Cell<usize>,
    max: usize,
}

impl<T> Shelf<T> {
    /// An empty one for at most `max` things.
    pub const fn new(max: usize) -> Self {
        Self {
            things: RefCell::new(Vec::new()),
            unneeded: Cell::new(0),
            max,
        }
    }

    /// The one that was put here last.
    pub fn take(&self) -> Option<T> {
        let mut things = self.things.borrow_mut();
        let thing = things.pop();
        self.unneeded.set(self.unneeded.get().min(things.len()));
        thing
    }

    /// Dropped when there is no room.
    pub fn put(&self, thing: T) {
        let mut things = self.things.borrow_mut();
        if things.len() < self.max {
            things.push(thing);
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.things.borrow().len()
    }

    /// There is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Drops what was not needed since the last call, at most `most` things, so that the core is
    /// not held up.
    pub fn tidy(&self, most: usize) {
        let mut things = self.things.borrow_mut();
        let dropped = self.unneeded.get().min(most).min(things.len());
        // Those at the front were put here first, and are the coldest.
        drop(things.drain(..dropped));
        self.unneeded.set(things.len());
    }
}

impl<T> fmt::Debug for Shelf<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Shelf").field(&self.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::Shelf;

    #[test]
    fn keeps_what_was_needed() {
        let shelf = Shelf::new(4);
        let check = |taken: usize, left: usize| {
            let things: Vec<_> = (0..taken).map(|_| shelf.take().unwrap_or(0)).collect();
            things.into_iter().for_each(|thing| shelf.put(thing));
            shelf.tidy(2);
            assert_eq!(shelf.len(), left, "after {taken} were taken");
        };
        check(0, 0);
        check(6, 4); // there was a time without any, and there is room for four
        check(4, 4);
        check(1, 2); // three were not needed
        check(2, 2);
        check(0, 0);
        assert!(shelf.is_empty());
    }
}
