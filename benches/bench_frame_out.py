"""A frame of ours: 20 ms of PCM16 at 16 or 24 kHz to the text of a message.

Beside it one call of libsoxr in C, for the measure, and pipelines of separate libraries.
"""

from typing import Any

import pytest

from benches.measuring import Unit, Work
from benches.pipelines import HEAD, PIPELINES, STREAM_SID, TAIL, writer
from benches.resamplers import BARE
from benches.speech import FRAMES_A_SECOND, speech
from voice_ai.codec.frames import MediaWriter

RATES = {"16k to message": 16000, "24k to message": 24000}
N_ROOM = 1024


def ours(in_rate: int) -> Work:
    return Work(MediaWriter(STREAM_SID, rate_hz=in_rate).message, (speech(in_rate).tobytes(),))


def ours_into(in_rate: int) -> Work:
    into = MediaWriter(STREAM_SID, rate_hz=in_rate).message_into
    return Work(into, (speech(in_rate).tobytes(), bytearray(N_ROOM)))


def ours_framed(in_rate: int) -> Work:
    return Work(MediaWriter(STREAM_SID, rate_hz=in_rate).messages, (speech(in_rate).tobytes(),))


def soxr_c_call(in_rate: int) -> Work:
    stream = BARE["soxr HQ, C call"].open(in_rate, 8000)
    return Work(stream.call, (speech(in_rate).tobytes(), *stream.more), whole=FRAMES_A_SECOND)


OURS = {"ours": ours, "ours, into": ours_into, "ours, websocket frame": ours_framed}
CONTENDERS = [*OURS, "one soxr HQ call in C", *PIPELINES]


def work_of(contender: str, in_rate: int) -> Work:
    if contender in OURS:
        return OURS[contender](in_rate)
    if contender in PIPELINES:
        resampler, fast = PIPELINES[contender]
        call = writer(resampler, in_rate, fast=fast)
        return Work(call, (speech(in_rate).tobytes(),), whole=FRAMES_A_SECOND)
    return soxr_c_call(in_rate)


@pytest.mark.parametrize("contender", CONTENDERS)
@pytest.mark.parametrize("job", RATES)
def bench_frame_out(measure: Any, job: str, contender: str) -> None:
    def prepare() -> Work:
        work = work_of(contender, RATES[job])
        if contender == "ours":
            text = work.call(*work.args)
            assert text.startswith(HEAD) and text.endswith(TAIL)
        return work

    measure(Unit(job, "20 ms"), contender, prepare)
