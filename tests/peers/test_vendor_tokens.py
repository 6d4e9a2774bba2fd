"""Tokens made by the vendor's builder open a room; spoilt ones do not, and the refusal says why."""

import time
import zlib
from base64 import b64decode, b64encode

import pytest
import requests

from peers.browser import open_room
from peers.callbacks import run_javascript
from peers.places import KEPT
from peers.product import CERTIFICATE, EMBEDDED

PACKAGE = KEPT / "node" / "node_modules" / "agora-token"
BUILD = f"""
const [version, app, certificate, channel, uid, seconds] = JSON.parse(require("fs").readFileSync(0, "utf8"));
const of = (file) => require("{PACKAGE}/src/" + file).RtcTokenBuilder;
const token = version === 7
  ? of("RtcTokenBuilder2").buildTokenWithUid(app, certificate, channel, uid, 1, seconds, seconds)
  : of("RtcTokenBuilder").buildTokenWithUid(app, certificate, channel, uid, 1, Math.floor(Date.now() / 1000) + seconds);
process.stdout.write(JSON.stringify(token));
"""


def build(version, channel, uid, seconds=600, certificate=CERTIFICATE):
    return run_javascript(BUILD, [version, EMBEDDED, certificate, channel, uid, seconds])


def validate(product, token, **query):
    """What the server says to a client that asks why."""
    parameters = {"access_token": token, **query}
    answer = requests.get(f"{product.origin}/rtc/validate", params=parameters, timeout=5)
    return answer.status_code, answer.text


def changed(token):
    """The token with the last byte of what it is about changed, and everything around it left right."""
    content = bytearray(zlib.decompress(b64decode(token[3:])))
    content[-1] ^= 1
    return "007" + b64encode(zlib.compress(bytes(content))).decode()


def test_a_007_token_opens_its_room_to_an_sdk(product, crowd, room):
    talker = crowd.join(product.url, build(7, room, 42), tone=440)
    assert talker.room.name == room
    assert talker.room.local_participant.identity == "42"


def test_a_006_token_opens_its_room_to_the_page(product, browser, room):
    page = open_room(browser, product.origin)
    page.join(room, "whoever", f"{product.url}/?room={room}&identity=77", build(6, room, 77))
    assert set(page.people) == {"77"}
    page.close()


def test_spoilt_tokens_are_refused_with_the_vendors_words(product, room):
    good = build(7, room, 42)
    assert validate(product, good) == (200, "success")
    invalid = "invalid token, authorized failed"
    for token, query, words in [
        (changed(good), {}, invalid),
        (good[:-6] + ("A" if good[-6] != "A" else "B") + good[-5:], {}, invalid),
        (build(7, room, 42, certificate="f" * 32), {}, invalid),
        (good, {"room": "another-room"}, invalid),
        (good, {"identity": "43"}, invalid),
        (build(6, room, 42), {"room": "another-room", "identity": "42"}, invalid),
        ("", {}, "dynamic use static key"),
    ]:
        status, text = validate(product, token, **query)
        assert status == 401 and words in text, f"{token[:12]}… {query}: {status} {text}"


def test_an_expired_token_is_refused_as_expired(product, browser, room):
    token = build(7, room, 42, seconds=1)
    time.sleep(2.5)
    status, text = validate(product, token)
    assert status == 401 and "dynamic key expired" in text, f"{status} {text}"
    page = open_room(browser, product.origin)
    with pytest.raises(AssertionError, match="refused the token: .*dynamic key expired"):
        page.join(room, "late", product.url, token)
    page.close()
