//! Codecs in descriptions: what the WebRTC crate is shown of them, and what our answers settle on.
//!
//! * The crate knows, for the life of a connection, the codecs of the first section of sound that it sees and no others
//!   (docs/protocol/livekit.md section 7). So that section is shown to it with all of ours ([`completed`]), and the answer is brought back
//!   to what the client asked for ([`settled`]).
//! * A section carries one codec: Opus where the client offers it, else the G.711 that it names first. So the recorder and other listeners
//!   can be told what the track is.

use std::collections::{HashMap, HashSet};
use std::iter;
use std::ops::RangeInclusive;

use super::{OpusParameters, attribute, join, rejected, split};
use channel_client::peer::{Codec, OPUS_FMTP, RED_PAYLOAD_TYPE};

/// How SDP names Opus and RED.
const OPUS: &str = "opus";
const RED: &str = "red";

/// The payload types that may mean anything (RFC 3551 section 6).
const DYNAMIC: RangeInclusive<u8> = 96..=127;

/// What an answer settled on for a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Coded {
    pub(crate) codec: Codec,
    pub(crate) payload_type: u8,
}

/// A client's description, its first section of sound with all codecs that we take: for the WebRTC crate alone.
pub(crate) fn completed(sdp: &str) -> String {
    let (session, sections) = split(sdp);
    let Some(first) = sections.iter().position(|lines| is_sound(lines)) else { return sdp.to_owned() };
    let mut used: HashSet<u8> = sections.iter().flat_map(|lines| payload_types(lines)).collect();
    let mut number = |name: &str, usual: u8| {
        let elsewhere = sections.iter().filter(|lines| is_sound(lines)).find_map(|lines| numbered(lines, name));
        let number = elsewhere.or_else(|| iter::once(usual).chain(DYNAMIC).find(|number| !used.contains(number)));
        used.extend(number);
        number
    };
    let (mut numbers, mut added) = (Vec::new(), Vec::new());
    for codec in Codec::ALL.into_iter().filter(|codec| numbered(&sections[first], codec.name()).is_none()) {
        let Some(number) = number(codec.name(), codec.payload_type()) else { continue };
        numbers.push(number);
        added.extend([format!("a=rtpmap:{number} {}", codec.rtpmap()), format!("a=rtcp-fb:{number} nack")]);
        if codec == Codec::Opus {
            added.push(format!("a=fmtp:{number} {OPUS_FMTP}"));
        }
    }
    let opus = numbered(&sections[first], OPUS).or_else(|| number(OPUS, Codec::Opus.payload_type()));
    if let Some(opus) = opus.filter(|_| numbered(&sections[first], RED).is_none())
        && let Some(number) = number(RED, RED_PAYLOAD_TYPE)
    {
        numbers.push(number);
        added.extend([format!("a=rtpmap:{number} red/48000/2"), format!("a=fmtp:{number} {opus}/{opus}")]);
    }
    let media = numbers.iter().fold(sections[first][0].to_owned(), |line, number| format!("{line} {number}"));
    let (before, behind) = sections.split_at(first);
    let lines = session.iter().chain(before.iter().flatten()).copied().chain([media.as_str()]);
    let lines = lines.chain(behind[0][1..].iter().copied()).chain(added.iter().map(String::as_str));
    join(lines.chain(behind[1..].iter().flatten().copied()))
}

/// The crate's answer, each section of sound brought down to one codec that the client's section has; a section that has none is refused.
pub(crate) fn settled(offer: &str, answer: &str) -> String {
    let (session, sections) = split(answer);
    let mut refused = HashSet::new();
    let mut lines = Vec::new();
    for (section, asked) in sections.iter().zip(split(offer).1) {
        let codec = chosen(&asked).filter(|codec| numbered(section, codec.name()).is_some());
        match codec {
            _ if !is_sound(section) || rejected(section) => lines.extend(section.iter().map(|line| (*line).to_owned())),
            Some(Codec::Opus) if numbered(&asked, RED).is_some() => lines.extend(with_only(section, &[OPUS, RED])),
            Some(codec) => lines.extend(with_only(section, &[codec.name()])),
            None => {
                refused.extend(attribute(section, "mid:"));
                lines.extend(refusal(section));
            }
        }
    }
    let session = session.iter().map(|line| match line.strip_prefix("a=group:BUNDLE ") {
        Some(mids) => mids
            .split(' ')
            .filter(|mid| !refused.contains(mid))
            .fold("a=group:BUNDLE".to_owned(), |line, mid| format!("{line} {mid}")),
        None => (*line).to_owned(),
    });
    let lines: Vec<_> = session.chain(lines).collect();
    join(lines.iter().map(String::as_str))
}

/// What the answer's sections of sound carry, by their media ids.
pub(crate) fn coded(answer: &str) -> HashMap<String, Coded> {
    let coded = sounding(answer).filter_map(|lines| {
        let codec = chosen(&lines)?;
        let payload_type = numbered(&lines, codec.name())?;
        Some((attribute(&lines, "mid:")?.to_owned(), Coded { codec, payload_type }))
    });
    coded.collect()
}

/// The codecs that the description's sections of sound name.
pub(crate) fn named(sdp: &str) -> HashSet<Codec> {
    let named = |codec: &Codec| sounding(sdp).any(|lines| numbered(&lines, codec.name()).is_some());
    Codec::ALL.into_iter().filter(named).collect()
}

/// The sections of sound that the answer refuses, by their media ids: they hold no codec of ours. Nothing will come in them, and that is
/// no silence.
pub(crate) fn refused(offer: &str, answer: &str) -> HashSet<String> {
    let (asked, settled) = (split(offer).1, split(answer).1);
    let refused = asked.iter().zip(&settled).filter_map(|(asked, settled)| {
        attribute(asked, "mid:").filter(|_| is_sound(asked) && !rejected(asked) && rejected(settled)).map(str::to_owned)
    });
    refused.collect()
}

/// The payload type of RED that the description settles on, if it does.
pub(crate) fn red_payload_type(sdp: &str) -> Option<u8> {
    split(sdp).1.iter().find_map(|lines| numbered(lines, RED))
}

/// The description with `wishes` for each Opus section by its media id. Clients send what comes first: RED where it is wished, and it is
/// left out where it is not.
pub(crate) fn with_opus(sdp: &str, wishes: impl Fn(&str) -> OpusParameters) -> String {
    let (session, sections) = split(sdp);
    let mut lines = session.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
    for section in sections {
        let wishes = attribute(&section, "mid:").map(&wishes).unwrap_or_default();
        let opus = numbered(&section, OPUS).map(|number| format!("a=fmtp:{number} "));
        let section = section.iter().map(|line| match &opus {
            Some(prefix) if line.starts_with(prefix) => format!("{line}{}", parameters(wishes)),
            _ => (*line).to_owned(),
        });
        lines.extend(with_red(section.collect(), wishes.red));
    }
    join(lines.iter().map(String::as_str))
}

/// A line of Opus parameters (`a=fmtp`) without contradiction to ours: the crate would take that for another codec. `None` for every other
/// line of the section.
pub(super) fn agreeing(line: &str, section: &[&str]) -> Option<String> {
    let (number, parameters) = line.strip_prefix("a=fmtp:")?.split_once(' ')?;
    if number.parse().ok() != numbered(section, OPUS) {
        return None;
    }
    let name = |parameter: &str| parameter.split('=').next().unwrap_or_default().trim().to_ascii_lowercase();
    let ours = |parameter: &&str| OPUS_FMTP.split(';').find(|ours| name(ours) == name(parameter));
    let agreeing: Vec<&str> = parameters.split(';').map(|parameter| ours(&parameter).unwrap_or(parameter)).collect();
    Some(format!("a=fmtp:{number} {}", agreeing.join(";")))
}

const fn parameters(wishes: OpusParameters) -> &'static str {
    match (wishes.dtx, wishes.stereo) {
        (false, false) => "",
        (true, false) => ";usedtx=1",
        (false, true) => ";stereo=1;maxaveragebitrate=510000",
        (true, true) => ";usedtx=1;stereo=1;maxaveragebitrate=510000",
    }
}

fn is_sound(lines: &[&str]) -> bool {
    lines.first().is_some_and(|media| media.starts_with("m=audio "))
}

/// The sections of sound that are in use.
fn sounding(sdp: &str) -> impl Iterator<Item = Vec<&str>> {
    split(sdp).1.into_iter().filter(|lines| is_sound(lines) && !rejected(lines))
}

/// The codec that a section which offers these is to carry.
fn chosen(lines: &[&str]) -> Option<Codec> {
    let named = |number: u8| Codec::ALL.into_iter().find(|codec| numbered(lines, codec.name()) == Some(number));
    let offered: Vec<Codec> = payload_types(lines).filter_map(named).collect();
    offered.iter().find(|codec| **codec == Codec::Opus).or_else(|| offered.first()).copied()
}

/// The payload types of a section, the client's favourite first.
fn payload_types(lines: &[&str]) -> impl Iterator<Item = u8> {
    lines.first().into_iter().flat_map(|media| media.split(' ').skip(3)).filter_map(|number| number.parse().ok())
}

/// The payload type of a codec in a section.
fn numbered(lines: &[&str], codec: &str) -> Option<u8> {
    lines.iter().find_map(|line| {
        let (number, name) = line.strip_prefix("a=rtpmap:")?.split_once(' ')?;
        let same = name.split('/').next().is_some_and(|name| name.eq_ignore_ascii_case(codec));
        number.parse().ok().filter(|_| same)
    })
}

/// A section without what is about other codecs than these.
fn with_only(section: &[&str], codecs: &[&str]) -> Vec<String> {
    let kept: Vec<u8> = codecs.iter().filter_map(|codec| numbered(section, codec)).collect();
    let others = payload_types(section).filter(|number| !kept.contains(number));
    let section = section.iter().map(|line| (*line).to_owned()).collect();
    others.fold(section, |section, number| without(section, number, None))
}

/// A section that is refused (RFC 3264 section 6).
fn refusal(section: &[&str]) -> Vec<String> {
    let mid = attribute(section, "mid:").map(|mid| format!("a=mid:{mid}"));
    let lines = ["m=audio 0 UDP/TLS/RTP/SAVPF 0", "c=IN IP4 0.0.0.0"].map(str::to_owned);
    lines.into_iter().chain(mid).collect()
}

/// A section with RED first, or without it.
fn with_red(section: Vec<String>, wished: bool) -> Vec<String> {
    let lines: Vec<_> = section.iter().map(String::as_str).collect();
    match numbered(&lines, RED) {
        Some(red) => without(section, red, wished.then_some(red)),
        None => section,
    }
}

/// A section without a payload type, or with it as the first.
fn without(mut section: Vec<String>, number: u8, first: Option<u8>) -> Vec<String> {
    let text = number.to_string();
    if let Some(media) = section.first_mut() {
        let words: Vec<_> = media.split(' ').map(str::to_owned).collect();
        let (head, rest) = words.split_at(words.len().min(3));
        let rest = rest.iter().filter(|word| **word != text);
        *media = head.iter().chain(first.map(|_| &text)).chain(rest).cloned().collect::<Vec<_>>().join(" ");
    }
    let about = ["rtpmap", "fmtp", "rtcp-fb"].map(|attribute| format!("a={attribute}:{text} "));
    section.retain(|line| first.is_some() || !about.iter().any(|prefix| line.starts_with(prefix)));
    section
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{sanitized, tests::OFFER};
    use super::*;

    const WITH_RED: &str = "a=rtpmap:63 red/48000/2\r\na=fmtp:63 111/111\r\n";

    fn section(port: u8, mid: u8, codecs: &[(u8, &str)]) -> String {
        let numbers: String = codecs.iter().map(|(number, _)| format!(" {number}")).collect();
        let maps: String = codecs.iter().map(|(number, name)| format!("a=rtpmap:{number} {name}\r\n")).collect();
        format!("m=audio {port} UDP/TLS/RTP/SAVPF{numbers}\r\na=mid:{mid}\r\n{maps}")
    }

    #[test]
    fn the_first_section_is_shown_with_all_codecs() {
        let shown = completed(OFFER);
        assert!(shown.contains("SAVPF 63 111 0 8\r\n") && shown.contains("a=rtpmap:8 PCMA/8000\r\n"), "{shown}");
        assert_eq!(completed(&shown), shown);
        let telephone = section(9, 0, &[(8, "PCMA/8000"), (111, "telephone-event/8000")]);
        let microphone = section(9, 1, &[(109, "opus/48000/2")]);
        let shown = completed(&format!("v=0\r\n{telephone}{microphone}"));
        assert!(shown.contains("SAVPF 8 111 109 0 63\r\n"), "{shown}");
        assert!(shown.contains("a=fmtp:63 109/109\r\n") && shown.contains("a=fmtp:109 minptime=10"), "{shown}");
        assert!(shown.ends_with(&microphone), "{shown}");
        let taken: Vec<(u8, &str)> = (96..=127).chain([111, 63]).map(|number| (number, "x/1")).collect();
        assert!(!completed(&format!("v=0\r\n{}", section(9, 0, &taken))).contains("opus"), "no number is left");
    }

    #[test]
    fn a_section_carries_one_codec_that_was_asked_for() {
        let (opus, mu, a, red) = ((111, "opus/48000/2"), (0, "PCMU/8000"), (8, "PCMA/8000"), (63, "red/48000/2"));
        let all = [opus, red, mu, a];
        for (asked, expected) in [
            (vec![opus, red, mu, a], vec![opus, red]),
            (vec![a, opus], vec![opus]),
            (vec![a, mu, red, (13, "CN/8000")], vec![a]),
            (vec![mu], vec![mu]),
        ] {
            let offer = format!("v=0\r\n{}", section(9, 0, &asked));
            let answer = settled(&offer, &format!("v=0\r\n{}", section(9, 0, &all)));
            assert_eq!(answer, format!("v=0\r\n{}", section(9, 0, &expected)));
            let (number, name) = expected[0];
            let coded = coded(&answer)["0"];
            assert_eq!((coded.payload_type, coded.codec.rtpmap()), (number, name));
        }
        let offer = format!("v=0\r\n{}{}", section(9, 0, &[(9, "G722/8000")]), section(9, 1, &[mu]));
        let answer = format!("v=0\r\na=group:BUNDLE 0 1\r\n{}{}", section(9, 0, &all), section(9, 1, &all));
        let answer = settled(&offer, &answer);
        let dead = "m=audio 0 UDP/TLS/RTP/SAVPF 0\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\n";
        assert_eq!(answer, format!("v=0\r\na=group:BUNDLE 1\r\n{dead}{}", section(9, 1, &[mu])));
        assert_eq!((coded(&answer).len(), refused(&offer, &answer)), (1, HashSet::from(["0".to_owned()])));
        assert_eq!(named(&answer), HashSet::from([Codec::Pcmu]));
    }

    #[test]
    fn a_section_that_the_answer_refuses_is_told() {
        let offer = format!("v=0\r\n{}{}{}", section(9, 0, &[]), section(9, 1, &[]), section(0, 2, &[]));
        let answer = format!("v=0\r\n{}{}{}", section(9, 0, &[]), section(0, 1, &[]), section(0, 2, &[]));
        assert_eq!(refused(&offer, &answer), HashSet::from(["1".to_owned()]));
    }

    #[test]
    fn opus_with_other_parameters_is_opus() {
        let other = "a=fmtp:111 minptime=20; UseInbandFEC=0;stereo=1;maxplaybackrate=16000";
        let offer = OFFER.replace("a=fmtp:111 minptime=10;useinbandfec=1", other);
        let expected = OFFER.replace("useinbandfec=1", "useinbandfec=1;stereo=1;maxplaybackrate=16000");
        assert_eq!(sanitized(&offer), sanitized(&expected));
        assert_eq!(sanitized(OFFER).matches("a=fmtp:63 111/111").count(), 1);
    }

    #[test]
    fn wishes_go_to_opus_whatever_its_payload_type() {
        let wished = with_opus(OFFER, |mid| OpusParameters { dtx: mid == "0", stereo: mid == "0", red: false });
        let line = "a=fmtp:111 minptime=10;useinbandfec=1;usedtx=1;stereo=1;maxaveragebitrate=510000\r\n";
        assert!(wished.contains(line), "{wished}");
        let plain = with_opus(OFFER, |_| OpusParameters::default());
        assert_eq!(plain, OFFER.replace("SAVPF 63 111", "SAVPF 111").replace(WITH_RED, ""));
    }

    #[test]
    fn red_is_first_or_not_there() {
        let red = |wished| with_opus(OFFER, |_| OpusParameters { red: wished, ..OpusParameters::default() });
        assert_eq!(red(true), OFFER);
        assert_eq!((red_payload_type(&red(true)), red_payload_type(&red(false))), (Some(63), None));
        let last = OFFER.replace("SAVPF 63 111", "SAVPF 111 63");
        assert_eq!(with_opus(&last, |_| OpusParameters { red: true, ..OpusParameters::default() }), OFFER);
        let without = OFFER.replace(" 63 111", " 111").replace(WITH_RED, "");
        assert_eq!(with_opus(&without, |_| OpusParameters { red: true, ..OpusParameters::default() }), without);
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in "\\PC*", lines in proptest::collection::vec("[ma]=(rtpmap|fmtp)?[a-z:0-9 -]{0,20}", 0..30)) {
            for sdp in [text, format!("v=0\n{}", lines.join("\n")), format!("v=0\nm=audio 9 x 0\n{}", lines.join("\n"))] {
                let shown = completed(&sdp);
                refused(&sdp, &settled(&sdp, &shown));
                coded(&shown);
                named(&shown);
                with_opus(&sdp, |_| OpusParameters { dtx: true, stereo: true, red: true });
                with_opus(&sdp, |_| OpusParameters::default());
            }
        }
    }
}
