//! When anybody is in the channel who is to be recorded. Positions in ticks.

use super::member::Member;

/// What the members' presences say together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attendance<'a>(pub(super) &'a [Member]);

impl Attendance<'_> {
    /// The stretches of `from..to` in which somebody is there, in order and apart from each other.
    pub(super) fn of(self, from: i64, to: i64) -> Vec<(i64, i64)> {
        let mut stretches = Vec::new();
        for member in self.0 {
            member.presence.attendances(from, to, |from, to| stretches.push((from, to)));
            if stretches.last() == Some(&(from, to)) {
                return vec![(from, to)];
            }
        }
        stretches.sort_unstable();
        stretches.dedup_by(|next, before| {
            let one = next.0 <= before.1;
            if one {
                before.1 = before.1.max(next.1);
            }
            one
        });
        stretches
    }

    /// Whether nobody is there from `from` on, as far as is known.
    pub(super) fn is_empty_from(self, from: i64) -> bool {
        self.of(from, i64::MAX).is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Uid;

    #[test]
    fn stretches_of_several_members_are_one_where_they_touch() {
        let member = |name: &str, spans: &[(i64, i64)]| {
            let mut member = Member::new(Uid::new(name).unwrap(), true);
            for (from, to) in spans {
                member.presence.change(*from, |state| state.present = true);
                member.presence.change(*to, |state| state.present = false);
            }
            member
        };
        let members = [member("a", &[(10, 20), (50, 60)]), member("b", &[(15, 30), (60, 70)])];
        assert_eq!(Attendance(&members).of(0, 100), [(10, 30), (50, 70)]);
        assert_eq!(Attendance(&members).of(12, 18), [(12, 18)]);
        assert_eq!(Attendance(&members).of(30, 50), []);
        assert!(Attendance(&members).is_empty_from(70) && !Attendance(&members).is_empty_from(69));
        assert!(Attendance(&[]).is_empty_from(0));
    }
}
