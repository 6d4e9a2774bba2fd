//! The chain of an event log's lines ([`crate::callback::LogChain`]): each names the SHA-256 of the one before it. And the manifest names
//! that of the first lines.

use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::callback::{FIRST_LINK, link};
use crate::cli::verify::manifest::Manifest;

#[derive(Deserialize)]
struct Link {
    prev: Option<String>,
}

/// What is wrong with the chain. A log of an older version has none.
pub(super) fn complaints(log: &[u8], manifest: &Manifest) -> Vec<String> {
    let mut said = breaks(log, manifest.is_hashed());
    if let Some(prefix) = &manifest.events {
        let count = usize::try_from(prefix.lines).unwrap_or(usize::MAX);
        let first = log
            .split_inclusive(|byte| *byte == b'\n')
            .take(count)
            .fold((0, 0), |(lines, bytes), line| (lines + 1, bytes + line.len()));
        let same = first.0 == count && format!("{:x}", Sha256::digest(&log[..first.1])) == prefix.sha256;
        if !same {
            said.push(format!("its first {count} lines are not those that the manifest knew"));
        }
    }
    said
}

/// Where the chain breaks: the first place is named, since all behind it may follow from it.
fn breaks(log: &[u8], expected: bool) -> Vec<String> {
    let mut before: Option<(usize, String)> = None;
    let mut chained = expected;
    for (index, line) in log.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let number = index + 1;
        // What is no event is said elsewhere, and so breaks no chain here but for the line behind it.
        let prev = serde_json::from_slice::<Link>(line).ok().map(|line| line.prev);
        chained |= matches!(prev, Some(Some(_)));
        let right = before.as_ref().map_or(FIRST_LINK, |(_, hash)| hash.as_str());
        match (prev, &before) {
            _ if !chained => {}
            (None, _) => {}
            (Some(None), _) => return vec![format!("line {number} does not name the line before it")],
            (Some(Some(prev)), _) if prev == right => {}
            (Some(Some(_)), None) => {
                return vec![format!(
                    "line {number} says that another line was before it: the log's beginning is missing or changed"
                )];
            }
            (Some(Some(_)), Some((last, _))) => {
                return vec![format!(
                    "line {number} names another line before it than line {last}: line {last} was changed, or one there is missing, added \
                     or swapped"
                )];
            }
        }
        before = Some((number, link(line)));
    }
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(count: usize) -> Vec<String> {
        let mut prev = FIRST_LINK.to_owned();
        let line = |number: usize| {
            let line = format!("{{\"n\":{number},\"prev\":\"{prev}\"}}\n");
            prev = link(line.as_bytes());
            line
        };
        (0..count).map(line).collect()
    }

    fn broken(lines: &[String]) -> String {
        breaks(lines.concat().as_bytes(), true).join(";")
    }

    #[test]
    fn a_changed_missing_added_or_swapped_line_is_named() {
        assert_eq!(broken(&log(5)), "");
        let changed = |change: &dyn Fn(&mut Vec<String>)| {
            let mut lines = log(5);
            change(&mut lines);
            broken(&lines)
        };
        assert!(changed(&|lines| lines[1] = lines[1].replace("\"n\":1", "\"n\":9")).contains("line 2 was changed"));
        assert!(changed(&|lines| _ = lines.remove(2)).starts_with("line 3 names another line before it than line 2"));
        assert!(changed(&|lines| lines.swap(2, 3)).starts_with("line 3 names"));
        assert!(changed(&|lines| lines.insert(2, "{\"n\":7}\n".into())).starts_with("line 3 does not name"));
        assert!(changed(&|lines| lines.insert(2, lines[1].clone())).starts_with("line 3 names"));
        assert!(changed(&|lines| _ = lines.remove(0)).starts_with("line 1 says that another line was before it"));
    }

    #[test]
    fn a_log_of_an_older_version_has_no_chain() {
        let old = "{\"n\":0}\n{\"n\":1}\n";
        assert!(breaks(old.as_bytes(), false).is_empty());
        assert_eq!(breaks(old.as_bytes(), true).len(), 1);
        let mixed = format!("{old}{}", log(1)[0]);
        assert_eq!(breaks(mixed.as_bytes(), false).len(), 1, "one that begins to be chained was cut together");
    }
}
