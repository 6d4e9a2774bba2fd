"""The voice room page on a development server, from joining to listening to the finished recording."""

import json
import os
import subprocess
import time

import pytest
import requests

from peers.browser import open_room
from peers.development import DevelopmentServer
from peers.places import PRODUCT
from peers.product import EMBEDDED, customer_of
from peers.program import wait_for

# Amplitude of one tone in what the page's player plays now.
LISTEN = """
(async (hertz) => {
  const audio = document.getElementById("audio");
  if (!window.ear) {
    const context = new AudioContext();
    await context.resume();
    window.ear = new AnalyserNode(context, { fftSize: 8192, smoothingTimeConstant: 0 });
    context.createMediaElementSource(audio).connect(window.ear).connect(context.destination);
  }
  await audio.play();
  await new Promise((resolve) => setTimeout(resolve, 1200));
  const bins = new Float32Array(window.ear.frequencyBinCount);
  window.ear.getFloatFrequencyData(bins);
  const bin = Math.round(hertz * window.ear.fftSize / window.ear.context.sampleRate);
  return Math.max(...bins.slice(bin - 2, bin + 3));
})(%d)
"""


@pytest.fixture(scope="module")
def development(tmp_path_factory):
    server = DevelopmentServer(tmp_path_factory.mktemp("development"))
    yield server
    server.stop()


def state(page):
    return page.eval("(({ currentTime, duration, ended, error }) => ({ currentTime, duration, ended, failed: error?.message ?? null }))(audio)")


def test_join_talk_record_and_listen(development, browser, firefox, room):
    alice = open_room(browser, development.origin, hertz=440)
    # Firefox's fake microphone hears 660 Hz. Without a sound card it gives up in mid-play, so what it plays is heard in the other page.
    bob = open_room(firefox, development.origin)
    assert not alice.shown("pasted-voice") and not alice.shown("pasted-recording"), "the development server hands out what is needed"
    alice.join(room, "alice")
    bob.join(room, "bob")
    alice.publish()
    bob.publish()
    wait_for("both to be seen speaking", lambda: alice.people == {"alice": "speaking", "bob": "speaking"})
    assert alice.text("speaking").startswith("Speaking: ")
    bob.click("mute")
    wait_for("the mute to be seen", lambda: alice.people["bob"] == "muted")
    bob.click("mute")
    wait_for("both to be seen speaking again", lambda: set(alice.people.values()) == {"speaking"})

    alice.click("record")
    wait_for("the badge", lambda: alice.shown("badge") and bob.shown("badge"))
    wait_for("the growing playlist to play", lambda: alice.shown("player") and state(alice)["duration"])
    for hertz in (440, 660):
        assert alice.eval(LISTEN % hertz) > -60, f"{hertz} Hz is not heard in the growing playlist"
    wait_for("the other page to play it too", lambda: bob.shown("player") and state(bob)["duration"])
    assert bob.text("record") == "Stop recording"
    wait_for("its player to have sound", lambda: bob.eval("audio.readyState >= 2 && audio.buffered.length && audio.buffered.end(0) > 1"))
    early = alice.eval("audio.duration")
    wait_for("the playlist to grow", lambda: alice.eval("audio.duration") > early + 1)
    alice.shot("room-recording")
    assert not troubles(bob), bob.log
    # The driver's own style for it is refused by the page's policy, and logged.
    bob.shot("room-firefox")

    # A page that only looks at the room sees the recording, also after a reload, and can stop it.
    carol = open_room(browser, development.origin, dark=True)
    carol.fill("room", room)
    for reload in (False, True):
        if reload:
            carol.reload()
        wait_for("the recording to be seen", lambda: carol.text("record") == "Stop recording")
    wait_for("what it says of it", lambda: carol.text("recording").startswith(f"Recording {room}"))
    carol.shot("room-dark")
    carol.click("record")
    wait_for("the recording to finish", lambda: carol.text("recording") == "Finished.", seconds=40)
    wait_for("the others to say why", lambda: {page.text("recording") for page in (alice, bob)} == {f"The recording of {room} is over: it was stopped."})
    for page in (alice, bob, carol):
        assert not page.shown("problem") and page.text("record") == "Record", page.text("problem")
    carol.close()
    assert not alice.shown("badge")
    alice.eval("document.querySelector('#files button').click()")
    wait_for("the finished playlist", lambda: (state(alice)["duration"] or 0) > early)
    length = state(alice)["duration"]
    time.sleep(1)
    assert abs(state(alice)["duration"] - length) < 0.1, "a finished playlist does not grow"
    for hertz in (440, 660):
        assert alice.eval(LISTEN % hertz) > -60, f"{hertz} Hz is not heard in the finished playlist"
    alice.eval("void (audio.currentTime = audio.duration - 1)")
    wait_for("the end of the recording", lambda: state(alice)["ended"])
    assert not state(alice)["failed"]
    alice.shot("room-finished")

    bob.leave()
    wait_for("bob to be gone", lambda: set(alice.people) == {"alice"})
    alice.click("publish")
    wait_for("the microphone to be returned", lambda: alice.people == {"alice": "listening"})
    alice.leave()
    assert not troubles(alice), alice.log
    for page in (alice, bob):
        page.close()


def test_a_recording_in_ts_is_heard_while_it_grows_and_afterwards(tmp_path, browser, room):
    server = DevelopmentServer(tmp_path, 'container = "ts"')
    page = open_room(browser, server.origin, hertz=440)
    page.join(room, "alice")
    page.publish()
    page.click("record")
    wait_for("the growing playlist to play", lambda: page.shown("player") and state(page)["duration"])
    assert page.eval(LISTEN % 440) > -60, "the growing playlist is silent"
    page.click("record")
    wait_for("the recording to finish", lambda: page.text("recording") == "Finished.", seconds=40)
    bucket = server.program.log.parent / "data" / "bucket"
    media = {file.suffix for file in bucket.rglob("*") if file.suffix in (".ts", ".m4s", ".mp4")}
    assert media == {".ts"}, "it is in TS"
    page.eval("document.querySelector('#files button').click()")
    wait_for("the finished playlist", lambda: (state(page)["duration"] or 0) > 2 and not state(page)["failed"])
    assert page.eval(LISTEN % 440) > -60, "the finished playlist is silent"
    page.eval("void (audio.currentTime = audio.duration - 1)")
    wait_for("the end of the recording", lambda: state(page)["ended"])
    assert not state(page)["failed"] and not page.shown("problem") and not troubles(page), page.log
    page.close()
    server.stop()


def troubles(page):
    return [line for line in page.log if line.startswith(("uncaught", "error"))]


def test_the_page_works_by_keyboard_and_says_what_is_wrong(development, browser, room):
    page = open_room(browser, development.origin)
    page.fill("room", "комната")
    page.eval("document.getElementById('name').focus()")
    page.press("Enter")
    wait_for("the complaint", lambda: page.shown("problem"))
    assert "cname" in page.text("problem"), page.text("problem")
    page.fill("room", room)
    page.press("Enter")
    wait_for("joining", lambda: page.text("connection") == f"In {room}.")
    unnamed = page.eval(
        "[...document.querySelectorAll('input, select, textarea, button')]"
        ".filter((e) => !(e.labels?.length || e.textContent.trim())).map((e) => e.id)"
    )
    assert not unnamed, f"controls without a label: {unnamed}"
    page.close()


def paste(page, product, secret):
    for field, text in (("app-id", EMBEDDED), ("rest-key", customer_of(EMBEDDED)[0]), ("rest-secret", secret)):
        page.fill(field, text)
    page.fill("storage", json.dumps(product.bucket.storage_config("pasted")))


def recordings(product, room):
    url = f"{product.origin}/v1/apps/{EMBEDDED}/recordings"
    answer = requests.get(url, params={"cname": room}, auth=customer_of(EMBEDDED), timeout=10)
    return answer.json()["recordings"]


@pytest.mark.parametrize("kind", ["browser", "firefox"])
def test_a_wrong_secret_is_told_and_the_tokens_room_is_recorded(product, kind, room, request):
    page = open_room(request.getfixturevalue(kind), product.origin, hertz=440)
    page.fill("room", "another")
    page.fill("name", "alice")
    page.fill("token", product.token(room, "alice"))
    page.click("enter")
    said = f"In {room}. The token opens this room, and not another."
    wait_for("the token's room", lambda: page.text("connection") == said)
    paste(page, product, "wrong")
    page.click("record")
    wait_for("the complaint", lambda: page.shown("problem"))
    assert "401" in page.text("problem") and "credentials" in page.text("problem"), page.text("problem")
    paste(page, product, customer_of(EMBEDDED)[1])
    page.click("record")
    wait_for("the recording", lambda: page.text("record") == "Stop recording" and len(recordings(product, room)) == 1)
    assert not recordings(product, "another")
    page.click("record")
    wait_for("the recording to finish", lambda: page.text("recording").startswith("Finished"), seconds=40)
    page.close()


def test_the_first_page_leads_to_every_other(development, browser):
    page = browser.open(development.origin)
    page.shot("first-page")
    links = page.eval("[...document.links].map((link) => link.href)")
    assert len(links) == 6
    for link in links:
        assert requests.get(link, timeout=5).status_code == 200, link
    assert not troubles(page), page.log
    page.close()


def test_a_development_server_stays_on_loopback(tmp_path):
    for name in ("SERVER", "BUCKET"):
        environment = {**os.environ, f"CLOUD_RECORDER__{name}__LISTEN": "0.0.0.0:0"}
        command = [PRODUCT, "serve", "--data-dir", tmp_path]
        refused = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=20)
        assert refused.returncode == 1 and "loopback only" in refused.stderr, refused


def test_credentials_are_for_our_own_page_only(development, product):
    session = f"{development.origin}/room/session"
    assert requests.get(session, timeout=5).status_code == 200
    assert requests.get(session, headers={"host": "rebound.example"}, timeout=5).status_code == 403
    assert requests.get(session, headers={"sec-fetch-site": "cross-site"}, timeout=5).status_code == 403
    assert requests.get(f"{product.origin}/room/session", timeout=5).status_code == 204
