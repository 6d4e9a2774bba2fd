"""A way between one client and a channel server that can be cut, hold media back, or lose some: signalling and UDP.

The client sees the server's candidates with the ports of this way, and the server sees none of the client's, so that all media take it.
Signalling is version 0 of LiveKit's protocol; a client that asks for version 1 is told that there is none.
"""

import asyncio
import json
import re
import socket
import threading

import aiohttp
from aiohttp import web
from livekit.protocol import rtc

from .places import LOOPBACK, free_port

CANDIDATE = re.compile(r"candidate:(\S+ \d+) (udp) (\d+) (\S+) (\d+) typ host", re.IGNORECASE)
RECEIVE_BUFFER = 4 << 20


class Interference:
    def __init__(self, target):
        """`target` is the port of the server's signalling."""
        self.target, self.port = target, free_port()
        self.ways = {}
        self.held = self.every = None
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self._run(self._start())

    @property
    def url(self):
        return f"ws://{LOOPBACK}:{self.port}"

    def cut(self):
        """Nothing passes any more, in either direction, and nobody is told."""
        self._run(self._set(False))

    def mend(self):
        """Everything passes again. Datagrams of meanwhile are lost; what was said over signalling is late."""
        self._run(self._set(True))

    def lose(self, every):
        """From now on one in so many of the client's packets of sound is lost, however often it is sent."""
        self.every = every

    def hold(self):
        """Keeps the client's RTP back until [release]."""
        self.held = []

    def release(self):
        """Sends what was kept back, all at once, and keeps nothing any more; how many packets."""

        async def go():
            held, self.held = self.held, None
            for send, data in held:
                send(data)
            return len(held)

        return self._run(go())

    def close(self):
        self._run(self._stop())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(5)

    def _run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(20)

    async def _start(self):
        self.open = asyncio.Event()
        self.open.set()
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._handle)
        self.client = aiohttp.ClientSession()
        self.runner = web.AppRunner(app)
        await self.runner.setup()
        await web.TCPSite(self.runner, LOOPBACK, self.port, shutdown_timeout=1).start()

    async def _stop(self):
        self.open.set()
        await self.client.close()
        await self.runner.cleanup()
        for way in self.ways.values():
            way.close()

    async def _set(self, is_open):
        (self.open.set if is_open else self.open.clear)()

    async def _handle(self, request):
        await self.open.wait()
        origin = f"http://{LOOPBACK}:{self.target}"
        headers = {name: value for name, value in request.headers.items() if name.lower() == "authorization"}
        if request.path.startswith("/rtc/v1"):
            return web.Response(status=404)
        if request.headers.get("upgrade", "").lower() != "websocket":
            async with self.client.get(f"{origin}{request.path_qs}", headers=headers) as answer:
                return web.Response(status=answer.status, body=await answer.read())
        try:
            server = await self.client.ws_connect(f"{origin}{request.path_qs}", headers=headers)
        except aiohttp.WSServerHandshakeError as error:
            return web.Response(status=error.status)
        client = web.WebSocketResponse()
        await client.prepare(request)
        both = [
            asyncio.ensure_future(self._pass(client, server, self._asked)),
            asyncio.ensure_future(self._pass(server, client, self._told)),
        ]
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        for one in both:
            one.cancel()
        await server.close()
        await client.close()
        return client

    async def _pass(self, source, sink, change):
        async for message in source:
            if message.type != aiohttp.WSMsgType.BINARY:
                continue
            data = await change(message.data)
            await self.open.wait()
            if data is not None:
                await sink.send_bytes(data)

    async def _asked(self, data):
        """What the client sends: without its candidates."""
        request = rtc.SignalRequest.FromString(data)
        kind = request.WhichOneof("message")
        if kind == "trickle":
            return None
        if kind in ("offer", "answer"):
            said = getattr(request, kind)
            said.sdp = "".join(line for line in said.sdp.splitlines(True) if not line.startswith("a=candidate"))
        return request.SerializeToString()

    async def _told(self, data):
        """What the server sends: with our ports, and UDP alone."""
        response = rtc.SignalResponse.FromString(data)
        kind = response.WhichOneof("message")
        if kind == "trickle":
            init = json.loads(response.trickle.candidateInit)
            if init.get("candidate"):
                init["candidate"] = await self._ours(init["candidate"])
                if init["candidate"] is None:
                    return None
            response.trickle.candidateInit = json.dumps(init)
        elif kind in ("offer", "answer"):
            said = getattr(response, kind)
            lines = []
            for line in said.sdp.splitlines(True):
                if line.startswith("a=candidate"):
                    line = await self._ours(line)
                lines.append(line or "")
            said.sdp = "".join(lines)
        return response.SerializeToString()

    async def _ours(self, candidate):
        found = CANDIDATE.search(candidate)
        if not found:
            return None
        port = int(found[5])
        if port not in self.ways:
            self.ways[port] = await Way.open(self, port)
        ours = f"candidate:{found[1]} {found[2]} {found[3]} {LOOPBACK} {self.ways[port].port} typ host"
        return candidate[: found.start()] + ours + candidate[found.end() :]


class Way(asyncio.DatagramProtocol):
    """Datagrams between the client and one port of the server; each of the client's addresses has a socket of its own."""

    def __init__(self, between, server):
        self.between, self.server, self.upstream = between, (LOOPBACK, server), {}

    @classmethod
    async def open(cls, between, server):
        way = cls(between, server)
        await asyncio.get_running_loop().create_datagram_endpoint(lambda: way, sock=_socket())
        return way

    def connection_made(self, transport):
        self.client = transport
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data, address):
        if not self.between.open.is_set():
            return
        if address not in self.upstream:
            self.upstream[address] = up = Up(self, address)
            asyncio.ensure_future(asyncio.get_running_loop().create_datagram_endpoint(lambda: up, sock=_socket()))
        up = self.upstream[address]
        if self.between.every and is_rtp(data) and int.from_bytes(data[2:4], "big") % self.between.every == 0:
            return
        if self.between.held is not None and is_rtp(data):
            self.between.held.append((up.send, data))
        else:
            up.send(data)

    def close(self):
        for up in [self, *self.upstream.values()]:
            transport = up.client if up is self else up.transport
            if transport:
                transport.close()


class Up(asyncio.DatagramProtocol):
    def __init__(self, way, address):
        self.way, self.address, self.transport, self.early = way, address, None, []

    def connection_made(self, transport):
        self.transport = transport
        for data in self.early:
            self.send(data)

    def send(self, data):
        if self.transport is None:
            self.early.append(data)
        else:
            self.transport.sendto(data, self.way.server)

    def datagram_received(self, data, _):
        if self.way.between.open.is_set():
            self.way.client.sendto(data, self.address)


def is_rtp(data):
    """RTP and not RTCP (RFC 5761 section 4)."""
    return len(data) > 1 and 128 <= data[0] < 192 and not 64 <= data[1] & 0x7F < 96


def _socket():
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
    made.setblocking(False)
    made.bind((LOOPBACK, 0))
    return made
