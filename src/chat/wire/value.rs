//! Reads JSON values as far as a request looks into them: numbers, texts, lists of them, and objects with known fields.
//!
//! Everything else is skipped without being kept, however deep or long it is.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// A JSON value, as far as any field looks into one.
#[derive(Debug, Default)]
pub(super) enum Value<'a> {
    #[default]
    Absent,
    Null,
    Flag(bool),
    Unsigned(u64),
    Negative(i64),
    Fraction,
    Text(Cow<'a, str>),
    List(Vec<Value<'a>>),
    /// More than [`MAX_LISTED`] elements, of which none is kept.
    LongList,
    /// The two fields of `since`; an object deeper down has none.
    Object(Option<Box<[Value<'a>; 2]>>),
    /// An element of a list: a room of a `join`.
    Listed(Box<[Value<'a>; LISTED_FIELDS.len()]>),
}

impl Value<'_> {
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Absent => "nothing",
            Self::Null => "null",
            Self::Flag(_) => "a boolean",
            Self::Unsigned(_) => "a number",
            Self::Negative(_) => "a negative number",
            Self::Fraction => "a number that is no 64-bit integer",
            Self::Text(_) => "a string",
            Self::List(_) | Self::LongList => "an array",
            Self::Object(_) | Self::Listed(_) => "an object",
        }
    }
}

/// Elements that are read of a list in a request, before doubles are taken out.
pub(super) const MAX_LISTED: usize = 1000;

/// The fields that are read of an object in a list, in this order.
const LISTED_FIELDS: [&str; 3] = ["room_id", "since", "history"];

/// The fields that are read of an object elsewhere.
const SINCE_FIELDS: [&str; 2] = ["epoch", "seq"];

/// The place of a value, which decides whether its content is read.
#[derive(Clone, Copy)]
pub(super) enum Depth {
    /// In a field of the message, or of an object in a list: `since` is read.
    Field,
    /// The same inside an object of a list, where there are no further lists.
    InnerField,
    /// In a list: its objects are read.
    Listed,
    /// Deeper: lists and objects are skipped.
    Deep,
}

/// Reads the known fields of an object, which `place` finds and names, and skips the others.
///
/// A known field that stands twice is an error: two readers could each take another one of them.
pub(super) fn read_object<'de, A: MapAccess<'de>>(
    mut map: A,
    fields: &mut [Value<'de>],
    place: impl Fn(&[u8]) -> Option<(usize, &'static str)>,
    depth: Depth,
) -> Result<(), A::Error> {
    while let Some(known) = map.next_key_seed(KeyVisitor(&place))? {
        let Some((place, name)) = known else {
            map.next_value::<IgnoredAny>()?;
            continue;
        };
        let value = map.next_value_seed(ValueVisitor { depth })?;
        let slot = &mut fields[place];
        if !matches!(slot, Value::Absent) {
            return Err(A::Error::custom(format_args!("field `{name}` stands twice")));
        }
        *slot = value;
    }
    Ok(())
}

/// A key, looked up. As bytes, so that the keys of unknown fields may be anything that is JSON.
struct KeyVisitor<F>(F);

impl<'de, T, F: FnOnce(&[u8]) -> T> DeserializeSeed<'de> for KeyVisitor<F> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        deserializer.deserialize_bytes(self)
    }
}

impl<T, F: FnOnce(&[u8]) -> T> Visitor<'_> for KeyVisitor<F> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_bytes<E: Error>(self, key: &[u8]) -> Result<T, E> {
        Ok((self.0)(key))
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<T, E> {
        self.visit_bytes(key.as_bytes())
    }
}

/// Any value, read as deep as its place needs.
struct ValueVisitor {
    depth: Depth,
}

impl<'de> DeserializeSeed<'de> for ValueVisitor {
    type Value = Value<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value<'de>, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<Value<'de>, E> {
        Ok(Value::Flag(flag))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Value<'de>, E> {
        Ok(Value::Unsigned(number))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Value<'de>, E> {
        Ok(u64::try_from(number).map_or(Value::Negative(number), Value::Unsigned))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Value<'de>, E> {
        Ok(Value::Fraction)
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Value<'de>, E> {
        Ok(Value::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value<'de>, E> {
        Ok(Value::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value<'de>, A::Error> {
        let mut list = Vec::new();
        if !matches!(self.depth, Depth::Field) {
            while seq.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(Value::List(list));
        }
        while let Some(value) = seq.next_element_seed(ValueVisitor { depth: Depth::Listed })? {
            if list.len() == MAX_LISTED {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                return Ok(Value::LongList);
            }
            list.push(value);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Value<'de>, A::Error> {
        fn place(names: &[&'static str], key: &[u8]) -> Option<(usize, &'static str)> {
            names.iter().position(|name| name.as_bytes() == key).map(|place| (place, names[place]))
        }
        match self.depth {
            Depth::Field | Depth::InnerField => {
                let mut fields = Box::<[Value<'de>; SINCE_FIELDS.len()]>::default();
                read_object(map, &mut *fields, |key| place(&SINCE_FIELDS, key), Depth::Deep)?;
                Ok(Value::Object(Some(fields)))
            }
            Depth::Listed => {
                let mut fields = Box::<[Value<'de>; LISTED_FIELDS.len()]>::default();
                read_object(map, &mut *fields, |key| place(&LISTED_FIELDS, key), Depth::InnerField)?;
                Ok(Value::Listed(fields))
            }
            Depth::Deep => {
                read_object(map, &mut [], |_| None, Depth::Deep)?;
                Ok(Value::Object(None))
            }
        }
    }
}
