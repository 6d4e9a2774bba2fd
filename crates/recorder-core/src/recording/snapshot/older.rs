//! Reads a state that an older version of the recorder wrote: the same types with fewer fields.
//!
//! What holds: a new field stands at the end of its struct and has a default (`#[serde(default)]`); the struct is named in the
//! table of every version that did not have the field, with the number of fields that it had. Who renames a struct
//! renames it in the table too. The rest of the types is unchanged.
//! New variants of an enum stand at its end and need no entry.
//!
//! How: postcard writes a struct as its fields, one after the other, and leaves it to the reader to know their number. [`Older`]
//! stands between postcard and the derived code and gives each struct of the table as many fields as it had; serde fills in the
//! defaults of the others.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor};

/// Structs with fewer fields than today: their names, and how many they had.
pub(super) type Fields = &'static [(&'static str, usize)];

/// What format 1 had.
pub(super) const VERSION_1: Fields = &[
    ("Recorder", 12),
    ("Member", 10),
    ("Timeline", 3),
    ("Presence", 1),
    ("Stretch", 3),
    ("TimelineWriter", 5),
    ("Last", 3),
    ("RtpSource", 6),
    ("Stream", 8),
    ("LedgerBuilder", 6),
    ("PacketCounts", 8),
];

/// What format 2 had.
pub(super) const VERSION_2: Fields = &[
    ("Recorder", 15),
    ("Member", 11),
    ("TimelineWriter", 6),
    ("RtpSource", 7),
    ("Stream", 13),
    ("SenderRestart", 2),
    ("LedgerBuilder", 8),
];

/// What format 3 had.
pub(super) const VERSION_3: Fields = &[("SenderRestart", 2), ("Member", 15), ("Stream", 15)];

/// Anything of serde's, with the table for all that is below it.
pub(super) struct Older<T> {
    inner: T,
    fields: Fields,
}

impl<T> Older<T> {
    /// Reads by `inner` what was written with the structs of `fields`.
    pub(super) const fn new(inner: T, fields: Fields) -> Self {
        Self { inner, fields }
    }
}

macro_rules! as_it_is {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
            self.inner.$method(visitor)
        })*
    };
}

macro_rules! with_table {
    ($($method:ident($($name:ident: $kind:ty),*))*) => {
        $(fn $method<V: Visitor<'de>>(self, $($name: $kind,)* visitor: V) -> Result<V::Value, D::Error> {
            self.inner.$method($($name,)* Older::new(visitor, self.fields))
        })*
    };
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Older<D> {
    type Error = D::Error;

    as_it_is! {
        deserialize_any deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128 deserialize_f32 deserialize_f64
        deserialize_char deserialize_str deserialize_string deserialize_bytes deserialize_byte_buf deserialize_unit
        deserialize_identifier deserialize_ignored_any
    }

    with_table! {
        deserialize_option()
        deserialize_seq()
        deserialize_map()
        deserialize_tuple(len: usize)
        deserialize_unit_struct(name: &'static str)
        deserialize_newtype_struct(name: &'static str)
        deserialize_tuple_struct(name: &'static str, len: usize)
        deserialize_enum(name: &'static str, variants: &'static [&'static str])
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        let had = self.fields.iter().find(|(changed, _)| *changed == name).map_or(fields.len(), |(_, had)| *had);
        self.inner.deserialize_tuple(had, Older::new(visitor, self.fields))
    }

    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Older<V> {
    type Value = V::Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.expecting(formatter)
    }

    fn visit_none<E: serde::de::Error>(self) -> Result<V::Value, E> {
        self.inner.visit_none()
    }

    fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        self.inner.visit_some(Older::new(inner, self.fields))
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<V::Value, E> {
        self.inner.visit_unit()
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        self.inner.visit_newtype_struct(Older::new(inner, self.fields))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        self.inner.visit_seq(Older::new(inner, self.fields))
    }

    fn visit_map<A: MapAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        self.inner.visit_map(Older::new(inner, self.fields))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        self.inner.visit_enum(Older::new(inner, self.fields))
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Older<S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, inner: D) -> Result<S::Value, D::Error> {
        self.inner.deserialize(Older::new(inner, self.fields))
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Older<A> {
    type Error = A::Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, A::Error> {
        self.inner.next_element_seed(Older::new(seed, self.fields))
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Older<A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        self.inner.next_key_seed(Older::new(seed, self.fields))
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, A::Error> {
        self.inner.next_value_seed(Older::new(seed, self.fields))
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

impl<'de, A: EnumAccess<'de>> EnumAccess<'de> for Older<A> {
    type Error = A::Error;
    type Variant = Older<A::Variant>;

    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, Self::Variant), A::Error> {
        let (value, variant) = self.inner.variant_seed(seed)?;
        Ok((value, Older::new(variant, self.fields)))
    }
}

impl<'de, A: VariantAccess<'de>> VariantAccess<'de> for Older<A> {
    type Error = A::Error;

    fn unit_variant(self) -> Result<(), A::Error> {
        self.inner.unit_variant()
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, A::Error> {
        self.inner.newtype_variant_seed(Older::new(seed, self.fields))
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, A::Error> {
        self.inner.tuple_variant(len, Older::new(visitor, self.fields))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        self.inner.struct_variant(fields, Older::new(visitor, self.fields))
    }
}
