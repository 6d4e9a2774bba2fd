"""A server that a test starts, kills and starts again."""

import os
import signal
import subprocess
import time


def wait_for(what, check, seconds=30.0, pause=0.1):
    """Asks `check` until it answers something true, and returns that; fails by saying `what` never came."""
    deadline = time.monotonic() + seconds
    while True:
        answer = check()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:.0f} s in vain for {what}")
        time.sleep(pause)


class Program:
    """One process with its output in a file. `ready` is asked until it is true after each start."""

    def __init__(self, name, command, log, ready, env=None):
        self.name, self.command, self.log, self.ready = name, [str(part) for part in command], log, ready
        self.env = {**os.environ, **(env or {})}
        self.process = None

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.env)

        def up():
            if self.process.poll() is not None:
                raise AssertionError(f"{self.name} ended with {self.process.returncode}; its last words:\n{self.last_words()}")
            return self.ready()

        wait_for(f"{self.name} to start", up)
        return self

    def kill(self):
        """As the kernel or a power cut would: no time to tidy up."""
        self.process.kill()
        self.process.wait()

    def stop(self, seconds=15):
        """Asks it to end; returns its exit code."""
        if self.process is None or self.process.poll() is not None:
            return None
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            return None

    def last_words(self, lines=40):
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
