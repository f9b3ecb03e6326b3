//! A hash of what a value holds, without writing it as text first.
//!
//! The value is put into bytes in the order of its fields, with its lengths and choices, so that
//! two values that differ give bytes that differ. They are never read back and have no names in
//! them. The same value has the same hash in every process of one version of this program; another
//! version may find another one, and a proxy is then sent again what it holds.

use std::fmt;

use serde::ser::{self, Serialize};
use xxhash_rust::xxh3::xxh3_64;

/// The hash of `value`.
pub(crate) fn hash(value: &impl Serialize) -> u64 {
    let mut bytes = Bytes(Vec::new());
    value
        .serialize(&mut bytes)
        .expect("the values of a Document can be put into bytes");
    xxh3_64(&bytes.0)
}

struct Bytes(Vec<u8>);

/// A value says of itself that it cannot be written.
#[derive(Debug)]
struct Unwritable(String);

impl fmt::Display for Unwritable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for Unwritable {}

impl ser::Error for Unwritable {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

type Written = Result<(), Unwritable>;

impl Bytes {
    fn length(&mut self, length: usize) {
        self.0.extend_from_slice(&(length as u64).to_le_bytes());
    }

    fn text(&mut self, text: &[u8]) {
        self.length(text.len());
        self.0.extend_from_slice(text);
    }
}

/// Of lists and maps whose length is not known before: each element begins with [`ELEMENT`], and
/// the last is followed by [`END`].
const ELEMENT: u8 = 1;
const END: u8 = 0;

macro_rules! numbers {
    ($($name:ident: $type:ty),+ $(,)?) => {
        $(fn $name(self, value: $type) -> Written {
            self.0.extend_from_slice(&value.to_le_bytes());
            Ok(())
        })+
    };
}

impl ser::Serializer for &mut Bytes {
    type Ok = ();
    type Error = Unwritable;
    type SerializeSeq = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;
    type SerializeTupleVariant = Self;
    type SerializeMap = Self;
    type SerializeStruct = Self;
    type SerializeStructVariant = Self;

    numbers! {
        serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64,
        serialize_f32: f32, serialize_f64: f64,
    }

    fn serialize_bool(self, value: bool) -> Written {
        self.serialize_u8(value.into())
    }

    fn serialize_char(self, value: char) -> Written {
        self.serialize_u32(value.into())
    }

    fn serialize_str(self, value: &str) -> Written {
        self.text(value.as_bytes());
        Ok(())
    }

    fn serialize_bytes(self, value: &[u8]) -> Written {
        self.text(value);
        Ok(())
    }

    fn serialize_none(self) -> Written {
        self.serialize_u8(END)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Written {
        self.0.push(ELEMENT);
        value.serialize(self)
    }

    fn serialize_unit(self) -> Written {
        Ok(())
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Written {
        Ok(())
    }

    fn serialize_unit_variant(
        self,
        _name: &'static str,
        index: u32,
        _variant: &'static str,
    ) -> Written {
        self.serialize_u32(index)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        value: &T,
    ) -> Written {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        index: u32,
        _variant: &'static str,
        value: &T,
    ) -> Written {
        self.0.extend_from_slice(&index.to_le_bytes());
        value.serialize(self)
    }

    fn serialize_seq(self, _length: Option<usize>) -> Result<Self, Unwritable> {
        Ok(self)
    }

    fn serialize_tuple(self, _length: usize) -> Result<Self, Unwritable> {
        Ok(self)
    }

    fn serialize_tuple_struct(
        self,
        _name: &'static str,
        _length: usize,
    ) -> Result<Self, Unwritable> {
        Ok(self)
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        index: u32,
        _variant: &'static str,
        _length: usize,
    ) -> Result<Self, Unwritable> {
        self.0.extend_from_slice(&index.to_le_bytes());
        Ok(self)
    }

    fn serialize_map(self, _length: Option<usize>) -> Result<Self, Unwritable> {
        Ok(self)
    }

    fn serialize_struct(self, _name: &'static str, _length: usize) -> Result<Self, Unwritable> {
        Ok(self)
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        index: u32,
        _variant: &'static str,
        _length: usize,
    ) -> Result<Self, Unwritable> {
        self.0.extend_from_slice(&index.to_le_bytes());
        Ok(self)
    }

    fn collect_str<T: fmt::Display + ?Sized>(self, value: &T) -> Written {
        self.text(value.to_string().as_bytes());
        Ok(())
    }
}

/// Elements one after the other.
macro_rules! elements {
    ($($trait:ident: $method:ident),+ $(,)?) => {
        $(impl ser::$trait for &mut Bytes {
            type Ok = ();
            type Error = Unwritable;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Written {
                self.0.push(ELEMENT);
                value.serialize(&mut **self)
            }

            fn end(self) -> Written {
                self.0.push(END);
                Ok(())
            }
        })+
    };
}

elements! {
    SerializeSeq: serialize_element,
    SerializeTuple: serialize_element,
    SerializeTupleStruct: serialize_field,
    SerializeTupleVariant: serialize_field,
}

impl ser::SerializeMap for &mut Bytes {
    type Ok = ();
    type Error = Unwritable;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Written {
        self.0.push(ELEMENT);
        key.serialize(&mut **self)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Written {
        value.serialize(&mut **self)
    }

    fn end(self) -> Written {
        self.0.push(END);
        Ok(())
    }
}

/// Fields, of which each says whether it is there.
macro_rules! fields {
    ($($trait:ident),+) => {
        $(impl ser::$trait for &mut Bytes {
            type Ok = ();
            type Error = Unwritable;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                _name: &'static str,
                value: &T,
            ) -> Written {
                self.0.push(ELEMENT);
                value.serialize(&mut **self)
            }

            fn skip_field(&mut self, _name: &'static str) -> Written {
                self.0.push(END);
                Ok(())
            }

            fn end(self) -> Written {
                Ok(())
            }
        })+
    };
}

fields!(SerializeStruct, SerializeStructVariant);

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, time::Duration};

    use serde::Serialize;

    use super::hash;

    #[derive(Serialize)]
    struct Fields {
        #[serde(skip_serializing_if = "Option::is_none")]
        first: Option<u8>,
        #[serde(skip_serializing_if = "Option::is_none")]
        second: Option<u8>,
        list: Vec<String>,
    }

    #[derive(Serialize)]
    enum Choice {
        One,
        Two,
        Of(u8),
        With { field: u8 },
    }

    fn fields(first: Option<u8>, second: Option<u8>, list: &[&str]) -> u64 {
        let list = list.iter().map(ToString::to_string).collect();
        hash(&Fields {
            first,
            second,
            list,
        })
    }

    #[test]
    fn what_differs_has_another_hash() {
        let map = |pairs: &[(&str, u8)]| {
            let pairs = pairs.iter().map(|(name, value)| (name.to_string(), *value));
            hash(&pairs.collect::<BTreeMap<_, _>>())
        };
        let hashes = [
            fields(None, None, &[]),
            fields(Some(1), None, &[]),
            fields(None, Some(1), &[]),
            fields(Some(1), Some(1), &[]),
            fields(None, None, &[""]),
            fields(None, None, &["ab"]),
            fields(None, None, &["a", "b"]),
            fields(None, None, &["", "ab"]),
            hash(&Choice::One),
            hash(&Choice::Two),
            hash(&Choice::Of(0)),
            hash(&Choice::With { field: 0 }),
            map(&[]),
            map(&[("a", 1)]),
            map(&[("a", 1), ("b", 1)]),
            map(&[("a", 2)]),
            hash(&vec![vec![1_u8], vec![]]),
            hash(&vec![vec![], vec![1_u8]]),
            hash(&(1.5_f64, 'c', true)),
            hash(&(1.5_f64, 'c', false)),
            hash(&Duration::from_millis(3)),
        ];
        for (index, hash) in hashes.iter().enumerate() {
            assert!(!hashes[..index].contains(hash), "{index}");
        }
        assert_eq!(fields(Some(1), None, &["a"]), fields(Some(1), None, &["a"]));
    }
}
