"""Something like speech: a voice whose pitch glides, with three formants, in syllables. Coders take it for speech, which no tone is."""

import numpy

from .sound import RATE

# After so long it says the same again, without a click.
LENGTH = 10 * RATE


def _said():
    time = numpy.arange(LENGTH) / RATE
    turns = 2 * numpy.pi * time
    pitch = 125 + 25 * numpy.sin(0.7 * turns)
    phase = 125 * turns - 25 / 0.7 * numpy.cos(0.7 * turns)

    def formants(hertz):
        return sum(weight / (1 + ((hertz - centre) / 180) ** 2) for centre, weight in ((500, 1), (1_500, 0.4), (2_600, 0.2)))

    voice = sum(formants(pitch * k) * numpy.sin(phase * k) for k in range(1, 26))
    return 0.15 * (0.55 + 0.45 * numpy.sin(3.1 * turns)) * voice


SAID = _said()


def samples(position, count):
    """What is said from a sample on."""
    return SAID[(position + numpy.arange(count)) % LENGTH]
