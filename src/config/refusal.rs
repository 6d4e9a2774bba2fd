//! Why a configuration is refused, in words that repeat none of its values: any of them may be a secret.

/// What serde says before a value that it did not expect.
const UNEXPECTED: [&str; 2] = ["invalid type: ", "invalid value: "];

/// What is wrong, without its place.
pub(super) fn what(error: &toml::de::Error) -> String {
    without_value(error.message())
}

/// The place in `text` and what is wrong there.
pub(super) fn words(text: &str, error: &toml::de::Error) -> String {
    let what = what(error);
    let place = match error.span() {
        Some(span) => {
            let before = text.get(..span.start).unwrap_or(text);
            let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
            format!("line {}, column {column}", before.matches('\n').count() + 1)
        }
        // Without a place in a text the last line names the key.
        None => match error.to_string().lines().last().and_then(|line| line.strip_prefix("in ")) {
            Some(key) => key.to_owned(),
            None => "the whole".to_owned(),
        },
    };
    format!("{place}: {what}")
}

/// Serde's words with the kind of a value, but not the value.
fn without_value(message: &str) -> String {
    let Some(start) = UNEXPECTED.iter().find(|start| message.starts_with(**start)) else { return message.to_owned() };
    let rest = &message[start.len()..];
    let kind = rest.split(['`', '"', ',']).next().unwrap_or_default().trim();
    let expected = rest.rsplit_once(", expected ").map_or("another value", |(_, expected)| expected);
    format!("{start}{kind}, expected {expected}")
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    fn said(text: &str, variables: &[(&str, &str)]) -> String {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Config::parse(text, variables).unwrap_err().to_string()
    }

    #[test]
    fn places_and_kinds_are_named_and_values_are_not() {
        const ANNOTATED: &str = include_str!("../../deploy/cloud-recorder.toml");
        let number = ANNOTATED.replace("customer_secret = \"change-me-secret\"", "customer_secret = 1234567890123");
        let text = said(&number, &[]);
        assert!(text.starts_with("line ") && text.ends_with("invalid type: integer, expected a string"), "{text}");
        let open = ANNOTATED.replace("\"change-me-secret\"", "\"change-me-secret");
        let url = ANNOTATED.replace("# callback_url = \"https://", "callback_url = \"change-me-secret ");
        let limit = ANNOTATED.replace("max_recordings = 50", "max_recordings = \"change-me-secret\"");
        let key = [("CLOUD_RECORDER__APPS__0__MAX_RECORDINGS", "change-me-secret, expected nothing")];
        for text in [said(&open, &[]), said(&url, &[]), said(&limit, &[]), said(ANNOTATED, &key)] {
            assert!(!text.contains("change-me") && !text.is_empty(), "{text}");
        }
        let text = said(ANNOTATED, &key);
        assert!(
            text.starts_with("environment variable CLOUD_RECORDER__APPS__0__MAX_RECORDINGS: invalid type"),
            "{text}"
        );
    }
}
