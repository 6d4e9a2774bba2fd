//! `deploy/cloud-recorder.toml` and the structs say the same: every knob stands in the file, with a value or commented out, and
//! every knob in the file is one.

use std::collections::BTreeSet;

use serde::de::{self, Deserialize, Deserializer, Visitor, value};
use toml::{Table, Value};

use super::*;
use crate::config::overlay::SCALARS;
use crate::config::reference::uncommented;

/// Each table of the file by its header's path, and the struct that it fills.
fn sections() -> [(&'static str, BTreeSet<&'static str>); 8] {
    [
        ("", fields_of::<Config>()),
        ("server", fields_of::<Server>()),
        ("recording", fields_of::<Recording>()),
        ("channel_server", fields_of::<ChannelServer>()),
        ("bucket", fields_of::<Bucket>()),
        ("apps", fields_of::<App>()),
        ("apps.storage", fields_of::<DefaultStorage>()),
        ("apps.backup", fields_of::<BackupStorage>()),
    ]
}

#[test]
fn every_knob_of_the_file_is_one() {
    Config::parse(&uncommented(), std::iter::empty()).unwrap();
}

#[test]
fn the_configuration_of_the_compose_file_is_one() {
    Config::parse(include_str!("../../deploy/compose.toml"), std::iter::empty()).unwrap();
}

#[test]
fn every_knob_stands_in_the_file() {
    let file: Table = toml::from_str(&uncommented()).unwrap();
    let mut tables = vec![(String::new(), file)];
    while let Some((path, table)) = tables.pop() {
        let sections = sections();
        let Some((_, fields)) = sections.iter().find(|(name, _)| *name == path) else {
            panic!("[{path}] is no section of this test: add its struct to `sections`");
        };
        for field in fields {
            assert!(table.contains_key(*field), "deploy/cloud-recorder.toml does not explain {path}.{field}");
        }
        for (key, value) in table {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            match value {
                // One value that happens to be written with braces.
                Value::Table(_) if path == "apps.channel" => {}
                Value::Table(inner) => tables.push((path, inner)),
                Value::Array(entries) => {
                    let inner = entries.into_iter().filter_map(|entry| entry.try_into::<Table>().ok());
                    tables.extend(inner.map(|inner| (path.clone(), inner)));
                }
                Value::Integer(_) | Value::Boolean(_) => {
                    assert!(SCALARS.contains(&key.as_str()), "the environment can't set {path}: add it to SCALARS");
                }
                _ => {}
            }
        }
    }
}

/// The names that a struct asks its deserializer for.
fn fields_of<'de, T: Deserialize<'de>>() -> BTreeSet<&'static str> {
    let mut fields = BTreeSet::new();
    // Always an error: there is nothing to fill the struct with.
    let _ = T::deserialize(Fields(&mut fields));
    assert!(!fields.is_empty());
    fields
}

struct Fields<'a>(&'a mut BTreeSet<&'static str>);

impl<'de> Deserializer<'de> for Fields<'_> {
    type Error = value::Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Self::Error> {
        Err(de::Error::custom("only structs are looked at"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Self::Error> {
        self.0.extend(fields);
        Err(de::Error::custom("seen"))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}
