"""A frame of the caller's: the text of a message to 20 ms of PCM16 at 16 kHz, or its µ-law octets.

Beside it one call of libsoxr in C, for the measure, and pipelines of separate libraries.
"""

from collections.abc import Callable
from typing import Any

import pytest

from benches.measuring import Unit, Work
from benches.pipelines import PIPELINES, STREAM_SID, message, reader
from benches.resamplers import BARE
from benches.speech import FRAMES_A_SECOND, speech
from voice_ai.codec import ulaw_encode
from voice_ai.codec.frames import MediaReader

TEXT = message(ulaw_encode(speech(8000).tobytes()))


def ours() -> Work:
    return Work(MediaReader(STREAM_SID).read, (TEXT,))


def ours_into() -> Work:
    return Work(MediaReader(STREAM_SID).read_into, (TEXT, bytearray(640)))


def ours_untouched() -> Work:
    return Work(MediaReader(STREAM_SID, rate_hz=None).read, (TEXT,))


def soxr_c_call() -> Work:
    stream = BARE["soxr HQ, C call"].open(8000, 16000)
    return Work(stream.call, (speech(8000).tobytes(), *stream.more), whole=FRAMES_A_SECOND)


def pipeline(name: str) -> Callable[[], Work]:
    resampler, fast = PIPELINES[name]
    return lambda: Work(reader(resampler, fast=fast), (TEXT,), whole=FRAMES_A_SECOND)


CONTENDERS = {
    "ours": ours,
    "ours, into": ours_into,
    "ours, µ-law untouched": ours_untouched,
    "one soxr HQ call in C": soxr_c_call,
    **{name: pipeline(name) for name in PIPELINES},
}


@pytest.mark.parametrize("contender", CONTENDERS)
def bench_frame_in(measure: Any, contender: str) -> None:
    def prepare() -> Work:
        work = CONTENDERS[contender]()
        if contender.startswith("ours"):
            # A message that is not taken costs next to nothing.
            assert work.call(*work.args) not in (None, -1)
        return work

    measure(Unit("message to 16k", "20 ms"), contender, prepare)
