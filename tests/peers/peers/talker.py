"""Members of a channel that speak a sine or the staircase, through the Python LiveKit SDK."""

import asyncio
import threading
import time

import numpy
from livekit import rtc

from . import staircase, voice
from .sound import RATE

FRAME = RATE // 50
# What the SDK holds of a voice before it is sent; after a longer pause it sends silence.
QUEUE_MS = 100


class Crowd:
    """Runs talkers on an event loop of its own, so that tests stay plain functions."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.talkers = []

    def run(self, coroutine, seconds=30):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(seconds)

    def join(self, url, token, tone=None, staircase=False, turns=None, voiced=False, **options):
        async def enter():
            # On the loop: the SDK binds a room to the loop that it is made on.
            talker = Talker(self, tone, staircase, turns, voiced)
            await talker.enter(url, token, **options)
            return talker

        talker = self.run(enter())
        self.talkers.append(talker)
        return talker

    def close(self):
        for talker in self.talkers:
            talker.leave()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(5)


class Talker:
    def __init__(self, crowd, tone, staircase=False, turns=None, voiced=False):
        """`turns`: speaks in these stretches alone, in seconds after the publication, and sends nothing in between."""
        self.crowd, self.tone, self.staircase, self.turns, self.voiced = crowd, tone, staircase, turns, voiced
        self.room = rtc.Room(loop=crowd.loop)
        self.source = self.publication = self.voice = self.shared = None
        self.left = None
        self.recorded = False
        # When it was kept from speaking, by a busy machine: (from, to) wall times.
        self.stalls = []
        self.seen = set()
        self.connects = 0
        self.room.on("disconnected", lambda reason: setattr(self, "left", reason))
        self.room.on("participant_connected", lambda member: self.seen.add(member.identity))
        self.room.on("reconnected", lambda: setattr(self, "connects", self.connects + 1))

    async def enter(self, url, token, dtx=True, red=True, bit_rate=None, secret=None):
        """`secret`: end-to-end encrypted with it."""
        options = rtc.RoomOptions()
        if secret:
            options.encryption = rtc.E2EEOptions(key_provider_options=rtc.KeyProviderOptions(shared_key=secret))
        await self.room.connect(url, token, options)
        self.connects += 1
        self.seen |= {member.identity for member in self.room.remote_participants.values()}
        if self.tone or self.staircase or self.voiced:
            await self._publish(dtx, red, bit_rate)

    async def _publish(self, dtx, red, bit_rate):
        self.source = rtc.AudioSource(RATE, 1, queue_size_ms=QUEUE_MS)
        self.track = rtc.LocalAudioTrack.create_audio_track("voice", self.source)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE, dtx=dtx, red=red)
        if bit_rate:
            options.audio_encoding.max_bitrate = bit_rate
        self.publication = await self.room.local_participant.publish_track(self.track, options)
        self.voice = asyncio.ensure_future(self._speak())

    async def _speak(self):
        begin, position = time.time(), 0
        spoken = begin
        while True:
            now = time.time()
            if self.turns is not None and not any(start <= now - begin < end for start, end in self.turns):
                await asyncio.sleep(FRAME / RATE)
                spoken = time.time()
                continue
            if now - spoken > QUEUE_MS / 1000:
                self.stalls.append((spoken, now))
            spoken = now
            if self.staircase:
                sound = staircase.samples(begin + position / RATE, FRAME)
            elif self.voiced:
                sound = voice.samples(position, FRAME)
            else:
                sound = 0.25 * numpy.sin(2 * numpy.pi * self.tone * (position + numpy.arange(FRAME)) / RATE)
            samples = (32767 * sound).astype("<i2").tobytes()
            await self.source.capture_frame(rtc.AudioFrame(samples, RATE, 1, FRAME))
            position += FRAME

    def share(self, tone=None):
        """Shares the sound of a tab beside the microphone: a tone, or silence."""

        async def go():
            source = rtc.AudioSource(RATE, 1, queue_size_ms=QUEUE_MS)
            track = rtc.LocalAudioTrack.create_audio_track("tab", source)
            options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_SCREENSHARE_AUDIO, dtx=True)
            await self.room.local_participant.publish_track(track, options)
            self.shared = (source, track, asyncio.ensure_future(play(source)))

        async def play(source):
            position = 0
            while True:
                wave = 0.25 * numpy.sin(2 * numpy.pi * (tone or 0) * (position + numpy.arange(FRAME)) / RATE)
                await source.capture_frame(rtc.AudioFrame((32767 * wave).astype("<i2").tobytes(), RATE, 1, FRAME))
                position += FRAME

        self.crowd.run(go())

    def mute(self):
        self.crowd.run(self._call(self.track.mute))

    def unmute(self):
        self.crowd.run(self._call(self.track.unmute))

    @staticmethod
    async def _call(function):
        function()

    @property
    def told_recorded(self):
        return self.room.is_recording

    def back(self):
        """Whether it lost the channel and found it again."""
        return self.connects > 1 and self.room.isconnected()

    def leave(self):
        async def go():
            for playing in [self.voice, self.shared and self.shared[2]]:
                if playing:
                    playing.cancel()
            await self.room.disconnect()

        self.crowd.run(go())
