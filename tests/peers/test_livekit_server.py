"""A real LiveKit server on the far side of the recorder: everything that happens to a recording there."""

import time

import requests

from peers.browser import open_room
from peers.holes import ledger
from peers.product import ELSEWHERE
from peers.program import wait_for

HEARD, ABSENT = 0.05, 0.005


def test_talkers_a_mute_a_reset_socket_and_a_removal(product, real_livekit, browser, crowd, receiver, room, tmp_path):
    lk = real_livekit
    policy = requests.get(f"{product.origin}/room", timeout=5).headers["content-security-policy"]
    assert f" {lk.recorder_url} " in policy, "the page may talk to the app's channel server"
    # The proxy of the recorder is that server to the product; the page goes past it, so that its own socket stays whole.
    alice = open_room(browser, product.origin, hertz=440, anyOrigin=True)
    alice.join(room, "alice", lk.url, lk.token(room, "alice"))
    alice.publish()
    bob = crowd.join(lk.url, lk.token(room, "bob"), tone=660, dtx=True, red=True)
    carol = crowd.join(lk.url, lk.token(room, "carol"), tone=880, dtx=False, red=True)
    mix = product.record(room, "mix", app=ELSEWHERE)
    each = product.record(room, "individual", app=ELSEWHERE)
    assert {f"recorder-{mix.sid}", f"recorder-{each.sid}"} <= set(lk.participants(room))
    assert set(alice.people) == {"alice", "bob", "carol"}, "the recorders are hidden"
    time.sleep(4)
    muted = time.time()
    bob.mute()
    time.sleep(2.5)
    unmuted = time.time()
    bob.unmute()
    time.sleep(2)
    assert lk.proxy.reset() >= 2, "both recorders' signalling sockets are cut, and what the server API left open"
    time.sleep(3)
    removed = time.time()
    lk.remove(room, "carol")
    time.sleep(3)

    single, _ = each.finish(tmp_path / "each")
    for name, own in (("alice", 440), ("bob", 660), ("carol", 880)):
        sound = single.individual(name).sound
        for other in {440, 660, 880} - {own}:
            assert sound.level(other, 1.0, sound.seconds - 0.5) < ABSENT, f"{other} Hz in the playlist of {name}"
    alice_spans = single.individual("alice").sound.spans(440)
    assert len(alice_spans) == 1, f"the reset socket costs no audible break: {alice_spans}"
    zero = single.individual("bob").start
    silent = [gap for gap in ledger(single, "bob") if gap[2] == "muted"]
    assert silent, ledger(single, "bob")
    # The sender's coder runs on into silence before its packets stop, so the gap may begin up to two seconds after the word.
    assert -0.3 < silent[0][0] - (muted - zero) < 2.0 and abs(silent[-1][1] - (unmuted - zero)) < 1.0, silent

    mixed, _ = mix.finish(tmp_path / "mix")
    zero = mixed.mix.start
    sound = mixed.mix.sound
    assert sound.level(440, 1.5, sound.seconds - 0.5) > HEARD
    assert sound.level(660, 1.5, muted - zero - 0.3) > HEARD
    assert sound.level(660, muted - zero + 0.7, unmuted - zero - 0.1) < ABSENT
    assert sound.level(660, unmuted - zero + 1.0, sound.seconds - 0.5) > HEARD
    assert sound.level(880, 1.5, removed - zero - 0.3) > HEARD
    assert sound.level(880, removed - zero + 1.0, sound.seconds - 0.3) < ABSENT

    for recording in (mix, each):
        receiver.wait(recording.sid, 11)
        receiver.check(recording.sid)


def test_a_deleted_room_ends_in_a_complete_recording(product, real_livekit, crowd, receiver, room, tmp_path):
    lk = real_livekit
    talker = crowd.join(lk.url, lk.token(room, "alice"), tone=440)
    mix = product.record(room, "mix", app=ELSEWHERE, maxIdleTime=5)
    time.sleep(5)
    deleted = time.time()
    lk.delete(room)
    wait_for("the talker to be sent away", lambda: talker.left is not None)
    receiver.wait(mix.sid, 11, seconds=30)
    receiver.check(mix.sid)
    recorded = wait_for("the finished recording", lambda: mix._fetched(tmp_path / "mix"))
    recorded.check()
    sound = recorded.mix.sound
    assert sound.level(440, 1.5, deleted - recorded.mix.start - 0.3) > HEARD
    assert mix.query()[0] == 404


def test_a_killed_server_leaves_a_gap_in_one_playlist(product, real_livekit, crowd, receiver, room, tmp_path):
    lk = real_livekit
    talker = crowd.join(lk.url, lk.token(room, "alice"), tone=440)
    each = product.record(room, "individual", app=ELSEWHERE)
    time.sleep(5)
    killed = time.time()
    lk.program.kill()
    time.sleep(2)
    lk.program.start()
    wait_for("the talker to be back", lambda: talker.back(), seconds=40)
    wait_for("the recorder to be back", lambda: f"recorder-{each.sid}" in lk.participants(room), seconds=40)
    time.sleep(5)
    assert each.query()[0] == 200, "the session lives on"
    recorded, _ = each.finish(tmp_path / "each")

    playlist = recorded.individual("alice")
    assert len(recorded.playlists) == 1
    spans = playlist.sound.spans(440, join=1.0)
    assert len(spans) == 2, spans
    assert abs(spans[0][1] - (killed - playlist.start)) < 1.0, "heard until the server died"
    assert spans[1][1] > playlist.seconds - 1.0, "heard to the end"
    causes = {cause for _, _, cause in ledger(recorded, "alice")}
    assert "channel_disconnected" in causes, ledger(recorded, "alice")
    receiver.wait(each.sid, 11)
    receiver.check(each.sid)
