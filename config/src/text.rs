//! Texts that are the same again and again, kept once.

use std::{cell::RefCell, fmt, sync::Arc};

use serde::{
    Deserializer,
    de::{Error, Visitor},
};

thread_local! {
    /// The texts that were read last on this thread, the latest first.
    static LATEST: RefCell<[Arc<str>; KEPT]> = RefCell::default();
}

/// An origin is a file and a resource in it, and what follows it in a Document comes from the same
/// or from its neighbour.
const KEPT: usize = 3;

/// Reads a text; one that was read just before on this thread shares its memory.
pub(crate) fn shared<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<str>, D::Error> {
    deserializer.deserialize_str(Shared)
}

struct Shared;

impl Visitor<'_> for Shared {
    type Value = Arc<str>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a text")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Arc<str>, E> {
        Ok(LATEST.with_borrow_mut(|latest| {
            let known = latest.iter().position(|known| **known == *text);
            let place = known.unwrap_or(KEPT - 1);
            if known.is_none() {
                latest[place] = text.into();
            }
            latest[..=place].rotate_right(1);
            Arc::clone(&latest[0])
        }))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::origin::Origin;

    #[test]
    fn neighbours_share_their_texts() {
        let json = |resource: usize| {
            format!(r#"{{"resource":"r-{resource}","file":"a \"file\"","line":{resource}}}"#)
        };
        let read = |resource| -> Origin { serde_json::from_str(&json(resource)).expect("sound") };
        let mut before = read(0);
        for resource in [0, 0, 1, 1, 2, 3, 4, 4, 0] {
            let origin = read(resource);
            assert_eq!(*origin.resource, *format!("r-{resource}"));
            assert_eq!(&*origin.file, "a \"file\"");
            assert!(Arc::ptr_eq(&origin.file, &before.file), "{resource}");
            let is_same = before.resource == origin.resource;
            assert_eq!(Arc::ptr_eq(&origin.resource, &before.resource), is_same);
            before = origin;
        }
        serde_json::from_str::<Origin>(r#"{"resource":1,"file":"a","line":1}"#).expect_err("1");
    }
}
