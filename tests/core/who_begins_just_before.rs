//! Who begins to speak shortly before the worker dies, stands still or loses the channel is missing from there on, and not from before: a
//! pause that ended before has another cause.

use cloud_recorder::recording::{Cause, Input, Mode, StallCause, TrackKind};
use cloud_recorder::units::{Ticks, TrackId};
use proptest::prelude::*;

use crate::crash::{by_cause, gaps};
use crate::random_inputs::check_ledger;
use crate::world::{FRAME, InputStory, MS, SECOND, Talker, spec, uid};

/// What happens to the worker.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    Dies,
    IsCutOff,
    StandsStill,
}

impl Trouble {
    const fn cause(self) -> Cause {
        match self {
            Self::Dies => Cause::WorkerRestart,
            Self::IsCutOff => Cause::ChannelDisconnected,
            Self::StandsStill => Cause::WorkerStalled,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 100, ..ProptestConfig::default() })]

    #[test]
    fn the_pause_before_it_costs_nothing(
        spoken in 1..40_u64,
        paused_ms in 600..4_000_u64,
        away_ms in 500..9_000_u64,
        trouble in prop_oneof![Just(Trouble::Dies), Just(Trouble::IsCutOff), Just(Trouble::StandsStill)],
        // Nothing is written behind the worker's back, however late it looks.
        looks in any::<bool>(),
    ) {
        let mut talker = Talker::new(1, 7);
        let mut story = InputStory::default();
        story.joins(0, "7", 1);
        let mut sent = talker.talk(SECOND, 4 * SECOND);
        let begins = 4 * SECOND + paused_ms * MS;
        talker.pause(paused_ms * MS);
        sent.extend(talker.talk(begins, begins + spoken * FRAME));
        let from = begins + spoken * FRAME + talker.delay;
        let back = from + away_ms * MS;
        let second = match trouble {
            Trouble::Dies => {
                story.happens(back, Input::WorkerRestarted);
                story.happens(back + 10 * MS, Input::Joined { uid: uid("7") });
                let (track, uid) = (TrackId(1), uid("7"));
                story.happens(back + 10 * MS, Input::TrackAdded { track, uid, muted: false, kind: TrackKind::default() });
                8
            }
            Trouble::IsCutOff => {
                story.happens(back - 100 * MS, Input::ChannelLost { since: Ticks(from) });
                story.happens(back, Input::ChannelUp);
                7
            }
            Trouble::StandsStill => {
                story.happens(back, Input::Stalled { from: Ticks(from), cause: StallCause::WorkerStalled });
                7
            }
        };
        let mut again = Talker { ssrc: cloud_recorder::units::Ssrc(second), ..talker.clone() };
        again.sequence = again.sequence.wrapping_add((away_ms / 20) as u16);
        again.pause(away_ms * MS);
        sent.extend(again.talk(back, back + 3 * SECOND));
        let end = back + 8 * SECOND;
        story.hears(sent);
        let recording = story.record_with(spec(Mode::Individual), end, |recorder, next| {
            if looks {
                recorder.advance(next);
            }
        });
        check_ledger(&recording, end);
        let account = recording.account("7");
        let pause = account.gaps.iter().filter(|gap| gap.from.0 < begins && gap.to.0 > 4 * SECOND + SECOND / 2);
        prop_assert!(pause.clone().all(|gap| gap.cause == Cause::SenderStall), "{trouble:?}: {:?}", gaps(account));
        let missing = by_cause(account).get(&trouble.cause()).copied().unwrap_or_default();
        let lacking = account.missing_ms + account.concealed_ms;
        prop_assert!(lacking <= away_ms + 100, "{trouble:?}: {lacking} of {away_ms}: {:?}", gaps(account));
        prop_assert!(missing + 200 >= away_ms, "{trouble:?}: {missing} of {away_ms}: {:?}", gaps(account));
    }
}
