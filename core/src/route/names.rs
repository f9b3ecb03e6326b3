//! A map from names to numbers that is made once and then only asked.
//!
//! A look-up reads one slot, beside others as small, and the name that it points to: two lines of
//! memory, however many names there are. The slots of ten thousand names are 256 KiB.

use std::{
    collections::{HashMap, hash_map::Entry},
    hash::BuildHasher,
};

use foldhash::fast::FixedState;

/// Names come from the configuration and look-ups cannot add any, so the hash needs no secret.
type Hash = FixedState;

/// Names that are still being collected.
pub(super) type Collected = HashMap<Box<str>, u32, Hash>;

/// Adds `name`. The number that it had before, which it then keeps.
pub(super) fn collect(names: &mut Collected, name: &str, number: u32) -> Option<u32> {
    match names.entry(name.into()) {
        Entry::Occupied(held) => Some(*held.get()),
        Entry::Vacant(place) => {
            place.insert(number);
            None
        }
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// A power of two of them, at most half of them taken; none when there are no names.
    slots: Box<[Slot]>,
    /// All names, one behind the other.
    text: Box<[u8]>,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    /// Of the name's hash; what differs in it is not compared further.
    fingerprint: u32,
    start: u32,
    /// [`FREE`] when nothing stands here.
    length: u32,
    number: u32,
}

const FREE: u32 = u32::MAX;

impl Names {
    pub(super) fn new(collected: &Collected) -> Self {
        if collected.is_empty() {
            return Self::default();
        }
        let free = Slot {
            fingerprint: 0,
            start: 0,
            length: FREE,
            number: 0,
        };
        let mut slots = vec![free; (collected.len() * 2).next_power_of_two()];
        let mut text = Vec::new();
        for (name, number) in collected {
            let narrow = |size| u32::try_from(size).expect("a route table is smaller than 4 GiB");
            let hash = hash(name.as_bytes());
            let mut at = hash as usize & (slots.len() - 1);
            while slots[at].length != FREE {
                at = (at + 1) & (slots.len() - 1);
            }
            slots[at] = Slot {
                fingerprint: (hash >> 32) as u32,
                start: narrow(text.len()),
                length: narrow(name.len()),
                number: *number,
            };
            text.extend_from_slice(name.as_bytes());
        }
        Self {
            slots: slots.into(),
            text: text.into(),
        }
    }

    /// The number of `name`.
    #[inline]
    pub(super) fn get(&self, name: &[u8]) -> Option<u32> {
        let last = self.slots.len().checked_sub(1)?;
        let hash = hash(name);
        let mut at = hash as usize & last;
        loop {
            let slot = self.slots.get(at)?;
            if slot.length == FREE {
                return None;
            }
            if slot.fingerprint == (hash >> 32) as u32 && slot.length as usize == name.len() {
                let held = self.text.get(slot.start as usize..)?.get(..name.len())?;
                if held == name {
                    return Some(slot.number);
                }
            }
            at = (at + 1) & last;
        }
    }
}

#[inline]
fn hash(name: &[u8]) -> u64 {
    Hash::default().hash_one(name)
}

#[cfg(test)]
mod tests {
    use super::{Collected, Names, collect};

    #[test]
    fn every_name_is_found_and_no_other() {
        for count in [0, 1, 2, 3, 1000] {
            let name = |number: u32| format!("host-{number}.example");
            let mut collected = Collected::default();
            for number in 0..count {
                assert_eq!(collect(&mut collected, &name(number), number), None);
            }
            let names = Names::new(&collected);
            for number in 0..count {
                assert_eq!(names.get(name(number).as_bytes()), Some(number));
            }
            for number in count..count + 100 {
                assert_eq!(names.get(name(number).as_bytes()), None);
            }
            assert_eq!(names.get(b""), None);
        }
    }

    #[test]
    fn a_name_keeps_its_first_number() {
        let mut collected = Collected::default();
        assert_eq!(collect(&mut collected, "a", 1), None);
        assert_eq!(collect(&mut collected, "a", 2), Some(1));
        assert_eq!(Names::new(&collected).get(b"a"), Some(1));
    }
}
