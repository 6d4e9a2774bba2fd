"""Headless Chromium and Firefox, through the Node driver beside this package."""

import json
import shutil
import subprocess
import threading

from .places import KEPT, SCREENS
from .program import wait_for

DRIVER = __file__.replace("peers/browser.py", "browser.mjs")


def executable(kind):
    names = {"chromium": ("chromium", "chromium-browser", "google-chrome"), "firefox": ("firefox-esr", "firefox")}[kind]
    found = next(filter(None, map(shutil.which, names)), None)
    assert found, f"no {kind}: install the package {names[0]}"
    return found


class Browser:
    def __init__(self, kind="chromium"):
        command = ["node", DRIVER, str(KEPT / "node" / "node_modules"), kind, executable(kind)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.lock = threading.Lock()
        self.pages = 0

    def ask(self, do, **arguments):
        with self.lock:
            self.process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        assert line, "the browser driver ended"
        answer = json.loads(line)
        assert "error" not in answer, answer["error"]
        return answer.get("value")

    def open(self, url, **options):
        self.pages += 1
        name = f"page-{self.pages}"
        self.ask("open", page=name, url=url, **options)
        return Page(self, name)

    def close(self):
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()


class Page:
    def __init__(self, browser, name):
        self.browser, self.name = browser, name

    def _ask(self, do, **arguments):
        return self.browser.ask(do, page=self.name, **arguments)

    def fill(self, id, text):
        self._ask("fill", id=id, text=text)

    def choose(self, id, value):
        self._ask("choose", id=id, value=value)

    def click(self, id):
        self._ask("click", id=id)

    def press(self, key):
        self._ask("press", key=key)

    def reload(self):
        self._ask("reload")

    def eval(self, script):
        return self._ask("eval", script=script)

    def text(self, id):
        return self.eval(f"document.getElementById({json.dumps(id)}).textContent.trim()")

    def shown(self, id):
        return self.eval(f"!document.getElementById({json.dumps(id)}).hidden")

    def shot(self, name):
        SCREENS.mkdir(parents=True, exist_ok=True)
        self._ask("shot", path=str(SCREENS / f"{name}.png"))

    @property
    def log(self):
        """Console lines, uncaught errors and requests, oldest first."""
        return self._ask("log")

    def close(self):
        self._ask("close")


class RoomPage(Page):
    """The product's voice room page."""

    def join(self, room, name, url=None, token=None):
        self.fill("room", room)
        self.fill("name", name)
        if token:
            self.fill("url", url)
            self.fill("token", token)
        self.click("enter")

        def inside():
            assert not self.shown("problem"), f"{self.text('problem')}\n" + "\n".join(self.log[-20:])
            return self.text("connection") == f"In {room}."

        wait_for(f"{name} to be in {room}", inside)

    def publish(self):
        self.click("publish")
        wait_for("the microphone to be shared", lambda: self.text("publish") == "Stop sharing")

    def leave(self):
        self.click("leave")
        wait_for("leaving", lambda: self.text("connection") == "Not in a room.")

    @property
    def people(self):
        """Name to state."""
        lines = self.eval("[...document.querySelectorAll('#people li')].map(li => [...li.children].map(c => c.textContent))")
        return {name.removesuffix(" (you)"): state for name, state in lines}


def open_room(browser, origin, **options):
    page = browser.open(f"{origin}/room", **options)
    return RoomPage(browser, page.name)
