//! Pages of a bucket's keys (S3 API, ListObjectsV2). Pure.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Most entries on a page.
pub(super) const MAX_PAGE: usize = 1000;

/// A line of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Line {
    Key(String),
    /// All keys that begin so, up to and with the delimiter.
    Folder(String),
}

/// A page of a listing.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) lines: Vec<Line>,
    /// Where the next page goes on; `None` on the last one.
    pub(super) next: Option<String>,
}

/// The page of `keys` (sorted, all beginning with `prefix`) that follows `after`.
pub(super) fn page(keys: &[String], prefix: &str, delimiter: Option<&str>, after: &str, most: usize) -> Page {
    let mut lines: Vec<Line> = Vec::new();
    let mut last = after.to_owned();
    let delimiter = delimiter.filter(|delimiter| !delimiter.is_empty());
    let is_folder = |text: &str| delimiter.is_some_and(|delimiter| text.ends_with(delimiter));
    let most = most.min(MAX_PAGE);
    for key in keys {
        if key.as_str() <= after || (is_folder(after) && key.starts_with(after)) {
            continue;
        }
        let rest = &key[prefix.len()..];
        let folder = delimiter.and_then(|delimiter| rest.find(delimiter).map(|at| at + delimiter.len()));
        let line = match folder {
            Some(end) => Line::Folder(key[..prefix.len() + end].to_owned()),
            None => Line::Key(key.clone()),
        };
        if lines.last() == Some(&line) {
            continue;
        }
        if lines.len() == most {
            return Page { lines, next: Some(last).filter(|_| most > 0) };
        }
        last = match &line {
            Line::Key(text) | Line::Folder(text) => text.clone(),
        };
        lines.push(line);
    }
    Page { lines, next: None }
}

/// A continuation token: the place in a form that nobody takes for a key.
pub(super) fn write_token(place: &str) -> String {
    URL_SAFE_NO_PAD.encode(place)
}

/// The place in a token.
pub(super) fn read_token(token: &str) -> Option<String> {
    URL_SAFE_NO_PAD.decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok())
}

/// `encoding-type=url`: keys as they stand in a URL, slashes kept.
pub(super) fn url_encode(key: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~/".contains(&byte);
    key.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> Vec<String> {
        ["a", "a/1", "a/2", "a/b/3", "b", "c/4"].map(String::from).to_vec()
    }

    fn texts(page: &Page) -> Vec<&str> {
        page.lines.iter().map(|(Line::Key(text) | Line::Folder(text))| text.as_str()).collect()
    }

    #[test]
    fn folders_are_one_line() {
        let page = page(&keys(), "", Some("/"), "", 10);
        assert_eq!(texts(&page), ["a", "a/", "b", "c/"]);
        assert_eq!((&page.lines[1], page.next), (&Line::Folder("a/".into()), None));
    }

    #[test]
    fn pages_of_any_length_make_the_whole_list() {
        for delimiter in [None, Some("/")] {
            let whole = page(&keys(), "", delimiter, "", 1000);
            for most in 1..7 {
                let (mut lines, mut after) = (Vec::new(), String::new());
                loop {
                    let page = page(&keys(), "", delimiter, &after, most);
                    lines.extend(page.lines);
                    match page.next {
                        Some(next) => after = next,
                        None => break,
                    }
                }
                assert_eq!(lines, whole.lines, "{delimiter:?} in pages of {most}");
            }
        }
    }

    #[test]
    fn a_prefix_may_end_within_a_folder() {
        let keys: Vec<String> = keys().into_iter().filter(|key| key.starts_with("a/")).collect();
        assert_eq!(texts(&page(&keys, "a/", Some("/"), "", 10)), ["a/1", "a/2", "a/b/"]);
    }
}
