"""Listening to recordings: decode with ffmpeg, find tones with numpy."""

import subprocess

import numpy

RATE = 48_000


def decode(playlist):
    """The playlist's sound as mono samples at 48 kHz. Any word of complaint by ffmpeg is a failure."""
    command = ["ffmpeg", "-nostdin", "-hide_banner", "-v", "warning", "-i", str(playlist)]
    command += ["-f", "f32le", "-ac", "1", "-ar", str(RATE), "-"]
    result = subprocess.run(command, capture_output=True, timeout=120)
    complaints = result.stderr.decode(errors="replace").strip()
    assert result.returncode == 0 and not complaints, f"ffmpeg on {playlist}: {complaints}"
    return numpy.frombuffer(result.stdout, dtype="<f4")


class Sound:
    """Samples and where tones are in them. Times are seconds since the recording's start."""

    WINDOW = 0.1

    def __init__(self, samples):
        self.samples = samples

    @classmethod
    def of(cls, playlist):
        return cls(decode(playlist))

    @property
    def seconds(self):
        return len(self.samples) / RATE

    def level(self, tone, start, end):
        """Amplitude of a tone between two times, 0 to 1: the median over windows, so that one bad window does not decide."""
        levels = self._levels(tone)
        first, last = int(start / self.WINDOW), int(end / self.WINDOW)
        assert last > first and last <= len(levels), f"{start} to {end} s is not within {self.seconds:.2f} s"
        return float(numpy.median(levels[first:last]))

    def spans(self, tone, threshold=0.02, join=0.35):
        """When a tone is heard: (start, end) pairs; breaks up to `join` seconds do not count."""
        spans = []
        for index, level in enumerate(self._levels(tone)):
            if level < threshold:
                continue
            start, end = index * self.WINDOW, (index + 1) * self.WINDOW
            if spans and start - spans[-1][1] <= join:
                spans[-1][1] = end
            else:
                spans.append([start, end])
        return [tuple(span) for span in spans if span[1] - span[0] > 2.5 * self.WINDOW]

    def loudness(self, start, end):
        """Root mean square between two times."""
        part = self.samples[int(start * RATE) : int(end * RATE)]
        return float(numpy.sqrt(numpy.mean(numpy.square(part, dtype=numpy.float64)))) if len(part) else 0.0

    def _levels(self, tone):
        size = int(self.WINDOW * RATE)
        count = len(self.samples) // size
        windows = self.samples[: count * size].reshape(count, size)
        wave = numpy.exp(-2j * numpy.pi * tone * numpy.arange(size) / RATE) * numpy.hanning(size)
        return numpy.abs(windows @ wave) * 2 / numpy.hanning(size).sum()
