"""The worker is killed while a real LiveKit server's room lives on and a real S3 server takes the recording: the bot comes back into
the room, and what is lost is a second before each kill and the time until it is back."""

import os
import random
import signal
import time

import requests

from peers.holes import EDGE, ledger
from peers.product import ELSEWHERE, Product
from peers.program import wait_for
from peers.staircase import Heard

LOST, BACK, FIRST_SOUND, LAST_SOUND = 1.0, 1.5, 2.0, 0.5
# Who talks without a pause, and at which tone.
TONES = {"alice": 440, "bob": 5000}
# One packet, and what a wall clock of milliseconds makes of it.
FRAME = 0.03
# How much later than usual a busy machine delivers all the first packets after a restart.
SLOWER = 0.15


def how_long(usual, long):
    """`make faults` takes its time."""
    return long if os.environ.get("FAULTS_LONG") else usual


def test_a_killed_worker_comes_back_into_the_room(tmp_path, receiver, real_livekit, versitygw, crowd, room):
    seed = int(os.environ.get("RECOVERY_SEED", random.randrange(1 << 32)))
    print(f"RECOVERY_SEED={seed}")
    chance = random.Random(seed)
    product = Product(tmp_path, receiver.url, real_livekit)
    lk = real_livekit
    crowd.join(lk.url, lk.token(room, "alice"), staircase=True, dtx=False)
    crowd.join(lk.url, lk.token(room, "bob"), tone=5000)
    mix = product.record(room, "mix", bucket=versitygw.bucket, app=ELSEWHERE, alsoIndividual=True)
    time.sleep(3)
    kills = []
    for _ in range(how_long(5, 20)):
        product.program.kill()
        killed = time.time()
        product.program.start()
        kills.append((killed, time.time()))
        status, answer = mix.query()
        assert status == 200 and answer["state"] in ("recording", "recovering"), answer
        time.sleep(chance.uniform(0.1, 4))
    time.sleep(2.5)
    assert f"recorder-{mix.sid}" in lk.participants(room)
    recorded, _ = mix.finish(tmp_path / "mix", seconds=150, late=True)
    receiver.wait(mix.sid, 11, seconds=60)
    receiver.check(mix.sid, repeated=True)
    assert len(recorded.playlists) == 3 and sum(name.endswith("_init.m4s") for name in recorded.names) == 3, recorded.names

    playlist = recorded.individual("alice")
    heard = Heard(playlist.sound, playlist.start)
    silences = heard.silences()
    end = playlist.start + playlist.seconds
    excused = [(0, playlist.start + FIRST_SOUND), (end - LAST_SOUND, end + 9)]
    excused += [(killed - LOST, ready + BACK) for killed, ready in kills]
    for silence in silences:
        assert covered(silence, excused), f"silent {silence}, start {playlist.start}, kills {kills}"
    lags = heard.lags(silences)
    assert lags and all(lag is not None for _, lag in lags), f"said at another time: {lags}"
    middle = sorted(lag for _, lag in lags)[len(lags) // 2]
    strays = [(at - playlist.start, lag) for at, lag in lags if abs(lag - middle) > FRAME + SLOWER]
    assert not strays, f"lag {middle}, but {strays}"
    gaps = ledger(recorded, "alice")
    for killed, ready in kills:
        middle = (killed + ready) / 2 - playlist.start
        assert any(start <= middle < end and cause == "worker_restart" for start, end, cause in gaps), (middle, gaps)
    report(silences, kills)
    assert product.stop() == 0


def covered(silence, excused):
    """Whether the excuses together hold all of a silence."""
    at = silence[0]
    for start, end in sorted(excused):
        if start <= at + FRAME:
            at = max(at, end)
    return at + FRAME >= silence[1]


def report(silences, kills):
    for killed, ready in kills:
        for start, end in silences:
            if start < killed + FRAME < end:
                print(f"lost {killed - start:.3f} s, ready after {ready - killed:.3f} s, silent {end - start:.3f} s")


def test_a_worker_that_stood_still_says_so(tmp_path, receiver, real_livekit, versitygw, crowd, room):
    """SIGSTOP for some seconds: what is silent meanwhile is `worker_stalled` for both talkers, in the mix and alone."""
    product = Product(tmp_path, receiver.url, real_livekit)
    lk = real_livekit
    for uid, tone in TONES.items():
        crowd.join(lk.url, lk.token(room, uid), tone=tone, dtx=False)
    for length in how_long([4], [10, 18, 25, 30, 40]):
        mix = product.record(room, "mix", bucket=versitygw.bucket, app=ELSEWHERE, alsoIndividual=True)
        time.sleep(4)
        product.program.process.send_signal(signal.SIGSTOP)
        stopped = time.time()
        time.sleep(length)
        went_on = time.time()
        product.program.process.send_signal(signal.SIGCONT)
        wait_for("the bot to be back", lambda: mix.query()[1].get("state") == "recording", seconds=60)
        time.sleep(5)
        recorded, _ = mix.finish(tmp_path / f"mix-{length}", seconds=150, late=True)
        for uid, tone in TONES.items():
            playlist = recorded.individual(uid)
            gaps = ledger(recorded, uid)
            stalls = [(start, end) for start, end, cause in gaps if cause == "worker_stalled"]
            begin, end = stopped - playlist.start, went_on - playlist.start
            spans = playlist.sound.spans(tone)
            silences = [(max(one[1], begin), min(other[0], end)) for one, other in zip(spans, spans[1:])]
            silences = [silence for silence in silences if silence[1] - silence[0] > 0.3]
            for silence in silences:
                assert any(stall[0] <= silence[0] + EDGE and silence[1] <= stall[1] + EDGE for stall in stalls), (uid, silence, gaps)
            told, silent = (sum(end - start for start, end in spans) for spans in (stalls, silences))
            print(f"{uid}: stopped for {length} s, silent {silent:.2f} s, worker_stalled {told:.2f} s")
            assert told >= silent - 2 * EDGE and told <= length + 1, (uid, gaps)
            blamed = [gap for gap in gaps if gap[2] == "sender_stall" and gap[0] < end and gap[1] > begin and gap[1] - gap[0] > 0.1]
            assert not blamed, (uid, gaps)
            assert silent < 0.5 or recorded.manifest["verdict"] == "partial"
        wait_for("new recordings to be taken", lambda: requests.get(f"{product.origin}/readyz", timeout=5).ok)
    assert product.stop() == 0
