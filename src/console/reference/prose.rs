//! Text into HTML: everything escaped, backticks to code, blank lines to paragraphs.

/// Text as it stands.
pub(super) fn escaped(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            other => html.push(other),
        }
    }
    html
}

/// One line of text, with code between backticks.
pub(super) fn line(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for (index, part) in text.split('`').enumerate() {
        let part = escaped(part);
        html.push_str(&if index % 2 == 1 { format!("<code>{part}</code>") } else { part });
    }
    html
}

/// Paragraphs.
pub(super) fn paragraphs(text: &str) -> String {
    text.split("\n\n").filter(|part| !part.is_empty()).map(|part| format!("<p>{}</p>\n", line(part))).collect()
}

/// A path, which may be broken after each slash, with its parameters marked.
pub(super) fn path(path: &str) -> String {
    let part = |part: &str| {
        let text = escaped(part);
        if part.starts_with('{') { format!("<var>{text}</var>") } else { text }
    };
    path.split('/').map(part).collect::<Vec<_>>().join("/<wbr>")
}
