"""The embedded channel server with unmodified SDKs: two Chromium pages and a Python client, recorded mixed and one by one."""

import time

from peers.browser import open_room
from peers.holes import heard_throughout

# Loud enough to be that talker; a talker who is not there is at most a hundredth of it.
HEARD, ABSENT = 0.05, 0.005


def test_everybody_is_in_the_mix_and_alone_in_their_own_playlist(product, browser, crowd, receiver, room, tmp_path):
    alice = open_room(browser, product.origin, hertz=440)
    bob = open_room(browser, product.origin, hertz=660)
    for page, name in ((alice, "alice"), (bob, "bob")):
        page.join(room, name, product.url, product.token(room, name))
        page.publish()
    mix = product.record(room, "mix")
    each = product.record(room, "individual")
    time.sleep(4)
    joined = time.time()
    carol = crowd.join(product.url, product.token(room, "carol"), tone=880)
    published = time.time()
    time.sleep(4)
    assert alice.shown("badge"), "members are told that they are recorded"
    assert carol.told_recorded
    assert set(alice.people) == {"alice", "bob", "carol"}, "the recorders are hidden"
    assert carol.seen == {"alice", "bob"}
    assert mix.query()[1]["serverResponse"]["status"] == 5
    left = time.time()
    bob.leave()
    time.sleep(4)

    single, _ = each.finish(tmp_path / "each")
    assert len(single.playlists) == 3, single.names
    tones = {"alice": 440, "bob": 660, "carol": 880}
    for name, own in tones.items():
        playlist = single.individual(name)
        zero = playlist.start
        sound, start, stop = heard_throughout(single, playlist, name, own)
        assert stop - start > 3
        for other in tones.values():
            if other != own:
                assert sound.level(other, start, stop) < ABSENT, f"{other} Hz in the playlist of {name}"
        if name == "carol":
            # How long the SDK takes to join is its own affair, and seconds the first time.
            early, late = joined - zero - 0.2, published - zero + 1.5
            assert early < start < late, f"heard from {start:.2f} s, expected {early:.2f} to {late:.2f} s"
        if name == "bob":
            assert -0.3 < stop - (left - zero) < 1.0, f"heard until {stop:.2f} s, left at {left - zero:.2f} s"
        else:
            assert sound.seconds - stop < 0.5, f"{name} is heard until the end"

    mixed, answer = mix.finish(tmp_path / "mix")
    assert answer["serverResponse"]["uploadingStatus"] == "uploaded"
    assert answer["serverResponse"]["fileListMode"] == "string"
    sound, zero = mixed.mix.sound, mixed.mix.start
    end = sound.seconds - 0.5
    late, early = published - zero + 1.0, left - zero
    assert sound.level(440, 1.0, end) > HEARD
    assert sound.level(660, 1.0, early - 0.5) > HEARD
    assert sound.level(660, early + 1.0, end) < ABSENT
    assert sound.level(880, late + 0.5, end) > HEARD
    assert sound.level(880, 0.5, joined - zero) < ABSENT

    for recording in (mix, each):
        receiver.wait(recording.sid, 11)
        receiver.wait(recording.sid, 31)
        types = receiver.types(recording.sid)
        assert {40, 30, 42, 43, 4, 41, 31, 11} <= set(types), types
        receiver.check(recording.sid)
        status, body = recording.query()
        assert (status, body["code"], body["sid"]) == (404, 404, recording.sid)
    assert not [line for line in alice.log if line.startswith("uncaught")]
    strangers = [line for line in alice.log if line.startswith("request: ") and "127.0.0.1" not in line and " data:" not in line]
    assert not strangers, strangers
