//! What code, tests and documents cite is in the repository: pages below docs/, their sections by number, and the invariants of
//! ARCHITECTURE.md. Fact sheets and laws, which were cited before and lie elsewhere, are cited no more.
//!
//! A citation is the page's path, alone or followed by `section 5.1`, `sections 1.2 to 1.6` and the like; an end of a comment's line may
//! lie between its words.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Where citations are looked for.
const ROOTS: [&str; 8] =
    ["src", "crates", "tests", "docs", "examples", "README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"];

/// Endings of the files that are read.
const TEXTS: [&str; 10] = ["rs", "md", "py", "sh", "js", "mjs", "html", "css", "toml", "yaml"];

/// Endings of what is cited below docs/: documents and folders. Other names there are addresses that the worker serves.
const CITED: [&str; 4] = [".md", ".json", ".yaml", "/"];

/// Folders with what others wrote.
const FOREIGN: [&str; 2] = ["node_modules", "__pycache__"];

/// What begins a line of a comment or a list, and is no word of it.
const LEADERS: [&str; 6] = ["//!", "///", "//", "#", "*", "-"];

/// The fewest citations that there are: fewer say that they are not found.
const AT_LEAST: usize = 100;

/// Words that must not stand here as they are, since this file is read too.
const SHEETS: &str = concat!("fac", "ts/");
const LAW: &str = concat!("la", "w");
const PAGES: &str = concat!("do", "cs/");
const INVARIANT: &str = concat!("invar", "iant");

/// A file of the repository: its path there, and its text.
type Text = (String, String);

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Adds the texts at and below a path; what is not there has none.
fn read(path: &Path, into: &mut Vec<Text>) {
    let name = path.file_name().unwrap().to_string_lossy();
    if path.is_dir() {
        if FOREIGN.contains(&&*name) || name.starts_with('.') {
            return;
        }
        for entry in fs::read_dir(path).unwrap() {
            read(&entry.unwrap().path(), into);
        }
    } else if path.is_file() && path.extension().is_some_and(|ending| TEXTS.iter().any(|text| ending == *text)) {
        let text = String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
        into.push((path.strip_prefix(root()).unwrap().to_string_lossy().into_owned(), text));
    }
}

fn line(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

/// Where `word` stands, at the beginning of a word, in any case of its first letter.
fn places<'a>(text: &'a str, word: &str) -> Vec<(usize, &'a str)> {
    let (first, others) = word.split_at(1);
    let found = text.match_indices(others).filter_map(|(at, _)| {
        let start = at.checked_sub(1).filter(|start| text.is_char_boundary(*start))?;
        let before = text[..start].chars().next_back();
        let begins = before.is_none_or(|before| !before.is_alphanumeric() && !['_', '-', '/', '.'].contains(&before));
        (begins && text[start..at].eq_ignore_ascii_case(first)).then_some((start, &text[at + others.len()..]))
    });
    found.collect()
}

/// The numbers that a text begins with after a blank: `2`, `1.2 to 1.6`, `8.1 and 8.2`, `2, 2.1 and 2.4`.
fn numbers(text: &str) -> Vec<&str> {
    let mut numbers = Vec::new();
    if !text.starts_with(char::is_whitespace) {
        return numbers;
    }
    for word in text.split_whitespace().filter(|word| !LEADERS.contains(word)) {
        if !numbers.is_empty() && ["and", "to", "section", "sections"].contains(&word) {
            continue;
        }
        let end = word.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(word.len());
        let number = word[..end].trim_end_matches('.');
        let tail = &word[number.len()..];
        if !number.starts_with(|digit: char| digit.is_ascii_digit())
            || tail.starts_with(|next: char| next.is_alphanumeric() || next == '-' || next == '_')
        {
            break;
        }
        numbers.push(number);
        if !tail.is_empty() && tail != "," {
            break;
        }
    }
    numbers
}

/// The numbers of the sections that are named behind a page's path.
fn sections(text: &str) -> Vec<&str> {
    if !text.starts_with(char::is_whitespace) {
        return Vec::new();
    }
    match text.split_whitespace().find(|word| !LEADERS.contains(word)) {
        // The word is the first of its kind in the text: nothing but leaders stands before it.
        Some(word @ ("section" | "sections")) => numbers(&text[text.find(word).unwrap() + word.len()..]),
        _ => Vec::new(),
    }
}

/// The path that a text begins with, without the dot of a sentence's end.
fn path(text: &str) -> &str {
    let end =
        text.find(|letter: char| !letter.is_ascii_alphanumeric() && !"/._-".contains(letter)).unwrap_or(text.len());
    text[..end].trim_end_matches('.')
}

/// The numbers of a page's headings: `5.1` of `### 5.1 Recording events`.
fn headings(page: &str) -> Vec<&str> {
    let words =
        page.lines().filter_map(|line| line.strip_prefix('#')?.trim_start_matches('#').split_whitespace().next());
    words
        .map(|word| word.trim_end_matches('.'))
        .filter(|word| word.starts_with(|digit: char| digit.is_ascii_digit()))
        .collect()
}

/// The numbers of the invariants that ARCHITECTURE.md lists.
fn invariants(architecture: &str) -> Vec<&str> {
    let listed = architecture.lines().skip_while(|line| *line != "## Invariants").skip(1);
    let listed = listed.take_while(|line| !line.starts_with("## "));
    let numbers = listed.filter_map(|line| Some(line.split_once(". ")?.0));
    numbers.filter(|number| !number.is_empty() && number.bytes().all(|digit| digit.is_ascii_digit())).collect()
}

/// What is wrong with the citations of a text, and how many it has. `page` gives a cited file's text; a folder's is empty.
fn faults(
    text: &str,
    invariants: &[&str],
    page: &mut impl FnMut(&str) -> Option<String>,
) -> (Vec<(usize, String)>, usize) {
    let (mut faults, mut count) = (Vec::new(), 0);
    for (at, rest) in
        places(text, SHEETS).into_iter().chain(text.match_indices(concat!("/fac", "ts/")).map(|(at, _)| (at, "")))
    {
        faults.push((line(text, at), format!("cites a fact sheet: {SHEETS}{}", path(rest))));
    }
    for (at, rest) in places(text, LAW) {
        if !numbers(rest.strip_prefix('s').unwrap_or(rest)).is_empty() {
            faults.push((line(text, at), format!("cites a {LAW}; it is an {INVARIANT} now")));
        }
    }
    for (at, rest) in places(text, INVARIANT) {
        for number in numbers(rest.strip_prefix('s').unwrap_or(rest)) {
            count += 1;
            if !invariants.contains(&number) {
                faults
                    .push((line(text, at), format!("cites {INVARIANT} {number}, which ARCHITECTURE.md does not have")));
            }
        }
    }
    for (at, rest) in places(text, PAGES) {
        let cited = format!("{PAGES}{}", path(rest));
        if !CITED.iter().any(|ending| cited.ends_with(ending)) {
            continue;
        }
        count += 1;
        let Some(there) = page(&cited) else {
            faults.push((line(text, at), format!("cites {cited}, which is not there")));
            continue;
        };
        let behind = &text[at + cited.len()..];
        for section in sections(behind).into_iter().filter(|section| !headings(&there).contains(section)) {
            faults.push((line(text, at), format!("cites section {section} of {cited}, which it does not have")));
        }
    }
    (faults, count)
}

#[test]
fn every_citation_leads_somewhere() {
    let mut texts = Vec::new();
    ROOTS.iter().for_each(|name| read(&root().join(name), &mut texts));
    let architecture = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let invariants = invariants(&architecture);
    assert!(!invariants.is_empty(), "ARCHITECTURE.md lists no invariants");
    let mut pages = BTreeMap::new();
    let mut page = |cited: &str| {
        let read = || {
            let path = root().join(cited);
            if path.is_dir() { Some(String::new()) } else { fs::read_to_string(path).ok() }
        };
        pages.entry(cited.to_owned()).or_insert_with(read).clone()
    };
    let (mut wrong, mut citations) = (Vec::new(), 0);
    for (name, text) in &texts {
        let (faults, count) = faults(text, &invariants, &mut page);
        citations += count;
        wrong.extend(faults.into_iter().map(|(line, error_class)| format!("{name}:{line} {error_class}")));
    }
    wrong.sort();
    assert!(wrong.is_empty(), "{} citations lead nowhere:\n{}", wrong.len(), wrong.join("\n"));
    assert!(citations >= AT_LEAST, "only {citations} citations were found in {} files", texts.len());
}

/// What this file calls a citation, and what it does not.
#[test]
fn citations_are_read_as_people_write_them() {
    let mut page =
        |cited: &str| (cited == format!("{PAGES}a.md")).then(|| "# A\n\n## 1 One\n\n### 1.2. Two\n".to_owned());
    let mut told = |text: &str| {
        let text =
            text.replace("PAGES/", PAGES).replace("SHEETS/", SHEETS).replace("LAW", LAW).replace("INV", INVARIANT);
        faults(&text, &["1", "12"], &mut page).0.len()
    };
    for good in [
        "(PAGES/a.md section 1), and more",
        "PAGES/a.md sections 1 and 1.2: 10 s",
        "//! PAGES/a.md\n//! section 1.2, row 7.",
        "see PAGES/a.md. Section 9 of something else, https://example.org/PAGES/b.md, artiSHEETS/x, MyPAGES/b.md, PAGES/b.css",
        "INV 1, and INVs 1 and 12; INVs: 7; a mu-LAW 8 of LAW, outlaw 3, LAWs and 4 more",
    ] {
        assert_eq!(told(good), 0, "{good}");
    }
    for (bad, faults) in [
        ("(PAGES/a.md section 2)", 1),
        ("PAGES/a.md sections 1 to 3, 1.2 and 1.3.", 2),
        ("/// PAGES/a.md section\n/// 7", 1),
        ("PAGES/b.md, PAGES/c/", 2),
        ("SHEETS/x.md section 1, ../shared/SHEETS/y.md", 2),
        ("(LAW 1) and LAWs 2 and 3", 2),
        ("INV 2, INVs 1 and 3", 2),
    ] {
        assert_eq!(told(bad), faults, "{bad}");
    }
}
