"""Everybody leaves, the server closes the room, and somebody comes back within the caller's maxIdleTime: it is one recording."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests

from peers.agents import AgentWorker
from peers.holes import heard_throughout, ledger
from peers.livekit_server import BINARY, KEY, LiveKitServer
from peers.places import HLS_JS, LOOPBACK
from peers.product import ELSEWHERE, WATCHING, Product, customer_of
from peers.program import wait_for

# How soon this server closes a room that everybody left, and one that nobody came to.
DEPARTURE, EMPTY = 2, 3
ABSENT = 0.005

# Plays a playlist to its end, sixteen times as fast as it is, by hls.js or by the browser's own player.
PLAY = """
(async ([player, url]) => {
  const audio = new Audio();
  const told = (name) => new Promise((tell) => audio.addEventListener(name, tell, { once: true }));
  const trouble = new Promise((_, fail) => {
    audio.addEventListener("error", () => fail(audio.error.message));
    setTimeout(() => fail(`it stands at ${audio.currentTime} of ${audio.duration} s`), 60_000);
    window.tell = fail;
  });
  // From another origin the browser takes pieces of objects only with leave.
  audio.crossOrigin = "anonymous";
  audio.muted = true;
  const ended = told("ended"), ready = told("canplay");
  if (player === "hls.js") {
    const hls = new Hls({ enableWorker: false, startPosition: 0 });
    // What is not fatal (its buffer ran dry on a busy machine) it mends itself.
    hls.on(Hls.Events.ERROR, (_, data) => data.fatal && window.tell(`${data.type}: ${data.details}`));
    hls.loadSource(url);
    hls.attachMedia(audio);
  } else audio.src = url;
  await Promise.race([ready, trouble]);
  audio.playbackRate = 16;
  await audio.play();
  await Promise.race([ended, trouble]);
  return audio.currentTime;
})(%s)
"""


class Webhooks:
    """What the server tells the owner of its rooms."""

    def __init__(self):
        told = self.told = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://{LOOPBACK}:{self.server.server_port}/"

    def of(self, room):
        return [hook["event"] for hook in self.told if hook.get("room", {}).get("name") == room and hook["event"].startswith("room_")]


@pytest.fixture(scope="module")
def webhooks():
    hooks = Webhooks()
    yield hooks
    hooks.server.shutdown()


@pytest.fixture(scope="module")
def hasty(tmp_path_factory, webhooks):
    """A LiveKit server that closes empty rooms soon."""
    if not BINARY.exists():
        pytest.skip("#### no livekit-server: Go was missing when tests/peers/setup.sh ran ####")
    room = {"departure_timeout": DEPARTURE, "empty_timeout": EMPTY}
    server = LiveKitServer(
        tmp_path_factory.mktemp("hasty"), room=room, webhook={"api_key": KEY, "urls": [webhooks.url]}
    )
    yield server
    server.stop()


@pytest.fixture(scope="module")
def waiting(tmp_path_factory, receiver, hasty):
    product = Product(tmp_path_factory.mktemp("waiting"), receiver.url, hasty)
    yield product
    assert product.stop() == 0, product.program.last_words()


def details(recording):
    """What the product knows of a recording, over or not."""
    url = f"{recording.product.origin}/v1/apps/{recording.app}/recordings/{recording.sid}"
    return requests.get(url, auth=customer_of(recording.app), timeout=10).json()


def plays_to_its_end(page, player, url, seconds):
    assert abs(page.eval(PLAY % json.dumps([player, url])) - seconds) < 0.1, (player, url)


def heard_whole(answer):
    """Whether next to nothing is missing: a busy machine sends a packet late now and then."""
    return all(uid["missingMs"] <= 100 and "recorder_outside" not in uid["causesMs"] for uid in answer["ledger"]["uids"])


def idle(recording):
    status, body = recording.query()
    assert status == 200, "nobody being there is no end"
    assert (body["state"], body["serverResponse"]["status"]) == ("recording", 5), body["state"]
    return body.get("idle")


def test_a_held_room_is_heard_from_the_first_word(waiting, hasty, crowd, receiver, room, webhooks, tmp_path):
    everywhere, beside_members = (AgentWorker(crowd, hasty, kind) for kind in ("ROOM", "PARTICIPANT"))
    each = waiting.record(room, "individual", app=ELSEWHERE, maxIdleTime=60)
    assert idle(each)["recorder"] == "inside"
    time.sleep(EMPTY + 2)
    assert hasty.participants(room), "nobody came yet, and the room lasts as long as the recording waits"
    assert everywhere.sent_to(room) == [], "no agent is sent into a room that only a recorder opened"
    alice = crowd.join(hasty.url, hasty.token(room, "alice"), tone=440)
    first = hasty.room(room).sid
    wait_for("the agents to be sent to the member", lambda: everywhere.sent_to(room) == [""] and beside_members.sent_to(room) == ["alice"])
    wait_for("the recording to be no more idle", lambda: idle(each) is None)
    time.sleep(4)
    alice.leave()
    wait_for("the room to be made again", lambda: (made := hasty.room(room)) and made.sid != first)
    wait_for("the recorder to be in it", lambda: f"recorder-{each.sid}" in hasty.participants(room))
    again = hasty.room(room)
    assert 50 <= again.empty_timeout <= 71, again.empty_timeout
    time.sleep(EMPTY + DEPARTURE + 2)
    assert idle(each)["recorder"] == "inside"
    assert hasty.room(room).sid == again.sid, "it is made again once"
    assert everywhere.sent_to(room) == [""], "no agent is sent into a room that the recorder made again"
    bob = crowd.join(hasty.url, hasty.token(room, "bob"), tone=660)
    came = time.time()
    time.sleep(5)
    recorded, answer = each.finish(tmp_path / "each")
    assert answer["endReason"] == "stopped" and heard_whole(answer), answer["ledger"]
    assert len(recorded.playlists) == 2, "one playlist each"
    heard_throughout(recorded, recorded.individual("alice"), "alice", 440, alice)
    playlist = recorded.individual("bob")
    _, start, _ = heard_throughout(recorded, playlist, "bob", 660, bob)
    assert start - (came - playlist.start) < 0.5, "from the first word"
    assert not [gap for gap in ledger(recorded, "bob") if gap[2] == "recorder_outside"]
    assert (everywhere.sent_to(room), beside_members.sent_to(room)) == (["", ""], ["alice", "bob"])
    assert webhooks.of(room) == ["room_started", "room_finished", "room_started"]
    receiver.wait(each.sid, 11)
    receiver.check(each.sid)


def test_a_watched_room_is_never_opened_and_what_was_not_heard_is_named(waiting, hasty, crowd, receiver, room, webhooks, tmp_path):
    each = waiting.record(room, "individual", app=WATCHING, maxIdleTime=60)
    wait_for("the recorder to wait outside", lambda: idle(each)["recorder"] == "outside")
    time.sleep(EMPTY)
    assert hasty.room(room) is None and webhooks.of(room) == []
    talkers, came = [], []
    for name, tone in (("alice", 440), ("bob", 660)):
        came.append(time.time())
        talkers.append(crowd.join(hasty.url, hasty.token(room, name), tone=tone))
        wait_for("the recorder to be in the room", lambda: f"recorder-{each.sid}" in hasty.participants(room))
        time.sleep(5)
        talkers[-1].leave()
        wait_for("the room to be closed", lambda: hasty.room(room) is None)
        wait_for("the recorder to wait outside", lambda: idle(each)["recorder"] == "outside")
        time.sleep(3)
        assert hasty.room(room) is None, "nobody opens it"
    asked = time.time()
    recorded, answer = each.finish(tmp_path / "each")
    assert time.time() - asked < 10 and answer["endReason"] == "stopped", answer
    assert answer["verdict"] == "partial", "the first moments are missing"
    for name, tone, talker, joined in zip(("alice", "bob"), (440, 660), talkers, came):
        playlist = recorded.individual(name)
        _, start, _ = heard_throughout(recorded, playlist, name, tone, talker)
        joined -= playlist.start
        outside = [gap for gap in ledger(recorded, name) if gap[2] == "recorder_outside"]
        assert outside, ledger(recorded, name)
        assert abs(outside[0][0] - joined) < 1.0, f"missing since the join at {joined:.2f}: {outside}"
        assert abs(outside[-1][1] - start) < 0.3, f"until it is heard at {start:.2f}: {outside}"
        assert outside[-1][1] - outside[0][0] < 4.0, outside
        missing = next(uid for uid in answer["ledger"]["uids"] if uid["uid"] == name)["missingMs"] / 1000
        assert abs(missing - (outside[-1][1] - outside[0][0])) < 0.5, missing
    assert webhooks.of(room) == ["room_started", "room_finished"] * 2
    receiver.wait(each.sid, 11)
    receiver.check(each.sid)


def test_a_deleted_room_is_left_alone_until_somebody_comes_back(waiting, hasty, crowd, room, webhooks, tmp_path):
    both = [waiting.record(room, "individual", app=app, maxIdleTime=30) for app in (ELSEWHERE, WATCHING)]
    forgotten = waiting.record(room, "mix", app=ELSEWHERE, maxIdleTime=5)
    alice = crowd.join(hasty.url, hasty.token(room, "alice"), tone=440)
    wait_for("the recorders to be in the room", lambda: len(hasty.participants(room)) == 4)
    time.sleep(3)
    hasty.delete(room)
    wait_for("the talker to be sent away", lambda: alice.left is not None)
    for recording in both:
        wait_for("the recorder to wait outside", lambda: (told := idle(recording)) and told["recorder"] == "outside")
    wait_for("the recording that nobody waits for to end", lambda: details(forgotten)["state"] == "ended")
    assert details(forgotten)["endReason"] == "channel_deleted"
    status, gone = forgotten.query()
    assert (status, gone["endReason"]) == (404, "channel_deleted")
    assert hasty.room(room) is None, "nobody makes it again"
    bob = crowd.join(hasty.url, hasty.token(room, "bob"), tone=660)
    wait_for("the recorders to be back", lambda: len(hasty.participants(room)) == 3)
    time.sleep(4)
    for number, recording in enumerate(both):
        recorded, answer = recording.finish(tmp_path / str(number))
        assert answer["endReason"] == "stopped"
        heard_throughout(recorded, recorded.individual("bob"), "bob", 660, bob)
        assert [gap for gap in ledger(recorded, "bob") if gap[2] == "recorder_outside"]
    assert webhooks.of(room)[:3] == ["room_started", "room_finished", "room_started"]


def test_a_recording_that_nobody_comes_back_to_ends_as_idle(waiting, hasty, crowd, room):
    apps = (ELSEWHERE, ELSEWHERE, WATCHING)
    both = [waiting.record(room, "mix", app=app, maxIdleTime=6) for app in apps]
    agents = AgentWorker(crowd, hasty, "ROOM")
    alice = crowd.join(hasty.url, hasty.token(room, "alice"), tone=440)
    wait_for("the recorders to be in the room", lambda: len(hasty.participants(room)) == 4)
    time.sleep(3)
    alice.leave()
    left = time.time()
    for recording in both:
        wait_for("its end", lambda: details(recording)["state"] == "ended", seconds=20)
        known = details(recording)
        assert known["endReason"] == "idle", known
        length = left - known["startedMs"] / 1000 + 6
        assert abs(known["durationMs"] / 1000 - length) < 1.5, (known["durationMs"], length)
    assert time.time() - left > 5.5
    assert agents.sent_to(room) == [""], "one recorder of several lets the agents in"
    wait_for("the room to be closed", lambda: hasty.room(room) is None, seconds=25)


def test_the_embedded_server_closes_its_room_and_the_recording_waits(waiting, browser, crowd, receiver, room, tmp_path):
    each = waiting.record(room, "individual", maxIdleTime=120)
    alice = crowd.join(waiting.url, waiting.token(room, "alice"), tone=440)
    time.sleep(12)
    alice.leave()
    time.sleep(24)
    assert idle(each)["recorder"] == "inside"
    bob = crowd.join(waiting.url, waiting.token(room, "bob"), tone=660)
    came = time.time()
    time.sleep(5)
    recorded, answer = each.finish(tmp_path / "each")
    assert answer["verdict"] == "complete" and answer["endReason"] == "stopped", answer
    assert len(recorded.playlists) == 2
    heard_throughout(recorded, recorded.individual("alice"), "alice", 440, alice)
    playlist = recorded.individual("bob")
    sound, start, _ = heard_throughout(recorded, playlist, "bob", 660, bob)
    assert start - (came - playlist.start) < 0.5, "from the first word"
    assert sound.level(660, 0.5, came - playlist.start - 1.5) < ABSENT
    page = browser.open(f"{waiting.origin}/room", anyOrigin=True)
    page.eval(f"{HLS_JS.read_text()};0")
    for name in ("alice", "bob"):
        playlist = recorded.individual(name)
        assert playlist.path.read_text().count("#EXT-X-BYTERANGE") > 5, "an absence is listed in pieces of few objects"
        for player in ("hls.js", "its own"):
            plays_to_its_end(page, player, waiting.bucket.address(f"{each.prefix}/{playlist.path.name}"), playlist.seconds)
    page.close()
    receiver.wait(each.sid, 11)
    receiver.check(each.sid)
