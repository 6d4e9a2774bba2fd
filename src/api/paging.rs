//! How long the pages of lists are.

use super::wire::fields::BadField;

/// Entries of a list in one answer.
const MAX_PAGE: u32 = 500;

/// How many entries a page may have: as asked, 1 to [`MAX_PAGE`].
pub(super) fn page_limit(asked: Option<&str>) -> Result<u32, BadField> {
    let Some(text) = asked.filter(|text| !text.is_empty()) else { return Ok(MAX_PAGE) };
    let limit = text.parse().ok().filter(|limit| (1..=MAX_PAGE).contains(limit));
    limit.ok_or_else(|| BadField::new("limit", format!("must be a number from 1 to {MAX_PAGE}")))
}
