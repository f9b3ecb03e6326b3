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
pub(super) struct Rooms {
    requests: Rc<Room>,
    copies: Rc<Room>,
}

/// Those that were opened for the same.
struct Room {
    taken: Cell<u32>,
    purpose: Purpose,
}

impl Default for Rooms {
    fn default() -> Self {
        let room = |purpose| {
            let taken = Cell::new(0);
            Rc::new(Room { taken, purpose })
        };
        Self {
            requests: room(Purpose::Request),
            copies: room(Purpose::Copy),
        }
    }
}

impl Rooms {
    /// One more, unless there are `max` for this purpose already.
    pub(super) fn take(&self, purpose: Purpose, max: u32) -> Option<Count> {
        let room = match purpose {
            Purpose::Request => &self.requests,
            Purpose::Copy => &self.copies,
        };
        let taken = room.taken.get();
        (taken < max).then(|| {
            room.taken.set(taken + 1);
            Count(Rc::clone(room))
        })
    }

    /// All there are.
    pub(super) fn connections(&self) -> u32 {
        self.requests.taken.get() + self.copies.taken.get()
    }
}

/// One of a core's upstream connections, open or being opened.
pub struct Count(Rc<Room>);

impl Count {
    /// What it was taken for.
    pub fn purpose(&self) -> Purpose {
        self.0.purpose
    }
}

impl Drop for Count {
    fn drop(&mut self) {
        let taken = &self.0.taken;
        taken.set(taken.get() - 1);
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
