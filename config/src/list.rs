//! Lists that take no more memory than their elements. JSON does not say how long a list will be,
//! and making room as it comes leaves up to half of it unused, and moves what was read: in a large
//! table of routes that is most of what reading it costs.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{SeqAccess, Visitor},
};
use smallvec::SmallVec;

/// Reads a list that nearly always has one element.
pub(crate) fn of_one<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    read::<D, T, 1>(deserializer, |_, _| {})
}

/// Reads a list that has some elements as a rule; each shares what it can with the one before.
pub(crate) fn of_neighbours<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Neighbour,
{
    read::<D, T, SOME>(deserializer, T::share)
}

/// An element that has much in common with those beside it.
pub(crate) trait Neighbour {
    /// Takes from the element before what is equal and can be shared.
    fn share(&mut self, before: &Self);
}

/// They are on the stack while they are read.
const SOME: usize = 16;

fn read<'de, D, T, const USUAL: usize>(
    deserializer: D,
    share: fn(&mut T, &T),
) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
    [T; USUAL]: smallvec::Array<Item = T>,
{
    deserializer.deserialize_seq(List::<T, USUAL> {
        share,
        elements: PhantomData,
    })
}

struct List<T, const USUAL: usize> {
    share: fn(&mut T, &T),
    elements: PhantomData<T>,
}

impl<'de, T, const USUAL: usize> Visitor<'de> for List<T, USUAL>
where
    T: Deserialize<'de>,
    [T; USUAL]: smallvec::Array<Item = T>,
{
    type Value = Vec<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Vec<T>, A::Error> {
        let mut list = SmallVec::<[T; USUAL]>::new();
        while let Some(mut element) = elements.next_element()? {
            if let Some(before) = list.last() {
                (self.share)(&mut element, before);
            }
            list.push(element);
        }
        let mut list = list.into_vec();
        list.shrink_to_fit();
        Ok(list)
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    impl super::Neighbour for String {
        fn share(&mut self, _before: &Self) {}
    }

    #[derive(Deserialize)]
    struct Lists {
        #[serde(deserialize_with = "super::of_one")]
        one: Vec<String>,
        #[serde(deserialize_with = "super::of_neighbours")]
        some: Vec<String>,
    }

    #[test]
    fn lists_of_any_length_are_read_without_room() {
        for length in [0, 1, 2, 3, 15, 16, 17, 100] {
            let expected: Vec<String> = (0..length).map(|number| number.to_string()).collect();
            let json = serde_json::json!({ "one": expected, "some": expected });
            let lists: Lists = serde_json::from_value(json).expect("lists of texts");
            for list in [lists.one, lists.some] {
                assert_eq!(list, expected);
                assert_eq!(list.capacity(), length);
            }
        }
        let json = r#"{"one": "text", "some": []}"#;
        assert!(serde_json::from_str::<Lists>(json).is_err());
    }
}
