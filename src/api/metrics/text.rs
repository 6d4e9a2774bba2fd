//! The text format of Prometheus (version 0.0.4) out of OpenMetrics, for whoever does not ask for OpenMetrics: curl, promtool, older agents.
//!
//! The two differ in what describes a counter: OpenMetrics names it without `_total`, the older format by the name of its samples. Units are
//! no lines of their own there, and nothing marks the end.

use std::collections::BTreeMap;
use std::fmt::Write;

/// The older format of a whole exposition.
pub(super) fn from_openmetrics(exposition: &str) -> String {
    let words = |line: &str| -> Option<(String, String)> {
        let (name, rest) = line.split_once(' ')?;
        Some((name.to_owned(), rest.to_owned()))
    };
    let typed = |line: &str| line.strip_prefix("# TYPE ").and_then(words);
    let kinds: BTreeMap<String, String> = exposition.lines().filter_map(typed).collect();
    let mut text = String::with_capacity(exposition.len());
    for line in exposition.lines() {
        let description = ["# HELP ", "# TYPE "].into_iter().find_map(|start| Some((start, line.strip_prefix(start)?)));
        match description.and_then(|(start, rest)| Some((start, words(rest)?))) {
            Some((start, (name, rest))) => {
                let (suffix, rest) = match kinds.get(&name).map(String::as_str) {
                    Some("counter") => ("_total", rest.as_str()),
                    // A word of OpenMetrics alone.
                    Some("info") => ("_info", if rest == "info" { "gauge" } else { rest.as_str() }),
                    _ => ("", rest.as_str()),
                };
                writeln!(text, "{start}{name}{suffix} {rest}").expect("a String takes every write");
            }
            None if line.starts_with("# ") => {}
            None => writeln!(text, "{line}").expect("a String takes every write"),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_described_by_the_name_of_their_samples() {
        let openmetrics = "# HELP a_seconds Time.\n# TYPE a_seconds counter\n# UNIT a_seconds seconds\n\
                           a_seconds_total{cause=\"x\"} 1.5\n# HELP b Bytes.\n# TYPE b gauge\nb 2\n# EOF\n";
        let text = "# HELP a_seconds_total Time.\n# TYPE a_seconds_total counter\na_seconds_total{cause=\"x\"} 1.5\n\
                    # HELP b Bytes.\n# TYPE b gauge\nb 2\n";
        assert_eq!(from_openmetrics(openmetrics), text);
    }
}
