//! As much of SDP (RFC 8866, RFC 8829) as a forwarding server has to see and change by itself; the rest is the WebRTC crate's.

mod codecs;

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};

pub(super) use codecs::{Coded, coded, completed, named, red_payload_type, refused, settled, with_opus};

use super::limits::{MAX_CANDIDATES, MAX_SDP_BYTES, MAX_SDP_LINES, MAX_SDP_SECTIONS};
use super::udp_mux::IceCredentials;

/// Why a session description is not even looked at by the WebRTC crate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum SdpError {
    /// Longer than [`MAX_SDP_BYTES`], [`MAX_SDP_LINES`] or [`MAX_SDP_SECTIONS`].
    #[error("the session description is too large")]
    TooLarge,
    /// Not lines of `<letter>=<printable text>` that begin with `v=0`.
    #[error("the session description is malformed")]
    Malformed,
    /// A media section without `a=mid`, or two with the same.
    #[error("the session description's media ids are missing or not unique")]
    Mids,
}

/// What the direction attribute of a section says its author does (RFC 8866 section 6.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    SendRecv,
    SendOnly,
    RecvOnly,
    Inactive,
}

/// A media section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Section {
    /// `audio`, `video`, `application`, …
    pub(super) kind: String,
    /// The media id.
    pub(super) mid: String,
    /// The track id: the second token of `a=msid`.
    pub(super) track: Option<String>,
    pub(super) direction: Direction,
    /// Port zero: not used, or refused.
    pub(super) rejected: bool,
}

impl Section {
    /// Whether the author sends audio in it.
    pub(super) fn sends_audio(&self) -> bool {
        self.kind == "audio" && !self.rejected && matches!(self.direction, Direction::SendRecv | Direction::SendOnly)
    }
}

/// How a publisher's Opus encoder is asked to work (RFC 7587 section 6.1), by the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct OpusParameters {
    /// Send nothing while there is silence.
    pub(super) dtx: bool,
    /// Two channels, at a bit rate to match.
    pub(super) stereo: bool,
    /// Send each frame again with the next one (RED), if the client can.
    pub(super) red: bool,
}

/// The sections of a description, once it has passed for one.
pub(super) fn sections(sdp: &str) -> Result<Vec<Section>, SdpError> {
    if sdp.len() > MAX_SDP_BYTES || sdp.lines().count() > MAX_SDP_LINES {
        return Err(SdpError::TooLarge);
    }
    if !sdp.starts_with("v=0") || !sdp.lines().all(well_formed) {
        return Err(SdpError::Malformed);
    }
    let sections: Vec<_> =
        split(sdp).1.iter().map(|lines| section(lines)).collect::<Option<_>>().ok_or(SdpError::Mids)?;
    if sections.len() > MAX_SDP_SECTIONS {
        return Err(SdpError::TooLarge);
    }
    let mids: HashSet<_> = sections.iter().map(|section| &section.mid).collect();
    if mids.len() == sections.len() { Ok(sections) } else { Err(SdpError::Mids) }
}

/// A client's description as the WebRTC crate may see it: with one set of ICE credentials, with no parameters of Opus that contradict
/// ours, and only with candidates that [`usable`] lets pass, a bounded number of them.
///
/// Browsers give rejected sections, which stand outside the BUNDLE group, credentials of their own at an ICE restart; the crate
/// takes this for a contradiction (docs/protocol/livekit.md section 7).
pub(super) fn sanitized(sdp: &str) -> String {
    const CREDENTIALS: [&str; 2] = ["a=ice-ufrag:", "a=ice-pwd:"];
    let (session, sections) = split(sdp);
    let live = sections.iter().find(|lines| !rejected(lines));
    let replacement = |prefix: &str| live?.iter().find(|line| line.starts_with(prefix)).copied();
    let repaired = sections.iter().flat_map(|lines| {
        let dead = rejected(lines);
        lines.iter().map(move |line| match CREDENTIALS.iter().find(|prefix| dead && line.starts_with(**prefix)) {
            Some(prefix) => replacement(prefix).unwrap_or(line).to_owned(),
            None => codecs::agreeing(line, lines).unwrap_or_else(|| (*line).to_owned()),
        })
    });
    let repaired: Vec<_> = repaired.collect();
    let mut candidates = 0;
    let lines = session.iter().copied().chain(repaired.iter().map(String::as_str));
    join(lines.filter(|line| match line.strip_prefix("a=candidate:") {
        Some(candidate) => {
            candidates += 1;
            candidates <= MAX_CANDIDATES && usable(candidate)
        }
        None => true,
    }))
}

/// Whether we may send to a candidate (RFC 8839 section 5.1): over UDP, to an address. The crate would open TCP connections to
/// wherever a client says; and a name is either one that hides an address (mDNS), or a question to somebody's resolver.
pub(super) fn usable(candidate: &str) -> bool {
    let mut words = candidate.strip_prefix("candidate:").unwrap_or(candidate).split_ascii_whitespace().skip(2);
    let udp = words.next().is_some_and(|transport| transport.eq_ignore_ascii_case("udp"));
    udp && words.nth(1).is_some_and(|address| address.parse::<IpAddr>().is_ok())
}

/// The description with our candidates for the crate's, whose addresses mean nothing outside. All are of the first component:
/// RTCP is multiplexed.
pub(super) fn with_candidates(sdp: &str, candidates: &[SocketAddr]) -> String {
    let ours: Vec<_> = candidates.iter().enumerate().map(|(index, address)| candidate(index, *address)).collect();
    let (session, sections) = split(sdp);
    let mut lines = session.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
    for section in &sections {
        lines.extend(section.iter().filter(|line| !about_candidates(line)).map(|line| (*line).to_owned()));
        if !rejected(section) {
            lines.extend(ours.iter().cloned());
            lines.push("a=end-of-candidates".to_owned());
        }
    }
    join(lines.iter().map(String::as_str))
}

/// The ICE credentials of a description, for the session or section by section; where a section gives half of them, the other half is
/// the session's.
pub(super) fn ice_credentials(sdp: &str) -> Vec<IceCredentials<'_>> {
    let (session, sections) = split(sdp);
    let of_session = [attribute(&session, "ice-ufrag:"), attribute(&session, "ice-pwd:")];
    let all = std::iter::once(&session).chain(&sections).filter_map(|lines| {
        let ufrag = attribute(lines, "ice-ufrag:").or(of_session[0])?;
        Some(IceCredentials { ufrag, password: attribute(lines, "ice-pwd:").or(of_session[1])? })
    });
    all.collect()
}

fn candidate(index: usize, address: SocketAddr) -> String {
    // RFC 8445 section 5.1.2.1: a host candidate's type preference 126, then local preference and component.
    let local_preference = 65_535 - index.min(65_535);
    let priority = (126 << 24) + (local_preference << 8) + 255;
    let (ip, port) = (address.ip(), address.port());
    format!("a=candidate:{} 1 udp {priority} {ip} {port} typ host", index + 1)
}

fn about_candidates(line: &str) -> bool {
    line.starts_with("a=candidate:") || line.starts_with("a=end-of-candidates")
}

fn well_formed(line: &str) -> bool {
    let mut chars = line.chars();
    chars.next().is_some_and(|letter| letter.is_ascii_lowercase())
        && chars.next() == Some('=')
        && chars.all(|char| !char.is_control())
}

/// The lines before the first section, and those of each section.
fn split(sdp: &str) -> (Vec<&str>, Vec<Vec<&str>>) {
    let mut session = Vec::new();
    let mut sections: Vec<Vec<&str>> = Vec::new();
    for line in sdp.lines() {
        if line.starts_with("m=") {
            sections.push(vec![line]);
        } else {
            sections.last_mut().unwrap_or(&mut session).push(line);
        }
    }
    (session, sections)
}

fn join<'a>(lines: impl Iterator<Item = &'a str>) -> String {
    lines.flat_map(|line| [line, "\r\n"]).collect()
}

fn section(lines: &[&str]) -> Option<Section> {
    let kind = lines.first()?.strip_prefix("m=")?.split(' ').next()?;
    let mid = attribute(lines, "mid:").filter(|mid| !mid.is_empty())?;
    let track = attribute(lines, "msid:").and_then(|msid| msid.split(' ').nth(1)).filter(|track| !track.is_empty());
    let direction = lines.iter().find_map(|line| direction(line)).unwrap_or(Direction::SendRecv);
    Some(Section {
        kind: kind.to_owned(),
        mid: mid.to_owned(),
        track: track.map(str::to_owned),
        direction,
        rejected: rejected(lines),
    })
}

fn direction(line: &str) -> Option<Direction> {
    match line.strip_prefix("a=")? {
        "sendrecv" => Some(Direction::SendRecv),
        "sendonly" => Some(Direction::SendOnly),
        "recvonly" => Some(Direction::RecvOnly),
        "inactive" => Some(Direction::Inactive),
        _ => None,
    }
}

fn attribute<'a>(lines: &[&'a str], name: &str) -> Option<&'a str> {
    lines.iter().find_map(|line| line.strip_prefix("a=")?.strip_prefix(name)).map(str::trim)
}

fn rejected(lines: &[&str]) -> bool {
    lines.first().and_then(|line| line.split(' ').nth(1)) == Some("0")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(super) const OFFER: &str = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\n\
        m=audio 9 UDP/TLS/RTP/SAVPF 63 111\r\na=ice-ufrag:live\r\na=ice-pwd:livepwd\r\na=mid:0\r\na=sendonly\r\n\
        a=msid:stream TR_mic\r\na=rtpmap:63 red/48000/2\r\na=fmtp:63 111/111\r\na=rtpmap:111 opus/48000/2\r\n\
        a=fmtp:111 minptime=10;useinbandfec=1\r\na=candidate:1 1 udp 1 127.0.0.1 40000 typ host\r\n\
        m=video 0 UDP/TLS/RTP/SAVPF 96\r\na=ice-ufrag:dead\r\na=ice-pwd:deadpwd\r\na=mid:1\r\na=inactive\r\n";

    #[test]
    fn sections_are_read() {
        let sections = sections(OFFER).unwrap();
        assert_eq!(sections[0].track.as_deref(), Some("TR_mic"));
        assert_eq!((sections[0].mid.as_str(), sections[0].direction), ("0", Direction::SendOnly));
        assert!(sections[0].sends_audio());
        assert!(sections[1].rejected && !sections[1].sends_audio());
    }

    #[test]
    fn rejected_sections_take_the_living_ones_credentials() {
        let repaired = sanitized(OFFER);
        let live = IceCredentials { ufrag: "live", password: "livepwd" };
        assert_eq!(ice_credentials(&repaired), [live, live]);
        assert_eq!(repaired.matches("a=ice-pwd:livepwd").count(), 2);
        assert_eq!(sanitized(&repaired), repaired);
    }

    #[test]
    fn only_udp_candidates_with_an_address_are_used() {
        assert!(usable("candidate:1 1 udp 2130706431 192.0.2.1 4000 typ host"));
        assert!(usable("1 1 UDP 1 2001:db8::1 4000 typ srflx raddr 0.0.0.0 rport 0"));
        for candidate in [
            "candidate:1 1 tcp 1518280447 192.0.2.1 4000 typ host tcptype passive",
            "candidate:1 1 udp 2130706431 6d1c5a1e.local 4000 typ host",
            "candidate:1 1 udp 1 example.com 4000 typ host",
            "candidate:",
            "",
        ] {
            assert!(!usable(candidate), "{candidate}");
        }
        let tcp = "a=candidate:2 1 tcp 1 127.0.0.1 9 typ host tcptype passive\r\n";
        assert_eq!(sanitized(&format!("{OFFER}{tcp}")), sanitized(OFFER));
        let many = "a=candidate:2 1 udp 1 127.0.0.1 9 typ host\r\n".repeat(1_000);
        assert_eq!(sanitized(&format!("{OFFER}{many}")).matches("a=candidate").count(), MAX_CANDIDATES);
    }

    #[test]
    fn candidates_are_replaced_in_living_sections() {
        let addresses = ["203.0.113.9:7882".parse().unwrap(), "127.0.0.1:7882".parse().unwrap()];
        let replaced = with_candidates(OFFER, &addresses);
        assert!(!replaced.contains("40000"));
        assert_eq!(replaced.matches("a=candidate:").count(), 2);
        assert!(replaced.contains("a=candidate:1 1 udp 2130706431 203.0.113.9 7882 typ host\r\n"));
        assert!(replaced.contains("a=candidate:2 1 udp 2130706175 127.0.0.1 7882 typ host\r\n"));
    }

    #[test]
    fn what_is_no_description_is_refused() {
        assert_eq!(sections(""), Err(SdpError::Malformed));
        assert_eq!(sections("v=0\r\nrubbish\r\n"), Err(SdpError::Malformed));
        assert_eq!(sections("v=0\r\ns=\u{0}\r\n"), Err(SdpError::Malformed));
        assert_eq!(sections("v=0\r\nm=audio 9 x 0\r\n"), Err(SdpError::Mids));
        assert_eq!(sections("v=0\r\nm=audio 9 x 0\r\na=mid:0\r\nm=audio 9 x 0\r\na=mid:0\r\n"), Err(SdpError::Mids));
        assert_eq!(sections(&format!("v=0\r\ns={}\r\n", "x".repeat(MAX_SDP_BYTES))), Err(SdpError::TooLarge));
        let many: String = (0..=MAX_SDP_SECTIONS).map(|mid| format!("m=audio 9 x 0\r\na=mid:{mid}\r\n")).collect();
        assert_eq!(sections(&format!("v=0\r\n{many}")), Err(SdpError::TooLarge));
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in "\\PC*", lines in proptest::collection::vec("[ma]=[a-z:0-9 -]{0,20}", 0..30)) {
            for sdp in [text, format!("v=0\n{}", lines.join("\n"))] {
                let _ = sections(&sdp);
                sanitized(&sdp);
                with_candidates(&sdp, &[]);
            }
        }
    }
}
