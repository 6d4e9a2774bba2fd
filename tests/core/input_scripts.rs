//! Stories of one talker that nobody has thought up: what it does, and how the network treats it.

use cloud_recorder::recording::Input;
use proptest::prelude::*;

use crate::world::{Dice, FRAME, InputStory, MS, SECOND, Sent, Talker, uid};

/// What a talker does next.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// Talks.
    Talk,
    /// Pauses by DTX: a small packet now and then, the clock runs.
    Pause,
    /// Mutes; the clock stands still.
    Mute,
    /// Leaves and comes back with another SSRC and another clock.
    Rejoin,
    /// Its clock jumps by so many seconds.
    Jump(i32),
}

/// Any of them; talking most often.
pub(crate) fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => Just(Act::Talk),
        2 => Just(Act::Pause),
        1 => Just(Act::Mute),
        1 => Just(Act::Rejoin),
        1 => prop_oneof![-100_000..-1, 1..100_000].prop_map(Act::Jump),
    ]
}

/// How the network treats packets.
#[derive(Clone, Debug)]
pub(crate) struct Network {
    /// Packets of a hundred that never come.
    pub(crate) loss_percent: u64,
    /// The most that a packet is late.
    pub(crate) jitter_ms: u64,
    /// Packets of a hundred that come twice.
    pub(crate) copies_percent: u64,
    /// Of the dice.
    pub(crate) seed: u64,
    /// Stretches that come again, all at once: which of a thousand parts of the story they follow, and how many packets.
    pub(crate) echoes: Vec<(usize, usize)>,
}

/// From a good one to a bad one.
pub(crate) fn network() -> impl Strategy<Value = Network> {
    let echoes = proptest::collection::vec((0..1_000_usize, 1..60_usize), 0..3);
    let network = (0..15_u64, 0..90_u64, 0..20_u64, any::<u64>(), echoes);
    network.prop_map(|(loss_percent, jitter_ms, copies_percent, seed, echoes)| Network {
        loss_percent,
        jitter_ms,
        copies_percent,
        seed,
        echoes,
    })
}

/// The story of `name`, whose tracks and SSRCs count from `first`: what happens, what of it reached the recorder, and its end.
pub(crate) fn play(name: &str, first: u32, acts: &[(Act, u64)], network: &Network) -> (InputStory, Vec<Sent>, u64) {
    let mut story = InputStory::default();
    let (mut talker, mut now, mut all) = (Talker::new(first, first), SECOND, Vec::new());
    story.joins(0, name, first);
    for (act, ms) in acts {
        let length = ms * MS / FRAME * FRAME;
        match act {
            Act::Talk => all.extend(talker.talk(now, now + length)),
            Act::Pause => {
                all.extend(talker.talk(now, now + SECOND));
                now += SECOND;
                for at in (now..now + length).step_by(20 * FRAME as usize) {
                    let number = (talker.made % 120) as u8;
                    talker.made += 1;
                    all.push(talker.send(at, vec![0x78, number].into()));
                    talker.pause(19 * FRAME);
                }
                now += length.next_multiple_of(20 * FRAME) - length;
            }
            Act::Mute => {
                let track = talker.track;
                story.happens(now + talker.delay, Input::Muted { track, muted: true });
                story.happens(now + length, Input::Muted { track, muted: false });
            }
            Act::Rejoin => {
                story.happens(now + 500 * MS, Input::Left { uid: uid(name) });
                now += 500 * MS;
                let next = talker.ssrc.0 + 1;
                talker = Talker { made: talker.made, rtp: f64::from(next) * 99_999.0, ..Talker::new(next, next) };
                story.joins(now + length, name, next);
            }
            Act::Jump(seconds) => {
                talker.rtp = (talker.rtp + f64::from(*seconds) * SECOND as f64).rem_euclid(4_294_967_296.0);
            }
        }
        now += if matches!(act, Act::Jump(_)) { 0 } else { length };
    }
    let mut dice = Dice(network.seed);
    all.retain(|_| dice.below(100) >= network.loss_percent);
    for packet in &mut all {
        packet.arrival += dice.below(network.jitter_ms + 1) * MS;
    }
    let mut copies = all.clone();
    copies.retain(|_| dice.below(100) < network.copies_percent);
    for copy in &mut copies {
        copy.arrival += dice.below(800) * MS;
    }
    for (place, count) in &network.echoes {
        let behind = all.len() * place / 1_000;
        if let Some(at) = all[..behind].iter().map(|sent| sent.arrival).max() {
            let echo = all[behind.saturating_sub(*count)..behind].iter();
            copies.extend(echo.map(|sent| Sent { arrival: at + 300 * MS, ..sent.clone() }));
        }
    }
    story.hears(all.clone()).hears(copies);
    (story, all, now + 3 * SECOND)
}
