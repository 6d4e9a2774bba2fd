"""A voice that names its own time: another frequency every 200 ms, none twice within 12.2 s. Times are wall-clock seconds."""

import numpy

from .sound import RATE

STEP = 0.2
STEPS = 61
GRAIN = 0.02
SILENT = 0.01


def hertz(wall):
    """The frequency at a time; steps side by side are a kilohertz apart or more."""
    return 600 + 50 * ((numpy.floor(numpy.asarray(wall) / STEP + 1e-6).astype(int) * 23) % STEPS)


def samples(wall, count):
    """The voice from `wall` on. Every step is a whole number of waves, so that none begins with a click."""
    times = wall + numpy.arange(count) / RATE
    return 0.25 * numpy.sin(2 * numpy.pi * hertz(times) * (times % STEP))


class Heard:
    """The voice in a decoded playlist that begins at `start`."""

    def __init__(self, sound, start):
        self.samples, self.start = sound.samples, start

    def silences(self, shortest=0.05):
        """Where nothing is heard, as (from, to)."""
        size = int(GRAIN * RATE)
        count = len(self.samples) // size
        power = numpy.square(self.samples[: count * size].astype(numpy.float64)).reshape(count, size).mean(axis=1)
        found = []
        for index in numpy.flatnonzero(numpy.sqrt(power) < SILENT):
            start, end = self.start + index * GRAIN, self.start + (index + 1) * GRAIN
            if found and start - found[-1][1] < GRAIN / 2:
                found[-1][1] = end
            else:
                found.append([start, end])
        return [(start, end) for start, end in found if end - start >= shortest]

    def lags(self, silences, furthest=0.6):
        """How much later than said each change of step is heard, with its time; only those far from any silence."""
        lags = []
        first = int(numpy.ceil(self.start / STEP)) + 4
        last = int((self.start + len(self.samples) / RATE) / STEP) - 5
        for step in range(first, last):
            change = step * STEP
            if all(end < change - furthest or change + furthest < start for start, end in silences):
                lags.append((change, self._lag(change, furthest)))
        return lags

    def _lag(self, change, furthest):
        before, after = hertz(change - STEP / 2), hertz(change + STEP / 2)
        for lag in numpy.arange(-0.1, furthest, 0.005):
            early, late = self._level(change + lag - 0.03, before), self._level(change + lag + 0.01, after)
            if late > 0.1 and early > 0.1 and self._level(change + lag + 0.01, before) < 0.1:
                return float(lag)
        return None

    def _level(self, wall, frequency):
        at = int((wall - self.start) * RATE)
        part = self.samples[max(at, 0) : at + int(GRAIN * RATE)]
        if len(part) == 0:
            return 0.0
        window = numpy.hanning(len(part))
        wave = numpy.exp(-2j * numpy.pi * frequency * numpy.arange(len(part)) / RATE)
        return float(2 * abs(numpy.dot(part * window, wave)) / window.sum())
