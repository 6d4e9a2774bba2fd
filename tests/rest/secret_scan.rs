//! Looks for secrets in whatever was written, in every spelling that software is known to give them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use url::form_urlencoded;

/// Bytes by which a needle is recognised; none is shorter.
const KEY: usize = 8;

/// Length of the parts of a secret that are looked for: a secret that is cut off is still told.
const PART: usize = 12;

/// Bytes around a find that are shown.
const AROUND: usize = 60;

/// What is looked for.
#[derive(Debug, Default)]
pub(crate) struct SecretScan {
    secret_scan: Vec<Needle>,
    by_key: HashMap<[u8; KEY], Vec<usize>>,
    first: Vec<bool>,
}

#[derive(Debug)]
struct Needle {
    secret: String,
    spelling: &'static str,
    bytes: Vec<u8>,
}

impl SecretScan {
    /// All spellings of these secrets, each with a name; none may be shorter than [`PART`].
    pub(crate) fn of(secrets: &[(&str, &str)]) -> Self {
        let mut secret_scan = Self { first: vec![false; 1 << 16], ..Self::default() };
        for (name, secret) in secrets {
            assert!(secret.len() >= PART, "{name} is too short to be told from chance");
            for (spelling, bytes) in spellings(secret) {
                secret_scan.add(name, spelling, bytes);
            }
        }
        secret_scan
    }

    fn add(&mut self, secret: &str, spelling: &'static str, bytes: Vec<u8>) {
        let key: [u8; KEY] = bytes[..KEY].try_into().unwrap();
        self.first[first(&bytes)] = true;
        self.by_key.entry(key).or_default().push(self.secret_scan.len());
        self.secret_scan.push(Needle { secret: secret.to_owned(), spelling, bytes });
    }

    /// What of it is in `text`; each secret and spelling once.
    pub(crate) fn find(&self, place: &str, text: &[u8]) -> Vec<String> {
        let mut found: Vec<(usize, usize)> = Vec::new();
        for at in 0..text.len().saturating_sub(KEY - 1) {
            if !self.first[first(&text[at..])] {
                continue;
            }
            let Some(known) = self.by_key.get(&text[at..at + KEY]) else { continue };
            for index in known {
                let new = |(known, _): &(usize, usize)| {
                    let [one, other] = [&self.secret_scan[*known], &self.secret_scan[*index]];
                    (&one.secret, one.spelling) != (&other.secret, other.spelling)
                };
                if text[at..].starts_with(&self.secret_scan[*index].bytes) && found.iter().all(new) {
                    found.push((*index, at));
                }
            }
        }
        let tell = |(index, at): (usize, usize)| {
            let Needle { secret, spelling, bytes } = &self.secret_scan[index];
            let around = &text[at.saturating_sub(AROUND)..(at + bytes.len() + AROUND).min(text.len())];
            format!("{place} at byte {at}: the {secret} ({spelling}): …{}…", String::from_utf8_lossy(around))
        };
        found.into_iter().map(tell).collect()
    }

    /// What of it is in any file below `folder`, or in the path of one; and how many files and bytes were read.
    pub(crate) fn find_below(&self, folder: &Path) -> (Vec<String>, Vec<PathBuf>, usize) {
        let (mut found, mut files, mut bytes) = (Vec::new(), Vec::new(), 0);
        let mut folders = vec![folder.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let name = path.to_string_lossy().into_owned();
                found.extend(self.find("the path of a file", name.as_bytes()));
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let text = std::fs::read(&path).unwrap();
                bytes += text.len();
                found.extend(self.find(&name, &text));
                files.push(path);
            }
        }
        (found, files, bytes)
    }
}

fn first(bytes: &[u8]) -> usize {
    usize::from(bytes[0]) << 8 | usize::from(bytes[1])
}

fn spellings(secret: &str) -> Vec<(&'static str, Vec<u8>)> {
    let bytes = secret.as_bytes();
    let hex = |upper: bool| -> String {
        bytes.iter().map(|byte| if upper { format!("{byte:02X}") } else { format!("{byte:02x}") }).collect()
    };
    let percent: String = bytes
        .iter()
        .map(|byte| match byte {
            byte if byte.is_ascii_alphanumeric() => char::from(*byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect();
    let list = |between: &str| bytes.iter().map(u8::to_string).collect::<Vec<_>>().join(between);
    let json = serde_json::to_string(secret).unwrap();
    let mut all = vec![
        ("hexadecimal", hex(false)),
        ("hexadecimal", hex(true)),
        ("as a list of bytes", list(", ")),
        ("as a list of bytes", list(",")),
        ("percent-encoded", percent.clone()),
        ("percent-encoded", percent.to_lowercase()),
        ("percent-encoded", form_urlencoded::byte_serialize(bytes).collect()),
        ("JSON", json[1..json.len() - 1].to_owned()),
        ("JSON", json[1..json.len() - 1].replace('/', "\\/")),
        ("escaped", secret.escape_default().to_string()),
        ("escaped", secret.escape_debug().to_string()),
    ];
    // The text in front of it decides how the first bytes are spelt; what follows, the last ones.
    for before in 0..3 {
        let padded = [&vec![b'x'; before][..], bytes].concat();
        let whole = &padded[..padded.len() / 3 * 3];
        let skip = if before == 0 { 0 } else { before + 1 };
        all.push(("base64", STANDARD_NO_PAD.encode(whole)[skip..].to_owned()));
        all.push(("base64", URL_SAFE_NO_PAD.encode(whole)[skip..].to_owned()));
    }
    let parts = bytes.windows(PART).map(|part| ("plain", part.to_vec()));
    parts.chain(all.into_iter().map(|(spelling, text)| (spelling, text.into_bytes()))).collect()
}

#[test]
fn every_spelling_is_found() {
    let secret = "wJ/lr+XU \"tnF\\EMI=K7";
    let secret_scan = SecretScan::of(&[("key", secret)]);
    let encoded = |before: &str| STANDARD_NO_PAD.encode(format!("{before}{secret}:after"));
    for text in [
        format!("key={secret}."),
        "only wJ/lr+XU \"tn is left".to_owned(),
        encoded(""),
        encoded("a"),
        encoded("ab"),
        URL_SAFE_NO_PAD.encode(format!("id:{secret}")),
        "774a2f6c722b585520".to_owned() + "22746e465c454d493d4b37",
        format!("{:?}", secret.as_bytes()),
        format!("{secret:?}"),
        serde_json::json!({ "key": secret }).to_string(),
        "wJ%2Flr%2BXU%20%22tnF%5CEMI%3DK7".to_owned(),
        "wJ%2Flr%2BXU+%22tnF%5CEMI%3DK7".to_owned(),
    ] {
        assert!(!secret_scan.find("text", text.as_bytes()).is_empty(), "{text}");
    }
    assert_eq!(secret_scan.find("text", b"nothing of the kind, wJ/lr+XU it is not"), Vec::<String>::new());
}
