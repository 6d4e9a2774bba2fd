//! `<sid>_<cname>_manifest.sha256`: does it cover manifest and event log, and are they what it says? It has the format of `sha256sum`,
//! `<64 hexadecimal digits>  <name>` a line, and is the last object that a recorder writes: a recording that ended has it.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

use super::report::{Kind, Report};

/// Largest digest object in bytes; it has two lines.
pub(super) const MAX_DIGEST: usize = 4 << 10;

/// Hexadecimal digits of a SHA-256.
const HEX: usize = 64;

/// The digest's name, told from the manifest's.
pub(super) fn beside(manifest: &str) -> String {
    format!("{}.sha256", manifest.strip_suffix(".json").unwrap_or(manifest))
}

/// A digest object that was read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Digest(BTreeMap<String, String>);

impl Digest {
    /// Reads it. An error says what is wrong with it.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(bytes).map_err(|_| "it is no text, so no digest".to_owned())?;
        let line = |(number, line): (usize, &str)| {
            let pair = line.split_once("  ").filter(|(hash, name)| is_hash(hash) && !name.is_empty());
            let (hash, name) = pair.ok_or_else(|| format!("line {} is no SHA-256 and a name", number + 1))?;
            Ok((name.to_owned(), hash.to_ascii_lowercase()))
        };
        text.lines().enumerate().map(line).collect::<Result<_, String>>().map(Self)
    }

    /// Says where an object called `name` is not what this digest, called `own`, says of it.
    pub(super) fn check(&self, own: &str, name: &str, bytes: &[u8], report: &mut Report) {
        match self.0.get(name) {
            None => report.add(Kind::Hash, own, &format!("it does not cover {name}")),
            Some(hash) if *hash != format!("{:x}", Sha256::digest(bytes)) => {
                report.add(
                    Kind::Hash,
                    name,
                    &format!("its SHA-256 is not what {own} says: one of the two was changed"),
                );
            }
            Some(_) => {}
        }
    }
}

fn is_hash(text: &str) -> bool {
    text.len() == HEX && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_what_sha256sum_writes() {
        let of_a = "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb";
        let digest = Digest::parse(format!("{of_a}  a.json\n").as_bytes()).unwrap();
        let mut report = Report::default();
        digest.check("d", "a.json", b"a", &mut report);
        assert!(report.problems.is_empty());
        digest.check("d", "a.json", b"b", &mut report);
        digest.check("d", "b.jsonl", b"a", &mut report);
        assert_eq!((report.problems[0].object.as_str(), report.problems[1].object.as_str()), ("a.json", "d"));
        for wrong in ["hello", "12  a", &format!("{of_a} a"), &format!("{of_a}  ")] {
            assert!(Digest::parse(wrong.as_bytes()).unwrap_err().contains("line 1"), "{wrong}");
        }
        assert_eq!(beside("s_c_manifest.json"), "s_c_manifest.sha256");
    }
}
