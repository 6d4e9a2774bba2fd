//! Environment variables laid over a TOML table: `CLOUD_RECORDER__A__B=v` sets `a.b`.
//!
//! A variable with the words of a key and other underscores (`CLOUD_RECORDER_A_B`) was meant for it, and is refused. Others that begin so are
//! somebody else's: Kubernetes sets `CLOUD_RECORDER_PORT` for a service of this name.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::{Table, Value};

use super::{Config, ConfigError, reference, refusal};

/// Variables that start with this name a key.
const PREFIX: &str = "CLOUD_RECORDER__";

/// The variables that name a key, in a stable order.
pub(super) fn variables(environment: impl Iterator<Item = (String, String)>) -> Vec<(String, String)> {
    let mut found: Vec<_> = environment.filter(|(name, _)| name.starts_with(PREFIX)).collect();
    found.sort();
    found
}

/// Lays the variables over a table that is a configuration, and reads the result.
pub(super) fn read(table: &Table, variables: &[(String, String)]) -> Result<Config, ConfigError> {
    let with = |variables: &[&(String, String)]| {
        let mut table = table.clone();
        for (name, text) in variables {
            let path: Vec<String> = name[PREFIX.len()..].split("__").map(str::to_lowercase).collect();
            let refused = |problem: &str| ConfigError::Environment { name: name.clone(), problem: problem.to_owned() };
            set(&mut table, &path, text).map_err(refused)?;
        }
        Ok(Config::deserialize(table))
    };
    let all: Vec<_> = variables.iter().collect();
    let error = match with(&all)? {
        Ok(config) => return Ok(config),
        Err(error) => error,
    };
    // The one without which the others are well.
    for (index, (name, _)) in variables.iter().enumerate() {
        let others: Vec<_> = [&all[..index], &all[index + 1..]].concat();
        if with(&others)?.is_ok() {
            return Err(ConfigError::Environment { name: name.clone(), problem: refusal::what(&error) });
        }
    }
    Err(ConfigError::Parse(refusal::words("", &error)))
}

/// Refuses the first variable that has the words of a key and is not read, because its underscores are others.
pub(super) fn refuse_misspelt<'a>(names: impl Iterator<Item = &'a str>) -> Result<(), ConfigError> {
    let mut known = None;
    for name in names.filter(|name| name.starts_with("CLOUD_RECORDER_")) {
        let known = known.get_or_insert_with(known_keys);
        let words: Vec<&str> = name.split('_').filter(|word| !word.is_empty()).collect();
        // An entry of a list is named by its index, and the first one stands for all.
        let index = words.iter().find(|word| word.bytes().all(|byte| byte.is_ascii_digit()));
        let plain = words.iter().map(|word| if Some(word) == index { "0" } else { word });
        let Some(right) = known.get(&plain.collect::<Vec<_>>().join("_")) else { continue };
        let right = right.replace("__0__", &format!("__{}__", index.unwrap_or(&"0")));
        if right != name {
            let problem = format!("is not read: two underscores stand between the parts of a key; {right} is");
            return Err(ConfigError::Environment { name: name.to_owned(), problem });
        }
    }
    Ok(())
}

/// The variable of every key, by its words with one underscore between.
fn known_keys() -> BTreeMap<String, String> {
    fn walk(name: &str, value: &Value, found: &mut BTreeMap<String, String>) {
        let plain = name.split('_').filter(|word| !word.is_empty()).collect::<Vec<_>>().join("_");
        found.insert(plain, name.to_owned());
        match value {
            Value::Table(table) => {
                table.iter().for_each(|(key, value)| walk(&format!("{name}__{}", key.to_uppercase()), value, found));
            }
            Value::Array(entries) if entries.first().is_some_and(Value::is_table) => {
                walk(&format!("{name}__0"), &entries[0], found);
            }
            _ => {}
        }
    }
    let mut found = BTreeMap::new();
    walk("CLOUD_RECORDER", &Value::Table(reference::table().unwrap_or_default()), &mut found);
    found
}

fn set(table: &mut Table, path: &[String], text: &str) -> Result<(), &'static str> {
    let (key, rest) = path.split_first().ok_or("names no key")?;
    if rest.is_empty() {
        let value = value_like(table.get(key), key, text);
        table.insert(key.clone(), value);
        return Ok(());
    }
    match table.entry(key.as_str()).or_insert_with(|| Value::Table(Table::new())) {
        Value::Table(inner) => set(inner, rest, text),
        Value::Array(entries) => {
            let (index, rest) = rest.split_first().ok_or("names a list; name an entry by its index")?;
            let index: usize = index.parse().map_err(|_| "names a list entry by something that is no index")?;
            match entries.get_mut(index) {
                Some(Value::Table(inner)) => set(inner, rest, text),
                _ => Err("names a list entry that the file does not have"),
            }
        }
        _ => Err("names a key below a plain value"),
    }
}

/// Keys that hold a number or a truth value; everything else is text, so that a numeric secret stays text.
pub(super) const SCALARS: [&str; 25] = [
    "drain_seconds",
    "spool_gib",
    "metrics",
    "disk_reserve_mib",
    "segment_seconds",
    "remember_days",
    "max_recordings",
    "max_connections",
    "max_connections_per_address",
    "max_channels",
    "max_channels_per_app",
    "max_members_per_channel",
    "max_members_per_app",
    "max_tracks_per_app",
    "max_connections_per_app",
    "head_seconds",
    "body_seconds",
    "requests_per_second",
    "enabled",
    "public_read",
    "allow_private_endpoints",
    "vendor",
    "region",
    "after_minutes",
    "path_style",
];

fn value_like(old: Option<&Value>, key: &str, text: &str) -> Value {
    let plain = matches!(old, Some(Value::Integer(_) | Value::Boolean(_))) || SCALARS.contains(&key);
    if plain {
        if let Ok(number) = text.parse() {
            return Value::Integer(number);
        }
        if let Ok(truth) = text.parse() {
            return Value::Boolean(truth);
        }
    }
    Value::String(text.to_owned())
}
