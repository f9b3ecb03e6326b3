//! How many upstream connections a core may have.
//!
//! Requests and copies of requests have a room each: a mirror that does not answer takes no
//! connection from a request, and requests take none from mirrors. An idle connection of HTTP/1
//! belongs to requests, whoever used it last.

use std::{cell::Cell, rc::Rc};

use crate::worker::Limits;

/// What a connection is needed for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Purpose {
    /// A request, or bytes.
    #[default]
    Request,
    /// A copy of a request, for a mirror.
    Copy,
}

impl Purpose {
    /// How many connections there may be for it.
    pub fn connections_max(self, limits: &Limits) -> u32 {
        match self {
            Self::Request => limits.upstream_connections_max,
            // A copy uses one at most.
            Self::Copy => limits.mirrors_max,
        }
    }
}

/// Connections of one core, by what they were opened for.
#[derive(Default)]
pub(super) struct Rooms {
    requests: Rc<Cell<u32>>,
    copies: Rc<Cell<u32>>,
}

impl Rooms {
    /// One more, unless there are `max` for this purpose already.
    pub(super) fn take(&self, purpose: Purpose, max: u32) -> Option<Count> {
        let taken = match purpose {
            Purpose::Request => &self.requests,
            Purpose::Copy => &self.copies,
        };
        (taken.get() < max).then(|| {
            taken.set(taken.get() + 1);
            Count {
                taken: Rc::clone(taken),
                purpose,
            }
        })
    }

    /// All there are.
    pub(super) fn connections(&self) -> u32 {
        self.requests.get() + self.copies.get()
    }
}

/// One of a core's upstream connections, open or being opened.
pub struct Count {
    taken: Rc<Cell<u32>>,
    /// What it was taken for.
    pub purpose: Purpose,
}

impl Drop for Count {
    fn drop(&mut self) {
        self.taken.set(self.taken.get() - 1);
    }
}

#[cfg(test)]
mod tests {
    use super::{Purpose, Rooms};

    #[test]
    fn nobody_takes_from_the_others_room() {
        let rooms = Rooms::default();
        let copies: Vec<_> = (0..2).map(|_| rooms.take(Purpose::Copy, 2)).collect();
        assert!(copies.iter().all(Option::is_some));
        assert!(rooms.take(Purpose::Copy, 2).is_none());
        let request = rooms.take(Purpose::Request, 1);
        assert!(request.is_some());
        assert!(rooms.take(Purpose::Request, 1).is_none());
        assert_eq!(rooms.connections(), 3);
        drop(copies);
        assert_eq!(rooms.connections(), 1);
        assert!(rooms.take(Purpose::Request, 1).is_none());
        drop(request);
        assert!(rooms.take(Purpose::Request, 1).is_some(), "and given back");
        assert_eq!(rooms.connections(), 0);
    }
}
