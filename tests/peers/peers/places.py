"""Where things are, and free ports to put servers on."""

import socket
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
KEPT = ROOT / "target" / "peers"
PRODUCT = ROOT / "target" / "debug" / "cloud-recorder"
SCREENS = KEPT / "screens"
HLS_JS = ROOT / "src" / "console" / "web" / "node_modules" / "hls.js" / "dist" / "hls.light.min.js"
LOOPBACK = "127.0.0.1"


def free_port(kind=socket.SOCK_STREAM):
    """A port that nobody listens on now."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind((LOOPBACK, 0))
        return probe.getsockname()[1]
