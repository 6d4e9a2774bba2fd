"""Every builder and role of the vendor's npm package, versions 006 and 007, at the embedded channel server's door: who gets in,
and what each may do inside."""

import asyncio
import time
from urllib.parse import urlencode

import aiohttp
import pytest
from livekit.protocol.rtc import SignalResponse

from peers.product import EMBEDDED
from peers.vendor_tokens import build

LIFE = 600
PUBLISHER, SUBSCRIBER, ATTENDEE, ADMIN = 1, 2, 0, 101
UID, ACCOUNT = 42, "alice"
# Join for as long as the token, audio, video and data for half of it.
EACH = (LIFE, LIFE // 2, LIFE // 2, LIFE // 2)
RTM = (ACCOUNT, LIFE)
INVALID = "invalid token, authorized failed"


def old(call, room, who, role):
    """Version 006; its expiry is a time and no span."""
    return build("RtcTokenBuilder", "RtcTokenBuilder", call, room, who, role, int(time.time()) + LIFE)


def new(call, *values):
    """Version 007."""
    return build("RtcTokenBuilder2", "RtcTokenBuilder", call, *values)


def enter(product, token, **query):
    """The member as the server tells it to a client that joins with this token."""

    async def join():
        url = f"{product.url}/rtc?{urlencode({'access_token': token, 'auto_subscribe': 1, **query})}"
        async with aiohttp.ClientSession() as session, session.ws_connect(url, timeout=aiohttp.ClientWSTimeout(ws_close=5)) as socket:
            first = SignalResponse.FromString(await socket.receive_bytes(timeout=10))
            assert first.WhichOneof("message") == "join", first
            return first.join

    return asyncio.run(join())


def refusal(product, token, **query):
    """HTTP status and words of the same at the path that SDKs ask afterwards."""

    async def ask():
        url = f"{product.origin}/rtc/validate?{urlencode({'access_token': token, **query})}"
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            return answer.status, await answer.text()

    return asyncio.run(ask())


def check(product, channel, token, who, speaks, **query):
    join = enter(product, token, **query)
    assert (join.room.name, join.participant.identity) == (channel, str(who))
    permission = join.participant.permission
    assert permission.can_subscribe
    assert (permission.can_publish, permission.can_publish_data) == (speaks, speaks)


@pytest.mark.parametrize("call, who", [("buildTokenWithUid", UID), ("buildTokenWithAccount", ACCOUNT)])
@pytest.mark.parametrize("role, speaks", [(ATTENDEE, True), (PUBLISHER, True), (SUBSCRIBER, False), (ADMIN, True)])
def test_006(product, room, call, who, role, speaks):
    token = old(call, room, who, role)
    assert token.startswith("006" + EMBEDDED)
    check(product, room, token, who, speaks, room=room, identity=who)
    for other in ({"room": room, "identity": "43"}, {"room": "another-room", "identity": who}, {}):
        assert refusal(product, token, **other) == (401, INVALID), other


@pytest.mark.parametrize("role, speaks", [(PUBLISHER, True), (SUBSCRIBER, False)])
def test_007_by_role(product, room, role, speaks):
    convoai = ("ConvoAITokenBuilder", "ConvoAITokenBuilder", "buildToken", room, ACCOUNT, role, LIFE, *EACH, *RTM)
    stt = ("SttTokenBuilder", "SttTokenBuilder", "buildToken", room, ACCOUNT, role, LIFE, *EACH, *RTM)
    for who, token in [
        (UID, new("buildTokenWithUid", room, UID, role, LIFE)),
        (UID, new("buildTokenWithUid", room, UID, role, LIFE, LIFE // 2)),
        (ACCOUNT, new("buildTokenWithUserAccount", room, ACCOUNT, role, LIFE, LIFE)),
        (ACCOUNT, new("buildTokenWithRtm", room, ACCOUNT, role, LIFE, LIFE)),
        (ACCOUNT, new("buildTokenWithRtm2", room, ACCOUNT, role, LIFE, *EACH, *RTM)),
        (ACCOUNT, build(*convoai)),
        (ACCOUNT, build(*stt)),
    ]:
        assert token.startswith("007")
        check(product, room, token, who, speaks)
        assert refusal(product, token, room="another-room") == (401, INVALID)
        assert refusal(product, token, identity="43") == (401, INVALID)


@pytest.mark.parametrize(
    "call, who", [("buildTokenWithUidAndPrivilege", UID), ("BuildTokenWithUserAccountAndPrivilege", ACCOUNT)]
)
def test_007_by_privilege(product, room, call, who):
    check(product, room, new(call, room, who, LIFE, *EACH), who, True)
    # Nothing but joining lasts longer than a second.
    brief = new(call, room, who, LIFE, LIFE, 1, 1, 1)
    time.sleep(2.1)
    check(product, room, brief, who, False)


def test_uid_zero_is_anybody(product, room):
    for token, query in [
        (new("buildTokenWithUid", room, 0, PUBLISHER, LIFE), {}),
        (old("buildTokenWithUid", room, 0, PUBLISHER), {"room": room}),
    ]:
        assert int(enter(product, token, **query).participant.identity) > 0
        assert enter(product, token, **query, identity="carol").participant.identity == "carol"


def test_tokens_for_other_services_open_no_room(product, room):
    for token in [
        build("RtmTokenBuilder2", "RtmTokenBuilder", "buildToken", ACCOUNT, LIFE),
        build("RtmTokenBuilder2", "RtmTokenBuilder", "buildTokenWithPermissions", ACCOUNT, None, LIFE),
        build("ChatTokenBuilder", "ChatTokenBuilder", "buildUserToken", ACCOUNT, LIFE),
        build("ChatTokenBuilder", "ChatTokenBuilder", "buildAppToken", LIFE),
        build("FpaTokenBuilder", "FpaTokenBuilder", "buildToken"),
        build("EducationTokenBuilder", "EducationTokenBuilder", "buildRoomUserToken", room, ACCOUNT, 1, LIFE),
        build("EducationTokenBuilder", "EducationTokenBuilder", "buildUserToken", ACCOUNT, LIFE),
        build("EducationTokenBuilder", "EducationTokenBuilder", "buildAppToken", LIFE),
        build("ApaasTokenBuilder", "ApaasTokenBuilder", "buildRoomUserToken", room, ACCOUNT, 1, LIFE),
        build("ApaasTokenBuilder", "ApaasTokenBuilder", "buildUserToken", ACCOUNT, LIFE),
        build("ApaasTokenBuilder", "ApaasTokenBuilder", "buildAppToken", LIFE),
    ]:
        assert token.startswith("007")
        assert refusal(product, token, room=room, identity=ACCOUNT) == (401, INVALID)
    login = build("RtmTokenBuilder", "RtmTokenBuilder", "buildToken", ACCOUNT, 1, int(time.time()) + LIFE)
    assert refusal(product, login, room=room, identity=ACCOUNT) == (401, INVALID)
    # The builder gives no token for a certificate that is none, and no token is the vendor's error 120.
    assert build("RtcTokenBuilder2", "RtcTokenBuilder", "buildTokenWithUid", room, UID, 1, LIFE, certificate="short") == ""
    assert refusal(product, "", room=room, identity=UID) == (401, "dynamic use static key")
