"""The product with no configuration file: the development server."""

import socket

import requests

from .places import LOOPBACK, PRODUCT, free_port
from .program import Program


class DevelopmentServer:
    def __init__(self, folder, app_keys=""):
        """`app_keys` are more lines for the app in the configuration that the server made itself."""
        self.origin = f"http://{LOOPBACK}:{free_port()}"
        env = {
            "CLOUD_RECORDER__SERVER__LISTEN": self.origin.removeprefix("http://"),
            "CLOUD_RECORDER__RECORDING__SEGMENT_SECONDS": "2",
            "CLOUD_RECORDER__CHANNEL_SERVER__UDP_LISTEN": f"{LOOPBACK}:{free_port(socket.SOCK_DGRAM)}",
            "CLOUD_RECORDER__BUCKET__LISTEN": f"{LOOPBACK}:{free_port()}",
        }
        self.program = Program(
            "cloud-recorder", [PRODUCT, "serve", "--data-dir", folder / "data"], folder / "development.log", self._answers, env
        ).start()
        if app_keys:
            self.stop()
            file = folder / "data" / "development.toml"
            file.write_text(file.read_text().replace("[apps.storage]", f"{app_keys}\n[apps.storage]"))
            self.program.start()

    def _answers(self):
        try:
            return requests.get(f"{self.origin}/room", timeout=2).ok
        except requests.RequestException:
            return False

    def stop(self):
        self.program.stop()
