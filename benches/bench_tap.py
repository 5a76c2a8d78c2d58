"""A frame of the caller's from the octets of a websocket to 20 ms of PCM16 at 16 kHz that wait.

Beside it websockets' own parser with our reader behind it: the way without a tap. Both end with
80 ms in one piece, as the recogniser takes them.
"""

from collections.abc import Callable
from typing import Any

import pytest
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol

from benches.measuring import Unit, Work
from benches.pipelines import STREAM_SID, message
from benches.speech import speech
from voice_ai.codec import MediaReader, MediaTap, ulaw_encode

FRAME = Frame(Opcode.TEXT, message(ulaw_encode(speech(8000).tobytes())).encode())
OCTETS = FRAME.serialize(mask=True)
# Octets of 80 ms.
PIECE = 2560
# A piece is ready with every fourth frame.
WHOLE = 4
READS = {"20 ms": 1, "80 ms, one read": 4}


def ours(n_frames: int) -> Work:
    tap = MediaTap()
    tap.start(STREAM_SID)
    feed, take = tap.feed, tap.take

    def receive(octets: bytes) -> None:
        rest = feed(octets)
        assert rest is None
        if tap.n_waiting >= PIECE:
            take(PIECE)

    return Work(receive, (OCTETS * n_frames,), whole=WHOLE)


def ours_in_halves(n_frames: int) -> Work:
    """Each read ends in the middle of a frame, which is held."""
    work = ours(n_frames)
    (octets,) = work.args
    at = len(octets) - len(OCTETS) // 2
    work.call(octets[:at])
    return Work(work.call, (octets[at:] + octets[:at],), whole=WHOLE)


def websockets_and_reader(n_frames: int) -> Work:
    protocol, read = ServerProtocol(state=State.OPEN), MediaReader(STREAM_SID).read
    waiting = bytearray()

    def receive(octets: bytes) -> None:
        protocol.receive_data(octets)
        for event in protocol.events_received():
            audio = read(event.data)
            assert audio is not None
            waiting.extend(audio)
        if len(waiting) >= PIECE:
            bytes(waiting[:PIECE])
            del waiting[:PIECE]

    return Work(receive, (OCTETS * n_frames,), whole=WHOLE)


CONTENDERS: dict[str, Callable[[int], Work]] = {
    "ours": ours,
    "ours, frames in halves": ours_in_halves,
    "websockets, our reader": websockets_and_reader,
}


@pytest.mark.parametrize("contender", CONTENDERS)
@pytest.mark.parametrize("size", READS)
def bench_tap(measure: Any, size: str, contender: str) -> None:
    def prepare() -> Work:
        work = CONTENDERS[contender](READS[size])
        for _ in range(WHOLE):
            work.call(*work.args)  # asserts that the frame is taken
        return work

    measure(Unit("octets to 16k", size), contender, prepare)
