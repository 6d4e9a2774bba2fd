"""The voice room page on a development server, from joining to listening to the finished recording."""

import os
import subprocess
import time

import pytest
import requests

from peers.browser import open_room
from peers.development import DevelopmentServer
from peers.places import PRODUCT
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


def test_join_talk_record_and_listen(development, browser, room):
    alice = open_room(browser, development.origin, hertz=440)
    bob = open_room(browser, development.origin, hertz=660, dark=True)
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
    early = alice.eval("audio.duration")
    wait_for("the playlist to grow", lambda: alice.eval("audio.duration") > early + 1)
    alice.shot("room-recording")
    bob.shot("room-dark")

    alice.click("record")
    wait_for("the recording to finish", lambda: alice.text("recording") == "Finished.", seconds=40)
    assert not alice.shown("problem"), alice.text("problem")
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
    for page in (alice, bob):
        assert not [line for line in page.log if line.startswith(("uncaught", "error"))], page.log
        page.close()


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
