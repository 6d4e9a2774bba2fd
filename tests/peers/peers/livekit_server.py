"""A real LiveKit server on loopback, its room administration, and a way to cut its signalling sockets."""

import asyncio
import json
import socket

import requests
from livekit import api

from .places import KEPT, LOOPBACK, free_port
from .program import Program
from .proxy import Proxy

BINARY = KEPT / "bin" / "livekit-server"
KEY, SECRET = "devkey", "a-secret-of-more-than-thirty-two-characters"


class LiveKitServer:
    def __init__(self, folder, **more):
        """`more` are further sections of its configuration."""
        self.port, tcp, udp = free_port(), free_port(), free_port(socket.SOCK_DGRAM)
        config = {
            "port": self.port,
            "bind_addresses": [LOOPBACK],
            "rtc": {
                "tcp_port": tcp,
                "udp_port": udp,
                "use_external_ip": False,
                "node_ip": LOOPBACK,
                "enable_loopback_candidate": True,
                "interfaces": {"includes": ["lo"]},
                "stun_servers": [],
            },
            "keys": {KEY: SECRET},
            **more,
        }
        # JSON is YAML.
        (folder / "livekit.yaml").write_text(json.dumps(config))
        self.program = Program(
            "livekit-server", [BINARY, "--config", folder / "livekit.yaml"], folder / "livekit.log", self._answers
        ).start()
        self.proxy = Proxy(self.port)

    def _answers(self):
        try:
            return requests.get(f"http://{LOOPBACK}:{self.port}/", timeout=2).ok
        except requests.RequestException:
            return False

    @property
    def url(self):
        """Where publishers go."""
        return f"ws://{LOOPBACK}:{self.port}"

    @property
    def recorder_url(self):
        """Where the product goes: through the proxy, whose connections a test can reset."""
        return f"ws://{LOOPBACK}:{self.proxy.port}"

    def token(self, room, identity):
        grants = api.VideoGrants(room_join=True, room=room)
        return api.AccessToken(KEY, SECRET).with_identity(identity).with_grants(grants).to_jwt()

    def remove(self, room, identity):
        return self._administer(lambda lk: lk.room.remove_participant(api.RoomParticipantIdentity(room=room, identity=identity)))

    def delete(self, room):
        return self._administer(lambda lk: lk.room.delete_room(api.DeleteRoomRequest(room=room)))

    def room(self, room):
        """The room as the server has it, or nothing."""
        answer = self._administer(lambda lk: lk.room.list_rooms(api.ListRoomsRequest(names=[room])))
        return answer.rooms[0] if answer.rooms else None

    def participants(self, room):
        answer = self._administer(lambda lk: lk.room.list_participants(api.ListParticipantsRequest(room=room)))
        return [member.identity for member in answer.participants]

    def _administer(self, call):
        async def run():
            async with api.LiveKitAPI(f"http://{LOOPBACK}:{self.port}", KEY, SECRET) as lk:
                return await call(lk)

        return asyncio.run(run())

    def stop(self):
        self.proxy.close()
        # Asked politely it would wait for its rooms to empty.
        self.program.kill()
