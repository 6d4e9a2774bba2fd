"""A callback receiver as real ones are: it checks both signatures, both over the raw bytes and over the body parsed and printed
again by JavaScript."""

import hashlib
import hmac
import json
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from .places import LOOPBACK
from .program import wait_for

SECRET = "callback-secret"
REPRINT = """
const bodies = JSON.parse(require("fs").readFileSync(0, "utf8"));
process.stdout.write(JSON.stringify(bodies.map((body) => JSON.stringify(JSON.parse(body)))));
"""


class Receiver:
    def __init__(self):
        self.deliveries = []
        self.lock = threading.Lock()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver._take(body, self.headers)
                answer = b'{"code":0}'
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
        self.url = f"http://{LOOPBACK}:{self.server.server_port}/callbacks"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def _take(self, body, headers):
        signatures = headers["agora-signature"], headers["agora-signature-v2"]
        with self.lock:
            self.deliveries.append((body, signatures, headers["content-type"]))

    def events(self, sid):
        """The session's events in the order of their arrival."""
        with self.lock:
            bodies = [json.loads(body) for body, _, _ in self.deliveries]
        return [body for body in bodies if body["payload"]["sid"] == sid]

    def types(self, sid):
        return [event["eventType"] for event in self.events(sid)]

    def wait(self, sid, event_type, seconds=30):
        """The first event of a type."""

        def arrived():
            return next((event for event in self.events(sid) if event["eventType"] == event_type), None)

        return wait_for(f"event {event_type} of {sid}", arrived, seconds)

    def check(self, sid, repeated=False):
        """Order, identity and signatures of everything that came for the session. A worker that was killed may say `repeated`ly
        what it had said: the same under the same noticeId."""
        events = self.events(sid)
        if repeated:
            events = list({event["noticeId"]: event for event in events}.values())
        sequences = [event["payload"]["sequence"] for event in events]
        assert sequences == list(range(len(events))), f"sequences {sequences}"
        assert len({event["noticeId"] for event in events}) == len(events)
        assert all(event["sid"] == sid and event["productId"] == 3 for event in events)
        with self.lock:
            mine = [delivery for delivery in self.deliveries if json.loads(delivery[0])["sid"] == sid]
        reprinted = run_javascript(REPRINT, [body.decode() for body, _, _ in mine])
        for (body, (v1, v2), content_type), again in zip(mine, reprinted, strict=True):
            assert content_type.startswith("application/json"), content_type
            for form in (body, again.encode()):
                assert v1 == hmac.new(SECRET.encode(), form, hashlib.sha1).hexdigest(), body
                assert v2 == hmac.new(SECRET.encode(), form, hashlib.sha256).hexdigest(), body

    def close(self):
        self.server.shutdown()


def run_javascript(script, argument):
    result = subprocess.run(["node", "-e", script], input=json.dumps(argument), capture_output=True, text=True, check=True)
    return json.loads(result.stdout)
