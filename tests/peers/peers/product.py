"""The product as its user runs it: the built binary with a configuration file, and its REST API over HTTP."""

import json
import secrets
import socket
import time

import requests
from livekit import api

from . import livekit_server
from .bucket import Bucket
from .callbacks import SECRET
from .places import LOOPBACK, PRODUCT, free_port
from .program import Program, wait_for

# An app whose channels are on the embedded channel server, and one whose channels are on a LiveKit server.
EMBEDDED = "0123456789abcdef0123456789abcdef"
ELSEWHERE = "fedcba9876543210fedcba9876543210"
# One of whose LiveKit rooms the recorder stays outside while nobody is in them.
WATCHING = "a1b2c3d4e5f60718293a4b5c6d7e8f90"
CERTIFICATE = "00112233445566778899aabbccddeeff"
SEGMENT_SECONDS = 2


class Product:
    def __init__(self, folder, callback_url, livekit=None, app_keys=""):
        """`app_keys` are more lines for the embedded app."""
        self.port, self.bucket_port = free_port(), free_port()
        self.data = folder / "data"
        secret = secrets.token_hex(16)
        apps = [(EMBEDDED, '"embedded"')]
        if livekit:
            keys = f'api_key = "{livekit_server.KEY}", api_secret = "{livekit_server.SECRET}"'
            for app, idle_room in ((ELSEWHERE, "hold"), (WATCHING, "watch")):
                channel = f'{{ livekit = {{ url = "{livekit.recorder_url}", {keys}, idle_room = "{idle_room}" }} }}'
                apps.append((app, channel))
        sections = [
            f"""
[server]
listen = "{LOOPBACK}:{self.port}"
data_dir = {json.dumps(str(self.data))}

[recording]
segment_seconds = {SEGMENT_SECONDS}

[channel_server]
udp_listen = "{LOOPBACK}:{free_port(socket.SOCK_DGRAM)}"

[bucket]
enabled = true
listen = "{LOOPBACK}:{self.bucket_port}"
name = "recordings"
access_key = "peers"
secret_key = "{secret}"
public_read = true
"""
        ]
        for app, channel in apps:
            customer = customer_of(app)
            sections.append(
                f"""
[[apps]]
id = "{app}"
certificate = "{CERTIFICATE}"
customer_id = "{customer[0]}"
customer_secret = "{customer[1]}"
callback_url = "{callback_url}"
callback_secret = "{SECRET}"
channel = {channel}
allow_private_endpoints = true
{app_keys if app == EMBEDDED else ""}
"""
            )
        self.config = config = folder / "product.toml"
        config.write_text("".join(sections))
        self.origin = f"http://{LOOPBACK}:{self.port}"
        self.program = Program("cloud-recorder", [PRODUCT, "serve", "--config", config], folder / "product.log", self._answers)
        self.program.start()
        self.bucket = Bucket(f"http://{LOOPBACK}:{self.bucket_port}", "recordings", "peers", secret)

    @property
    def url(self):
        """The embedded channel server's."""
        return f"ws://{LOOPBACK}:{self.port}"

    def _answers(self):
        try:
            return requests.get(f"{self.origin}/room", timeout=2).ok
        except requests.RequestException:
            return False

    def token(self, room, identity):
        """A LiveKit token of the embedded app: its id is the key, its certificate the secret."""
        grants = api.VideoGrants(room_join=True, room=room)
        return api.AccessToken(EMBEDDED, CERTIFICATE).with_identity(identity).with_grants(grants).to_jwt()

    def record(self, cname, mode, bucket=None, app=EMBEDDED, **recording_config):
        """Acquires and starts; returns the running recording."""
        return Recording(self, cname, mode, bucket or self.bucket, app, recording_config)

    def stop(self):
        return self.program.stop()


class Recording:
    def __init__(self, product, cname, mode, bucket, app, recording_config):
        self.product, self.mode, self.bucket, self.app = product, mode, bucket, app
        self.who = {"cname": cname, "uid": str(2_000_000_000 + secrets.randbelow(100_000_000))}
        self.prefix = f"peers{secrets.token_hex(4)}"
        config = {"channelType": 0, "streamTypes": 0, "maxIdleTime": 60, **recording_config}
        if mode == "individual":
            config = {"streamMode": "original", "subscribeUidGroup": 0, **config}
        acquired = self.post("acquire", {"scene": 0, "resourceExpiredHour": 24})
        self.resource = f"resourceid/{acquired['resourceId']}"
        asked = time.time()
        started = self.post(
            f"{self.resource}/mode/{mode}/start",
            {
                "recordingConfig": config,
                "recordingFileConfig": {"avFileType": ["hls"]},
                "storageConfig": bucket.storage_config(self.prefix),
            },
        )
        self.sid, self.window = started["sid"], (asked, time.time())

    def post(self, path, client_request, expected=(200,)):
        answer = requests.post(self._url(path), json={**self.who, "clientRequest": client_request}, auth=customer_of(self.app), timeout=30)
        assert answer.status_code in expected, f"{path}: {answer.status_code} {answer.text}"
        return answer.json()

    def query(self):
        """HTTP status and body."""
        answer = requests.get(self._url(f"{self.resource}/sid/{self.sid}/mode/{self.mode}/query"), auth=customer_of(self.app), timeout=10)
        return answer.status_code, answer.json()

    def stop(self, late=False):
        """Stops, and returns the answer and the wall time at which it was asked for. `late`: what is in the bucket may take longer
        than an answer, as after an outage."""
        at = time.time()
        expected = (200, 206) if late else (200,)
        answer = self.post(f"{self.resource}/sid/{self.sid}/mode/{self.mode}/stop", {"async_stop": False}, expected)
        return answer, at

    def finish(self, folder, seconds=40, late=False):
        """Stops, waits until everything is in the bucket, checks it and the callbacks, and returns what was recorded."""
        answer, at = self.stop(late)
        return self.collect(folder, at, seconds), answer

    def collect(self, folder, stopped_at, seconds=40):
        recorded = wait_for("the manifest in the bucket", lambda: self._fetched(folder), seconds)
        recorded.check()
        for playlist in recorded.playlists:
            assert self.window[0] - 0.5 <= playlist.start <= self.window[1] + 0.5, "the timeline starts with the session"
            length = stopped_at - playlist.start
            assert abs(playlist.seconds - length) < 1.5, f"{playlist.seconds:.2f} s of playlist for {length:.2f} s of session"
        return recorded

    def _fetched(self, folder):
        recorded = self.bucket.fetch(f"{self.prefix}/", folder)
        # The digest is a recording's last object.
        done = any(name.endswith("_manifest.sha256") for name in recorded.names)
        return recorded if done and all(playlist.finished for playlist in recorded.playlists) else None

    def _url(self, path):
        return f"{self.product.origin}/v1/apps/{self.app}/cloud_recording/{path}"


def customer_of(app):
    """REST credentials."""
    return f"customer-{app[:4]}", "customer-secret"
