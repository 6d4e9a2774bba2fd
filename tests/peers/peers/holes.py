"""A tone that has to be heard all the time. A busy machine stalls a talker now and then: it sends silence, or nothing. Such a break counts
as heard where the talker itself or the ledger says so; breaks that are the recorder's, and any that nobody names, do not."""

import warnings

NOT_OURS = {"sender_stall", "network_loss"}
# What is heard is exact to a window, a packet and the way through a busy machine.
EDGE = 0.35
# With more than this the scenario has shown nothing, whoever's fault it was.
MOST = 0.15


def heard_throughout(recorded, playlist, uid, tone, talker=None):
    """Returns the sound, and when the tone is first and last heard, in seconds."""
    sound = playlist.sound
    spans = sound.spans(tone)
    assert spans, f"{tone} Hz is not heard"
    gaps = ledger(recorded, uid)
    stalls = [(start - playlist.start, end - playlist.start) for start, end in (talker.stalls if talker else [])]
    excused = stalls + [(start, end) for start, end, cause in gaps if cause in NOT_OURS]
    breaks = [(before[1], after[0]) for before, after in zip(spans, spans[1:])]
    for start, end in breaks:
        named = any(excuse[0] <= start + EDGE and excuse[1] >= end - EDGE for excuse in excused)
        assert named, f"silent from {start:.1f} to {end:.1f} s: neither the ledger knows, {gaps}, nor the talker, {stalls}"
    start, end = spans[0][0], spans[-1][1]
    lost = sum(end - start for start, end in breaks)
    assert lost <= MOST * (end - start), f"{lost:.1f} s of {end - start:.1f} s are silent: {gaps}, {stalls}"
    if breaks:
        warnings.warn(f"this machine stalled {uid}: {breaks}, ledger {gaps}, itself {stalls}")
    return sound, start, end


def ledger(recorded, uid):
    """The gaps of one uid in the ledger, as (seconds from, seconds to, cause)."""
    entry = next(entry for entry in recorded.manifest["ledger"]["uids"] if entry["uid"] == uid)
    return [(gap["from"] / 48_000, gap["to"] / 48_000, gap["cause"]) for gap in entry["gaps"]]
