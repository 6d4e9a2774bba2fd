"""A tone that has to be heard all the time. A busy machine stalls a talker now and then: such a break counts as heard where the ledger
names it as the sender's or the network's. Breaks that are the recorder's, and any that the ledger does not name, do not."""

import warnings

NOT_OURS = {"sender_stall", "network_loss"}
# The ledger is exact to a packet, what is heard to a window, and a break is heard as longer than it is by fades.
EDGE = 0.3
# With more than this the scenario has shown nothing, whoever's fault it was.
MOST = 0.15


def heard_throughout(recorded, sound, uid, tone):
    """Returns when it is first and last heard, in seconds."""
    spans = sound.spans(tone)
    assert spans, f"{tone} Hz is not heard"
    gaps = ledger(recorded, uid)
    breaks = [(before[1], after[0]) for before, after in zip(spans, spans[1:])]
    for start, end in breaks:
        named = any(gap[0] <= start + EDGE and gap[1] >= end - EDGE and gap[2] in NOT_OURS for gap in gaps)
        assert named, f"silent from {start:.1f} to {end:.1f} s, which the ledger does not explain: {gaps}"
    start, end = spans[0][0], spans[-1][1]
    lost = sum(end - start for start, end in breaks)
    assert lost <= MOST * (end - start), f"{lost:.1f} s of {end - start:.1f} s are silent: {gaps}"
    if breaks:
        warnings.warn(f"this machine stalled {uid}: {breaks}, ledger {gaps}")
    return start, end


def ledger(recorded, uid):
    """The gaps of one uid in the ledger, as (seconds from, seconds to, cause)."""
    entry = next(entry for entry in recorded.manifest["ledger"]["uids"] if entry["uid"] == uid)
    return [(gap["from"] / 48_000, gap["to"] / 48_000, gap["cause"]) for gap in entry["gaps"]]
