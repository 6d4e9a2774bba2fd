//! Programs that read the customer's bucket, as they were seen (docs/protocol/callers.md section 4): they know names and lines, nothing
//! else.

/// A media file's name taken apart from the right, since a channel's name may hold underscores.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct MediaName<'a> {
    pub(crate) sid: &'a str,
    pub(crate) cname: &'a str,
    /// Of an individual track.
    pub(crate) uid: Option<&'a str>,
    /// `YYYYMMDDhhmmssmmm`.
    pub(crate) utc: &'a str,
}

impl<'a> MediaName<'a> {
    pub(crate) fn parse(name: &'a str) -> Option<Self> {
        let (stem, utc) = name.strip_suffix(".m4s")?.rsplit_once('_')?;
        if utc.len() != 17 || !utc.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let (sid, cname, uid) = stem_parts(stem)?;
        Some(Self { sid, cname, uid, utc })
    }
}

/// Sid, channel and uid of a playlist's name without its ending.
pub(crate) fn stem_parts(stem: &str) -> Option<(&str, &str, Option<&str>)> {
    let (sid, rest) = stem.split_at_checked(32)?;
    let rest = rest.strip_prefix('_')?;
    match rest.rsplit_once("__uid_s_") {
        None => Some((sid, rest, None)),
        Some((cname, uid)) => Some((sid, cname, Some(uid.strip_suffix("__uid_e_audio")?))),
    }
}

/// Milliseconds since 1970 of the 17 digits.
pub(crate) fn utc_ms(digits: &str) -> i64 {
    let time = chrono::NaiveDateTime::parse_from_str(&digits[..14], "%Y%m%d%H%M%S").unwrap();
    time.and_utc().timestamp_millis() + digits[14..].parse::<i64>().unwrap()
}

/// Segments of a playlist with their printed lengths, as a line reader finds them.
pub(crate) fn segments(playlist: &str) -> Vec<(&str, &str)> {
    let lines: Vec<&str> = playlist.lines().collect();
    let pair = |pair: &[&'_ str]| pair[0].starts_with("#EXTINF:") && !pair[1].starts_with('#');
    let pairs = lines.windows(2).filter(|lines| pair(lines));
    pairs.map(|pair| (pair[1], pair[0].trim_start_matches("#EXTINF:").trim_end_matches(','))).collect()
}
