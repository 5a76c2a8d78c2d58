"""20 ms of a voice, as a service sends it, to the message for the telephone, its books kept.

Beside the gate, the same by its parts in Python: the transcoder, the writer of frames and the
ledger told of each piece, as what the gate does not let through goes. Nothing is written to a
socket.
"""

from collections.abc import Callable
from typing import Any

import pytest

from benches.measuring import Unit, Work
from benches.pipelines import STREAM_SID
from benches.speech import speech
from voice_ai.codec import MediaWriter, Transcoder, ulaw_encode
from voice_ai.codec._voice_gate import VoiceGate
from voice_ai.codec.formats import PCM16_16K, ULAW_8K, AudioFormat
from voice_ai.turn.playout import Passed, Playout

PIECES: dict[str, tuple[AudioFormat, bytes]] = {
    "PCM16 at 16 kHz": (PCM16_16K, speech(16000).tobytes()),
    "ulaw at 8 kHz": (ULAW_8K, ulaw_encode(speech(8000).tobytes())),
}
# Pieces between two looks at the books: 2 s, as call/speaker.py has it.
PIECES_A_LOOK = 100


class Clock:
    """The line's: it does not move, so all that is sent is played without a break."""

    until_ms = 0.0


def gate(source: AudioFormat, audio: bytes) -> Work:
    voice, ledger = Transcoder(source, ULAW_8K), Playout()
    writer = MediaWriter(STREAM_SID, rate_hz=None)
    made = VoiceGate(
        writer.frame, str.encode, lambda data: None, Clock(), voice.fir, lambda audio: False
    )

    def passed() -> Passed:
        _, stretches, marks = made.take()
        return Passed([(now, n / 8) for now, n in stretches], marks)

    ledger.begin(1, 0.0, passed)
    ledger.sent(1, 20.0, 0.0)

    def look() -> None:
        at = ledger.ahead(1)
        assert at is not None
        made.open(10**6, at.dry_ms, at.label, at.sent_ms, at.mark_ms, at.every_ms)

    def send(piece: bytes) -> None:
        look()
        for _ in range(PIECES_A_LOOK):
            assert made(piece)

    return Work(send, (audio,))


def parts(source: AudioFormat, audio: bytes) -> Work:
    voice, ledger = Transcoder(source, ULAW_8K), Playout()
    frame = MediaWriter(STREAM_SID, rate_hz=None).frame
    ledger.begin(1, 0.0)

    def send(piece: bytes) -> None:
        for _ in range(PIECES_A_LOOK):
            ulaw = voice.convert(piece)
            name = ledger.sent(1, len(ulaw) / 8, 0.0)
            data = frame(ulaw)
            if name:
                data += name.encode()

    return Work(send, (audio,))


CONTENDERS: dict[str, Callable[[AudioFormat, bytes], Work]] = {
    "the gate": gate,
    "its parts": parts,
}


@pytest.mark.parametrize("contender", CONTENDERS)
@pytest.mark.parametrize("size", PIECES)
def bench_gate(measure: Any, size: str, contender: str) -> None:
    measure(
        Unit("2 s of voice, 20 ms a piece", size),
        contender,
        lambda: CONTENDERS[contender](*PIECES[size]),
    )
