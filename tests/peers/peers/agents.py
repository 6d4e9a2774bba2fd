"""A worker of agents, as a LiveKit server knows them: it counts where the server sends it."""

import asyncio
import concurrent.futures

import aiohttp
from livekit import api
from livekit.protocol import agent as proto

from .livekit_server import KEY, SECRET


class AgentWorker:
    """Registers for every room (ROOM) or every member (PARTICIPANT), takes every job, and does nothing."""

    def __init__(self, crowd, server, kind):
        self.jobs = []
        self.kind = proto.JobType.Value(f"JT_{kind}")
        self.registered = asyncio.Event()
        token = api.AccessToken(KEY, SECRET).with_grants(api.VideoGrants(agent=True)).to_jwt()
        self.task = asyncio.run_coroutine_threadsafe(self._work(f"{server.url}/agent", token), crowd.loop)
        crowd.run(self.registered.wait())
        crowd.talkers.append(self)

    def sent_to(self, room):
        """Whom it was sent to there; an empty name stands for the room."""
        return [job.participant.identity for job in self.jobs if job.room.name == room]

    async def _work(self, url, token):
        async with aiohttp.ClientSession() as session:
            async with session.ws_connect(url, headers={"Authorization": f"Bearer {token}"}) as socket:
                register = proto.RegisterWorkerRequest(type=self.kind, version="1.0.0")
                await self._say(socket, register=register)
                async for frame in socket:
                    await self._hears(socket, proto.ServerMessage.FromString(frame.data))

    async def _hears(self, socket, message):
        if message.HasField("register"):
            self.registered.set()
        if message.HasField("availability"):
            job = message.availability.job
            self.jobs.append(job)
            answer = proto.AvailabilityResponse(job_id=job.id, available=True, participant_identity=f"agent-{job.id}")
            await self._say(socket, availability=answer)

    @staticmethod
    async def _say(socket, **message):
        await socket.send_bytes(proto.WorkerMessage(**message).SerializeToString())

    def leave(self):
        """The server sends jobs to those who are gone without a word, too."""
        self.task.cancel()
        concurrent.futures.wait([self.task], 5)
