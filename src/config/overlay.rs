//! Environment variables laid over a TOML table: `CLOUD_RECORDER__A__B=v` sets `a.b`.

use toml::{Table, Value};

use super::ConfigError;

/// Variables that start with this name a key.
const PREFIX: &str = "CLOUD_RECORDER__";

/// The variables that name a key, in a stable order.
pub(super) fn variables(environment: impl Iterator<Item = (String, String)>) -> Vec<(String, String)> {
    let mut found: Vec<_> = environment.filter(|(name, _)| name.starts_with(PREFIX)).collect();
    found.sort();
    found
}

/// Sets each variable's key. A list entry is named by its index and must exist in the file.
pub(super) fn apply(table: &mut Table, variables: Vec<(String, String)>) -> Result<(), ConfigError> {
    for (name, text) in variables {
        let path: Vec<String> = name[PREFIX.len()..].split("__").map(str::to_lowercase).collect();
        set(table, &path, &text).map_err(|problem| ConfigError::Environment { name, problem })?;
    }
    Ok(())
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
pub(super) const SCALARS: [&str; 19] = [
    "drain_seconds",
    "spool_gib",
    "metrics",
    "disk_reserve_mib",
    "segment_seconds",
    "remember_days",
    "max_recordings",
    "max_connections",
    "max_connections_per_address",
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
