//! The configuration's reference page, made from the annotated file and the structs: what a key means stands in the file, what
//! happens without it is tried out.

use std::collections::BTreeSet;

use serde::Deserialize;
use toml::{Table, Value};

use super::{Config, ConfigError, refused};

const ANNOTATED: &str = include_str!("../../deploy/cloud-recorder.toml");

const HEAD: &str = "\
# Configuration

Every key of the configuration file, made from [deploy/cloud-recorder.toml](../deploy/cloud-recorder.toml) by `make reference`; edit that
file. Unknown keys are refused. `cloud-recorder config --config FILE` checks a file and prints what would be in force.

An environment variable names a key by its path and lies over the file: `CLOUD_RECORDER__SERVER__LISTEN`, or for an entry of a list by its
index `CLOUD_RECORDER__APPS__0__CUSTOMER_SECRET`.
";

/// A line of the annotated file.
enum Line<'a> {
    Blank,
    Comment(&'a str),
    Header { path: &'a str },
    Key { name: &'a str, value: &'a str },
}

/// A key with what is said of it.
struct ConfigKey {
    section: String,
    name: String,
    value: String,
    about: String,
}

/// The page, as Markdown.
pub fn reference() -> Result<String, ConfigError> {
    let whole = table()?;
    let in_force = format!("{:?}", read(whole.clone())?);
    let mut page = HEAD.to_owned();
    let mut section = String::new();
    for (key, opening) in knobs() {
        if key.section != section || opening.is_some() {
            section.clone_from(&key.section);
            page.push_str(&heading(&section, opening.as_deref().unwrap_or_default()));
        }
        let mut without = whole.clone();
        remove(&mut without, &key);
        let default = match read(without) {
            Err(_) => "required".to_owned(),
            Ok(config) if format!("{config:?}") == in_force => format!("`{}`", key.value),
            Ok(_) => told_default(&key.about).unwrap_or_else(|| "none".to_owned()),
        };
        let cell = |text: &str| text.replace('|', "\\|").replace('<', "\\<");
        page.push_str(&format!("| `{}` | {} | {} |\n", key.name, cell(&default), cell(&key.about)));
    }
    Ok(page)
}

fn heading(section: &str, about: &str) -> String {
    let brackets = if section == "apps" { "[[apps]]".to_owned() } else { format!("[{section}]") };
    let about = if about.is_empty() { String::new() } else { format!("{about}\n\n") };
    format!("\n## `{brackets}`\n\n{about}| key | without it | meaning |\n| --- | --- | --- |\n")
}

/// Every key once, in the file's order. The first of a section comes with what is said of the section.
fn knobs() -> Vec<(ConfigKey, Option<String>)> {
    let mut knobs: Vec<(ConfigKey, Option<String>)> = Vec::new();
    let (mut section, mut opening, mut comment) = (String::new(), None, Vec::new());
    for line in ANNOTATED.lines().map(parse) {
        match line {
            Line::Blank => comment.clear(),
            Line::Comment(text) => comment.push(text),
            Line::Header { path } => {
                section = path.to_owned();
                opening = Some(std::mem::take(&mut comment).join(" "));
            }
            Line::Key { name, value } => {
                let known = knobs.iter_mut().find(|(key, _)| key.section == section && key.name == name);
                if let Some((key, _)) = known {
                    // Shown in a comment before: another of its values.
                    let more = std::mem::take(&mut comment).join(" ");
                    key.about = format!("{} `{name} = {}`. {more}", key.about, key.value).trim_end().to_owned();
                    key.value = value.to_owned();
                    continue;
                }
                let about = std::mem::take(&mut comment).join(" ");
                let key = ConfigKey { section: section.clone(), name: name.to_owned(), value: value.to_owned(), about };
                knobs.push((key, opening.take()));
            }
        }
    }
    knobs
}

/// The file with every `# key = value` made a `key = value`.
pub(super) fn uncommented() -> String {
    let mut seen = BTreeSet::new();
    let mut text = String::new();
    for line in ANNOTATED.lines() {
        let plain = match parse(line) {
            Line::Header { .. } => {
                seen.clear();
                line.trim_start_matches("# ").to_owned()
            }
            // A knob that has a value already may show another in a comment.
            Line::Key { name, value } if seen.insert(name) => format!("{name} = {value}"),
            _ => continue,
        };
        text.push_str(&plain);
        text.push('\n');
    }
    text
}

fn parse(line: &str) -> Line<'_> {
    let plain = line.strip_prefix("# ").unwrap_or(line);
    let word = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_' || b == b'.');
    if let Some((name, value)) = plain.split_once(" = ").filter(|(name, _)| word(name)) {
        return Line::Key { name, value };
    }
    let path = plain.trim_start_matches('[').trim_end_matches(']');
    if plain.starts_with('[') && word(path) {
        return Line::Header { path };
    }
    match line.strip_prefix('#') {
        Some(text) => Line::Comment(text.trim()),
        None => Line::Blank,
    }
}

pub(super) fn table() -> Result<Table, ConfigError> {
    let text = uncommented();
    toml::from_str(&text).map_err(|error| refused(&text, &error))
}

fn read(table: Table) -> Result<Config, ConfigError> {
    Config::deserialize(table).map_err(|error| refused("", &error))
}

/// Takes the key out; of a list, out of its first entry.
fn remove(table: &mut Table, key: &ConfigKey) {
    let mut place = Some(table);
    for part in key.section.split('.').filter(|part| !part.is_empty()) {
        place = place.and_then(|table| match table.get_mut(part) {
            Some(Value::Table(inner)) => Some(inner),
            Some(Value::Array(entries)) => entries.first_mut().and_then(Value::as_table_mut),
            _ => None,
        });
    }
    if let Some(table) = place {
        table.remove(&key.name);
    }
}

/// What a comment says after `Default:`, to the end of the sentence.
fn told_default(about: &str) -> Option<String> {
    let (_, rest) = about[about.find("Default")?..].split_once(": ")?;
    let end = rest.find(". ").unwrap_or_else(|| rest.trim_end_matches('.').len());
    Some(rest[..end].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn without(name: &str) -> String {
        let page = reference().unwrap();
        let line = page.lines().find(|line| line.starts_with(&format!("| `{name}` | "))).unwrap().to_owned();
        line.split(" | ").nth(1).unwrap().to_owned()
    }

    #[test]
    fn what_happens_without_a_key_is_what_the_structs_do() {
        assert_eq!(without("listen"), "`\"127.0.0.1:8080\"`");
        assert_eq!(without("drain_seconds"), "`0`");
        assert_eq!(without("public_url"), r"http://\<listen>");
        assert_eq!(without("capture_dir"), "off");
        assert_eq!(without("id"), "required");
        assert_eq!(without("announce"), "none");
        assert_eq!(without("segment_seconds"), "`6`");
    }

    #[test]
    fn every_key_says_what_it_is() {
        let mut said = BTreeSet::new();
        for (key, _) in knobs() {
            let place = (key.section, key.about);
            assert!(place.1.len() > 10, "deploy/cloud-recorder.toml says nothing of {}", key.name);
            assert!(said.insert(place), "{} has the words of another key", key.name);
        }
    }

    #[test]
    fn the_default_of_a_key_with_several_forms_is_said() {
        assert_eq!(without("channel"), "\"embedded\"");
    }

    #[test]
    fn the_committed_page_is_this_one() {
        let committed = include_str!("../../docs/config.md");
        assert!(committed == reference().unwrap(), "docs/config.md is stale: run `make reference` and commit it");
    }
}
