"""What real senders do, on both channel servers: who is not heard though it spoke is missing, and who lacks nothing is complete."""

import time

import pytest

from peers.browser import open_room
from peers.holes import ledger
from peers.interference import Interference
from peers.product import ELSEWHERE, EMBEDDED
from peers.program import wait_for
from peers.staircase import Heard

# A busy machine stalls a sender now and then; more than this in all is no machine's fault.
EXCUSED_MS = 500
CUT = 25
HEARD, ABSENT = 0.05, 0.005
HELD = 0.9


class Side:
    """A channel server, as a test sees it."""

    def __init__(self, product, server, page_url):
        self.server, self.app = server, EMBEDDED if server is product else ELSEWHERE
        self.port, self.url, self.page_url = server.port, server.url, page_url

    def token(self, room, identity):
        return self.server.token(room, identity)


@pytest.fixture(params=["embedded", "livekit"])
def side(request, product):
    if request.param == "embedded":
        return Side(product, product, product.url)
    lk = request.getfixturevalue("real_livekit")
    return Side(product, lk, lk.url)


@pytest.fixture
def between(side):
    way = Interference(side.port)
    yield way
    way.close()


def entry(recorded, uid):
    return next(entry for entry in recorded.manifest["ledger"]["uids"] if entry["uid"] == uid)


def test_who_sends_nothing_while_it_has_nothing_to_say_lacks_nothing(product, side, browser, crowd, receiver, room, tmp_path):
    page = open_room(browser, product.origin, hertz=440, anyOrigin=True)
    page.join(room, "replaced", side.page_url, side.token(room, "replaced"))
    page.publish()
    each = product.record(room, "individual", app=side.app)
    turns = [(1, 4), (9, 10), (16, 19)]
    crowd.join(side.url, side.token(room, "agent"), tone=660, turns=turns)
    crowd.join(side.url, side.token(room, "agent-without-dtx"), tone=770, turns=turns, dtx=False)
    crowd.join(side.url, side.token(room, "never"), tone=880, turns=[])
    muter = crowd.join(side.url, side.token(room, "muter"), tone=990)
    leaver = crowd.join(side.url, side.token(room, "leaver"), tone=1_100)
    time.sleep(4)
    page.eval("peers.flatMap((peer) => peer.getSenders()).filter((sender) => sender.track?.kind === 'audio').forEach((sender) => sender.replaceTrack(null))")
    muter.mute()
    time.sleep(6)
    leaver.leave()
    crowd.talkers.remove(leaver)
    time.sleep(4)
    muter.unmute()
    time.sleep(6)
    recorded, _ = each.finish(tmp_path / "each")
    lacking = {uid["uid"]: (uid["missingMs"], uid.get("overlaidMs"), uid["packets"], ledger(recorded, uid["uid"])) for uid in recorded.manifest["ledger"]["uids"] if uid["missingMs"]}
    assert not lacking and recorded.manifest["verdict"] == "complete", lacking
    sound = recorded.individual("agent").sound
    assert len(sound.spans(660)) == len(turns), sound.spans(660)


def test_the_first_words_after_a_mute_are_placed_however_late_they_come(product, side, between, crowd, room, tmp_path):
    alice = crowd.join(between.url, side.token(room, "alice"), tone=440, dtx=False)
    each = product.record(room, "individual", app=side.app)
    time.sleep(3)
    alice.mute()
    time.sleep(3)
    between.hold()
    unmuted = time.time()
    alice.unmute()
    time.sleep(HELD)
    packets = between.release()
    assert packets > HELD * 50 / 2, f"only {packets} packets were held back"
    time.sleep(4)
    recorded, _ = each.finish(tmp_path / "each")
    playlist, told = recorded.individual("alice"), entry(recorded, "alice")
    spans = playlist.sound.spans(440)
    assert told["missingMs"] <= EXCUSED_MS and told["packets"]["late"] <= EXCUSED_MS / 20, told
    heard = next(start for start, _ in spans if start > unmuted - playlist.start - 1)
    assert heard - (unmuted - playlist.start) < HELD - 0.3, f"unmuted at {unmuted - playlist.start:.2f} s, heard in {spans}: {told}"


def test_a_tab_beside_the_microphone_silences_nobody(product, side, crowd, receiver, room, tmp_path):
    mix = product.record(room, "mix", app=side.app)
    each = product.record(room, "individual", app=side.app)
    quiet = crowd.join(side.url, side.token(room, "quiet"), tone=440)
    loud = crowd.join(side.url, side.token(room, "loud"), tone=880)
    time.sleep(2)
    quiet.share()
    loud.share(tone=1_320)
    time.sleep(6)
    mixed, _ = mix.finish(tmp_path / "mix")
    single, _ = each.finish(tmp_path / "each")
    for recorded in (mixed, single):
        lacking = {uid["uid"]: uid for uid in recorded.manifest["ledger"]["uids"] if uid["missingMs"] > EXCUSED_MS}
        assert not lacking, lacking
    sound = mixed.mix.sound
    for tone in (440, 880, 1_320):
        assert sound.level(tone, sound.seconds - 3, sound.seconds - 0.5) > HEARD, tone
    microphones = {}
    for uid, tone in (("quiet", 440), ("loud", 880)):
        found = [playlist for playlist in single.playlists if f"__uid_s_{uid}__uid_e_" in playlist.path.name]
        assert len(found) == 2, [playlist.path.name for playlist in found]
        microphones[uid] = min(found, key=lambda playlist: len(playlist.path.name))
        own = microphones[uid].sound
        assert own.level(tone, own.seconds - 3, own.seconds - 0.5) > HEARD and own.level(1_320, own.seconds - 3, own.seconds - 0.5) < ABSENT
    tab = next(playlist for playlist in single.playlists if "__uid_s_loud__uid_e_" in playlist.path.name and playlist.path != microphones["loud"].path).sound
    assert tab.level(1_320, tab.seconds - 3, tab.seconds - 0.5) > HEARD and tab.level(880, tab.seconds - 3, tab.seconds - 0.5) < ABSENT


def test_a_network_that_is_cut_while_somebody_talks_is_missing(product, side, between, crowd, room, tmp_path):
    alice = crowd.join(between.url, side.token(room, "alice"), staircase=True, dtx=False)
    crowd.join(side.url, side.token(room, "bob"), tone=5_000, dtx=False)
    each = product.record(room, "individual", app=side.app, maxIdleTime=120)
    time.sleep(5)
    between.cut()
    cut = time.time()
    time.sleep(CUT)
    between.mend()
    mended = time.time()
    wait_for("alice to be back", lambda: alice.back() or alice.left is not None, seconds=60)
    if alice.left is not None:
        crowd.join(side.url, side.token(room, "alice"), staircase=True, dtx=False)
    time.sleep(6)
    recorded, _ = each.finish(tmp_path / "each", seconds=60)
    playlist, told = recorded.individual("alice"), entry(recorded, "alice")
    silences = [silence for silence in Heard(playlist.sound, playlist.start).silences() if silence[1] > cut and silence[0] < mended]
    silent = sum(end - start for start, end in silences)
    assert silent > CUT - 2, silences
    print(f"cut for {CUT} s, silent {silent:.1f} s, missing {told['missingMs']} ms, {ledger(recorded, 'alice')}")
    assert recorded.manifest["verdict"] == "partial"
    assert told["missingMs"] + told["concealedMs"] > 1000 * (CUT - 2), told
    assert told["missingMs"] <= 1000 * silent + EXCUSED_MS, told
    assert entry(recorded, "bob")["missingMs"] <= EXCUSED_MS, entry(recorded, "bob")
