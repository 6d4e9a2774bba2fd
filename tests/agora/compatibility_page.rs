//! docs/compatibility.md names a test for every row that it calls covered, and its figures are those of its rows.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A line of one of the page's tables.
#[derive(Debug)]
struct Row<'a> {
    row: &'a str,
    how: &'a str,
    place: &'a str,
}

fn rows(page: &str) -> Vec<Row<'_>> {
    let cells = page.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    let rows = cells.filter_map(|line| {
        let mut cells = line.split(" | ");
        Some(Row { row: cells.next()?, how: cells.next()?, place: cells.next()? })
    });
    rows.filter(|row| !row.how.starts_with("---") && row.how != "How").collect()
}

/// The file that a reference means: Rust below tests/, src/ or crates/, Python in tests/peers.
fn file(reference: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let of_a_unit = ["src/", "crates/"].iter().any(|folder| reference.starts_with(folder));
    let below = if of_a_unit { root.to_path_buf() } else { root.join("tests") };
    let ending = if reference.starts_with("peers/") { "py" } else { "rs" };
    below.join(reference).with_extension(ending)
}

#[test]
fn every_covered_row_names_a_test_that_is_there() {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/compatibility.md")).unwrap();
    let rows = rows(&page);
    let mut counts = BTreeMap::from([("covered", 0), ("refused", 0), ("left", 0)]);
    for Row { row, how, place } in &rows {
        *counts.get_mut(how).unwrap_or_else(|| panic!("{row}: {how} is none of covered, refused and left")) += 1;
        let references: Vec<&str> = place.split('`').skip(1).step_by(2).filter(|part| part.contains("::")).collect();
        assert!(*how != "covered" || !references.is_empty(), "{row}: no test is named");
        assert!(*how == "covered" || place.len() > 10, "{row}: no reason is given");
        for reference in references {
            let (path, test) = reference.split_once("::").unwrap();
            let path = file(path);
            let text =
                std::fs::read_to_string(&path).unwrap_or_else(|_| panic!("{row}: there is no {}", path.display()));
            let there = [format!("fn {test}("), format!("def {test}(")].iter().any(|word| text.contains(word));
            assert!(there, "{row}: {} has no test {test}", path.display());
        }
    }
    let figures = format!(
        "**{} rows: {} covered, {} refused on purpose, {} left.**",
        rows.len(),
        counts["covered"],
        counts["refused"],
        counts["left"]
    );
    assert!(page.contains(&figures), "the page has to say: {figures}");
}
