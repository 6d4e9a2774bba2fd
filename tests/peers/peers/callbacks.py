"""Callback receivers as real ones are. `Receiver` takes everything and checks at the end; both signatures, over the raw bytes and
over the body parsed and printed again by JavaScript. `StrictReceiver` checks each request on arrival, the way a careful app server does,
and refuses what is wrong."""

import hashlib
import hmac
import json
import re
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from .places import LOOPBACK
from .program import wait_for

SECRET = "callback-secret"
REPRINT = """
const bodies = JSON.parse(require("fs").readFileSync(0, "utf8"));
process.stdout.write(JSON.stringify(bodies.map((body) => JSON.stringify(JSON.parse(body)))));
"""
# docs/protocol/agora.md section 6: the fields of each channel event's payload; those in brackets need not be there.
JOIN = "channelName uid platform [clientType] clientSeq ts account"
LEAVE = "channelName uid platform [clientType] clientSeq reason duration ts account"
ROLE = "channelName uid clientSeq ts account"
CHANNEL_PAYLOADS = {
    101: "channelName ts",
    102: "channelName lastUid ts",
    103: JOIN,
    104: LEAVE,
    105: JOIN,
    106: LEAVE,
    107: JOIN,
    108: LEAVE,
    111: ROLE,
    112: ROLE,
}
RECORDING_PAYLOAD = "cname uid sid sequence sendts serviceType serviceScene details".split()


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


class StrictReceiver:
    """Answers the first requests with the statuses of `script`, whatever they say, and all others with 200 if they are right and
    400 if not. `faults` says in words what was wrong."""

    def __init__(self, script=()):
        self.script = list(script)
        self.lock = threading.Lock()
        self.faults = []
        self.attempts = 0
        # By noticeId: the body without the time of the attempt, and whether it was taken.
        self.known = {}
        # The bodies that were taken, in order, each once.
        self.taken = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                raw = self.rfile.read(int(self.headers["content-length"]))
                status = receiver._judge(raw, self.headers)
                answer = b"{}"
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://{LOOPBACK}:{self.server.server_port}/strict?key=private"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def of(self, sid):
        """What was taken of a recording, or of a channel's session."""
        with self.lock:
            return [body for body in self.taken if body["sid"] == sid]

    def channels(self, name):
        """What was taken of the channels of this name, session by session, in the order of their first events."""
        with self.lock:
            mine = [body for body in self.taken if body["productId"] == 1 and body["payload"]["channelName"] == name]
        sessions = list(dict.fromkeys(body["sid"] for body in mine))
        return [[body for body in mine if body["sid"] == sid] for sid in sessions]

    def wait(self, what, found, seconds=40):
        return wait_for(what, found, seconds)

    def close(self):
        self.server.shutdown()

    def _judge(self, raw, headers):
        with self.lock:
            self.attempts += 1
            try:
                body = self._read(raw, headers)
                self._compare(body)
            except AssertionError as fault:
                self.faults.append(f"{fault}: {raw!r}")
                return 400
            status = self.script.pop(0) if self.script else 200
            if 200 <= status < 300:
                self._take(body)
            return status

    def _read(self, raw, headers):
        """Both schools: over the bytes as they came, and over what a parser makes of them, written again without blanks."""
        assert headers["content-type"].split(";")[0] == "application/json", "the content type"
        body = json.loads(raw.decode("utf-8"))
        again = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
        assert again == raw, "the body is not canonical"
        for form in (raw, again):
            for name, kind in (("agora-signature", hashlib.sha1), ("agora-signature-v2", hashlib.sha256)):
                expected = hmac.new(SECRET.encode(), form, kind).hexdigest()
                assert hmac.compare_digest(headers[name] or "", expected), name
        return body

    def _compare(self, body):
        """What every event must be, and what one that comes again must be."""
        assert 0 < len(body["noticeId"]) <= 64, "noticeId fits 64 characters"
        assert abs(body["notifyMs"] - time.time() * 1000) < 60_000, "notifyMs is the time of the attempt"
        shape = self._recording if body["productId"] == 3 else self._channel
        shape(body)
        same = {**body, "notifyMs": 0}
        first = self.known.setdefault(body["noticeId"], [same, False])
        assert first[0] == same, "a noticeId stands for one event"

    @staticmethod
    def _recording(body):
        assert list(body) == ["noticeId", "productId", "eventType", "notifyMs", "sid", "payload"], "the envelope"
        assert re.fullmatch("[0-9a-f]{32}", body["noticeId"]), "noticeId"
        assert re.fullmatch("[0-9a-f]{32}", body["sid"]) and body["payload"]["sid"] == body["sid"], "sid"
        assert list(body["payload"]) == RECORDING_PAYLOAD, "payload"
        assert next(iter(body["payload"]["details"])) == "msgName", "details"

    @staticmethod
    def _channel(body):
        assert list(body) == ["sid", "noticeId", "productId", "eventType", "notifyMs", "payload"], "the envelope"
        assert body["productId"] == 1 and body["eventType"] in CHANNEL_PAYLOADS, "the event"
        assert re.fullmatch("[0-9A-F]{32}", body["sid"]), "sid"
        assert re.fullmatch(rf"\d+:\d+:{body['eventType']}", body["noticeId"]), "noticeId"
        fields = CHANNEL_PAYLOADS[body["eventType"]].split()
        must = [field for field in fields if not field.startswith("[")]
        may = [field.strip("[]") for field in fields]
        own = list(body["payload"])
        assert [field for field in own if field in must] == must and set(own) <= set(may), f"payload has {own}"

    def _take(self, body):
        known = self.known[body["noticeId"]]
        if known[1]:
            return
        known[1] = True
        if body["productId"] == 3:
            before = [one["payload"]["sequence"] for one in self.taken if one["sid"] == body["sid"]]
            if before and body["payload"]["sequence"] <= before[-1]:
                self.faults.append(f"event {body['payload']['sequence']} after {before[-1]}")
        else:
            before = [one["payload"]["ts"] for one in self.taken if one["sid"] == body["sid"]]
            if before and body["payload"]["ts"] < before[-1]:
                self.faults.append(f"{body} came late")
        self.taken.append(body)


def run_javascript(script, argument):
    result = subprocess.run(["node", "-e", script], input=json.dumps(argument), capture_output=True, text=True, check=True)
    return json.loads(result.stdout)
