"""What an unmodified SDK asks of a channel server is answered as a LiveKit server answers it: by both of them here."""

import asyncio
import time

import pytest
from livekit import api, rtc

from peers.browser import open_room
from peers.livekit_server import KEY, SECRET
from peers.product import CERTIFICATE, EMBEDDED
from peers.program import wait_for
from peers.sound import RATE

PATIENCE = 5
FRAME = RATE // 50


class Server:
    def __init__(self, url, key, secret, single):
        self.url, self.key, self.secret = url, key, secret
        # The Python SDK reports a track that returns to a LiveKit server only over the newer signalling.
        self.options = rtc.RoomOptions(single_peer_connection=single)

    def token(self, room, identity, **grants):
        grants = api.VideoGrants(**{"room_join": True, "room": room, **grants})
        return api.AccessToken(self.key, self.secret).with_identity(identity).with_grants(grants).to_jwt()

    async def join(self, room, identity, **grants):
        member = rtc.Room()
        member.seen = []
        member.on("track_subscribed", lambda track, *_: member.seen.append(("subscribed", track.sid)))
        member.on("track_unsubscribed", lambda track, *_: member.seen.append(("unsubscribed", track.sid)))
        member.on("track_published", lambda publication, *_: member.seen.append(("published", publication.sid)))
        await member.connect(self.url, self.token(room, identity, **grants), self.options)
        return member


@pytest.fixture(params=["embedded", "livekit"])
def server(request):
    if request.param == "embedded":
        return Server(request.getfixturevalue("product").url, EMBEDDED, CERTIFICATE, False)
    return Server(request.getfixturevalue("real_livekit").url, KEY, SECRET, True)


async def until(found, what, seconds=PATIENCE):
    end = time.time() + seconds
    while not found():
        assert time.time() < end, what
        await asyncio.sleep(0.01)


async def publish(member, source=rtc.TrackSource.SOURCE_MICROPHONE):
    track = rtc.LocalAudioTrack.create_audio_track("voice", rtc.AudioSource(RATE, 1))
    return await member.local_participant.publish_track(track, rtc.TrackPublishOptions(source=source))


def test_a_track_comes_back_to_who_subscribes_again(server, room):
    async def scenario():
        alice, bob = await server.join(room, "alice"), await server.join(room, "bob")
        sid = (await publish(alice)).sid
        await until(lambda: ("subscribed", sid) in bob.seen, "bob hears alice")
        publication = bob.remote_participants["alice"].track_publications[sid]
        for turn in range(6):
            for subscribe, what in ((False, "unsubscribed"), (True, "subscribed")):
                bob.seen.clear()
                publication.set_subscribed(subscribe)
                await until(lambda: (what, sid) in bob.seen, f"{what}, turn {turn}")
                await asyncio.sleep(0.2)
        for member in (alice, bob):
            await member.disconnect()

    asyncio.run(scenario())


def test_audio_without_a_source_is_published_where_the_token_names_none(server, room):
    async def scenario():
        alice, bob = await server.join(room, "alice"), await server.join(room, "bob")
        sid = (await publish(alice, rtc.TrackSource.SOURCE_UNKNOWN)).sid
        await until(lambda: ("subscribed", sid) in bob.seen, "bob hears alice")
        for member in (alice, bob):
            await member.disconnect()

    asyncio.run(scenario())


def test_everybody_is_told_how_many_are_there(server, room):
    async def scenario():
        alice = await server.join(room, "alice")
        bob = await server.join(room, "bob")
        await server.join(room, "unseen", hidden=True, can_publish=False, recorder=True)
        # A LiveKit server gathers changes for five seconds.
        for member in (alice, bob):
            await until(lambda: member.num_participants == 2, f"{member.num_participants} of 2", 15)
        await bob.disconnect()
        if server.key == EMBEDDED:
            await until(lambda: alice.num_participants == 1, f"{alice.num_participants} of 1")
        await alice.disconnect()

    asyncio.run(scenario())


def test_a_refusal_is_told_at_once(server, room):
    async def refused(token):
        begin = time.time()
        with pytest.raises(rtc.ConnectError) as refusal:
            await rtc.Room().connect(server.url, token)
        return str(refusal.value), time.time() - begin

    async def scenario():
        good = server.token(room, "alice")
        for token in ("", "garbage", good[:-4] + "AAAA", server.token(room, "alice", room_join=False)):
            words, seconds = await refused(token)
            assert "401" in words and seconds < PATIENCE, (words, seconds)

    asyncio.run(scenario())


# Bytes a packet of each track that a page hears; its statistics call RED by the codec inside.
SIZES = """(async () => {
  const found = [];
  for (const peer of window.peers)
    for (const report of (await peer.getStats()).values())
      if (report.type === "inbound-rtp" && report.packetsReceived > 50)
        found.push([report.trackIdentifier, report.bytesReceived / report.packetsReceived]);
  return found;
})()"""


def test_redundancy_goes_end_to_end_and_is_unpacked_for_who_takes_none(product, browser, crowd, room, tmp_path):
    """livekit-client and the Python SDK publish RED unless they are told not to; the recorder takes plain Opus."""
    alice, bob = (open_room(browser, product.origin, hertz=hertz) for hertz in (440, 660))
    for page, name in ((alice, "alice"), (bob, "bob")):
        page.join(room, name, product.url, product.token(room, name))
    alice.publish()
    carol = crowd.join(product.url, product.token(room, "carol"), tone=880, red=True)
    dave = crowd.join(product.url, product.token(room, "dave"), tone=1320, red=False)
    each = product.record(room, "individual")

    sizes = wait_for("bob to hear three", lambda: (found := dict(bob.eval(SIZES))) and len(found) == 3 and found)
    assert (carol.publication.mime_type, dave.publication.mime_type) == ("audio/red", "audio/opus")
    plain = sizes[dave.publication.sid]
    assert sorted(size > 1.5 * plain for size in sizes.values()) == [False, True, True], sizes
    time.sleep(4)
    recorded, _ = each.finish(tmp_path / "each")
    for name, hertz in (("alice", 440), ("carol", 880), ("dave", 1320)):
        sound = recorded.individual(name).sound
        assert sound.level(hertz, 1.0, sound.seconds - 0.5) > 0.05, name


def test_a_full_channel_says_so_at_once(product, room):
    """The embedded server alone: a LiveKit server answers 500 and no word."""
    server = Server(product.url, EMBEDDED, CERTIFICATE, False)

    async def scenario():
        bots = [await server.join(room, f"bot-{n}", hidden=True, recorder=True, can_publish=False) for n in range(20)]
        begin = time.time()
        with pytest.raises(rtc.ConnectError) as refusal:
            await server.join(room, "one-more", hidden=True, recorder=True, can_publish=False)
        assert "503" in str(refusal.value) and "as many recorders as it can take" in str(refusal.value)
        assert time.time() - begin < PATIENCE
        for bot in bots:
            await bot.disconnect()

    asyncio.run(scenario())
