"""Silence that a recogniser need not hear again: where a stretch of audio has long pauses.

What is kept of each is enough for the service to end a turn in it, as it would have done, and for
the words on both sides not to be cut. So no pause is left out that still goes on: how long it will
be decides whether the turn is over.
"""

from array import array
from collections.abc import Iterator, Sequence
from heapq import nlargest

from voice_ai.codec.formats import AudioFormat
from voice_ai.codec.g711 import ulaw_decode

FRAME_MS = 20
# Of a pause, in frames. Flux ends a turn after some 260 ms of it (docs/flux/state), half of the
# time; with less than this kept, two turns would be heard as one.
KEPT_AFTER = 400 // FRAME_MS
KEPT_BEFORE = 200 // FRAME_MS
# Below the speech by 30 dB; a telephone's noise is further below, and what is louder stays.
QUIET = 1 / 32
# The speech is as loud as this many frames at least: a click is no speech.
LOUD_FRAMES = 5
# A level needs no more samples, of whatever frequencies.
LEVEL_HZ = 4000


def levels(audio: bytes, form: AudioFormat) -> list[int]:
    """Return how far each whole frame swings, in PCM16's steps.

    Cost: 5 us a frame.
    """
    n_octets = FRAME_MS * form.n_octets_per_ms
    whole = audio[: len(audio) // n_octets * n_octets]
    samples = array("h", ulaw_decode(whole) if form.encoding == "mulaw" else whole)
    samples = samples[:: form.rate_hz // LEVEL_HZ]
    n = FRAME_MS * LEVEL_HZ // 1000
    frames = (samples[at : at + n] for at in range(0, len(samples), n))
    return [max(frame) - min(frame) for frame in frames]


def long_pauses(swings: Sequence[int]) -> list[tuple[int, int]]:
    """Return which frames to leave out, as (from, to); none where there is no speech to tell."""
    loud = nlargest(LOUD_FRAMES, swings)
    limit = QUIET * loud[-1] if len(loud) == LOUD_FRAMES else 0.0
    cuts = ((begin + KEPT_AFTER, end - KEPT_BEFORE) for begin, end in _quiet(swings, limit))
    return [(begin, end) for begin, end in cuts if begin < end]


def _quiet(swings: Sequence[int], limit: float) -> Iterator[tuple[int, int]]:
    """Yield the stretches below a limit that something follows."""
    begin = 0
    for n, swing in enumerate(swings):
        if swing >= limit:
            if n > begin:
                yield begin, n
            begin = n + 1
