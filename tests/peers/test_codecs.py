"""Other codings than plain Opus, on both channel servers: a telephone's G.711, what is encrypted from end to end, and a lossy way whose
losses the packets behind them hold."""

import time

import pytest

from peers.browser import open_room
from peers.holes import ledger
from peers.interference import Interference
from peers.product import ELSEWHERE, EMBEDDED

# A voice has a little of every tone.
HEARD, ABSENT = 0.05, 0.02
LOST_EVERY = 5

# From here on the page sends this G.711 alone, which takes more bits than the page allows a voice.
TELEPHONE = """
((law) => {
  const add = RTCPeerConnection.prototype.addTransceiver;
  RTCPeerConnection.prototype.addTransceiver = function (track, { sendEncodings, ...init }) {
    const transceiver = add.call(this, track, init);
    const codecs = RTCRtpSender.getCapabilities("audio").codecs;
    transceiver.setCodecPreferences(codecs.filter((codec) => codec.mimeType === law));
    return transceiver;
  };
})("audio/%s")
"""


@pytest.mark.parametrize("where, law", [("embedded", "PCMA"), ("embedded", "PCMU"), ("livekit", "PCMA")])
def test_a_telephone_a_secret_and_a_lossy_way(product, where, law, browser, crowd, receiver, room, tmp_path, request):
    server = product if where == "embedded" else request.getfixturevalue("real_livekit")
    app = EMBEDDED if where == "embedded" else ELSEWHERE
    page = open_room(browser, product.origin, hertz=440, anyOrigin=True)
    page.eval(TELEPHONE % law)
    page.join(room, "telephone", server.url, server.token(room, "telephone"))
    page.publish()
    crowd.join(server.url, server.token(room, "secret"), tone=880, secret=b"known to two")
    between = Interference(server.port)
    crowd.join(between.url, server.token(room, "lossy"), voiced=True, dtx=False, red=False, bit_rate=32_000)
    mix = product.record(room, "mix", app=app)
    each = product.record(room, "individual", app=app)
    time.sleep(2)
    between.lose(LOST_EVERY)
    time.sleep(8)
    known = each.query()[1]
    unreadable = {uid["uid"]: uid["unreadable"] for uid in known["health"]["uids"] if "unreadable" in uid}
    reasons = {"secret": "encrypted"}
    assert unreadable == {uid: [{"trackSource": "microphone", "reason": reason}] for uid, reason in reasons.items()}, known["health"]
    single, _ = each.finish(tmp_path / "each")
    mixed, _ = mix.finish(tmp_path / "mix")
    between.close()
    page.close()

    for recorded in (mixed, single):
        assert recorded.manifest["verdict"] == "partial", "nobody knows what the secret was"
        told = {uid["uid"]: uid for uid in recorded.manifest["ledger"]["uids"]}
        assert set(told) == {"telephone", "secret", "lossy"}
        for uid, reason in reasons.items():
            missing = sum(end - start for start, end, cause in ledger(recorded, uid) if cause == reason)
            assert missing > 8 and abs(told[uid]["missingMs"] / 1000 - missing) < 0.1, told[uid]
        assert told["telephone"]["transcodedFrom"] == [law.lower()] and told["telephone"]["missingMs"] <= 500, told["telephone"]
        assert told["lossy"]["missingMs"] <= 500 < told["lossy"]["concealedMs"], told["lossy"]
    for sound in [mixed.mix.sound, single.individual("telephone").sound]:
        level = sound.level(440, 2, sound.seconds - 0.5)
        assert level > HEARD, level
        assert sound.level(880, 2, sound.seconds - 0.5) < ABSENT
    recovered = sum(end - start for start, end, cause in ledger(mixed, "lossy") if cause == "recovered_fec")
    print(f"recovered {recovered:.2f} s of {told['lossy']['concealedMs'] / 1000:.2f} s")
    assert recovered > 0, ledger(mixed, "lossy")
    for recording in (mix, each):
        receiver.wait(recording.sid, 11)
        receiver.check(recording.sid)
