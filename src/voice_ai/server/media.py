"""The connection under a media stream: audio is taken from the octets, the rest is the library's.

A caller's frame of 20 ms that is plain becomes samples in the extension, in the very read that
brought it: no message, no queue, no task. Handshake, pings, closing, and every message that is not
beyond doubt a plain frame of the stream, go to websockets, octet for octet.
"""

from collections.abc import Callable
from typing import Any

from websockets.asyncio.server import ServerConnection
from websockets.protocol import State

from voice_ai.codec import MediaTap
from voice_ai.codec._voice_gate import VoiceGate
from voice_ai.codec.formats import PCM16_8K, PCM16_16K, PCM16_24K, ULAW_8K, AudioFormat

# What the tap makes of µ-law at 8 kHz; None leaves it.
RATES_HZ = {ULAW_8K: None, PCM16_8K: 8000, PCM16_16K: 16000, PCM16_24K: 24000}


class MediaConnection(ServerConnection):
    """A ServerConnection whose media frames are taken, once `take_media` was called.

    Its `data_received` is the tap's own, which calls the library's for the rest. The octets of the
    handshake are for the library alone: whoever has them calls `ServerConnection.data_received`.
    """

    # More attributes than 30 in one dict, and it shares no keys with others: 0.5 KB a connection.
    __slots__ = ("data_received", "gate", "tap")

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.tap = MediaTap()
        self.tap.passes = super().data_received
        self.gate: VoiceGate | None = None
        setattr(self, "data_received", self.tap.data_received)  # noqa: B010 (a method to mypy)

    def take_media(
        self,
        stream_sid: str,
        target: AudioFormat,
        n_octets: int,
        arrived: Callable[[], None],
        told: Callable[[bytes], bool],
    ) -> MediaTap | None:
        """Take this stream's media frames from now on; None if they cannot become `target`.

        `arrived` is called when some came and so many octets of audio wait; `told` is offered
        echoes of marks.
        """
        self.tap.told = told
        if target not in RATES_HZ:
            return None
        self.tap.arrived = arrived
        self.tap.wanted = n_octets
        self.tap.start(stream_sid, rate_hz=RATES_HZ[target])
        return self.tap

    def pause_writing(self) -> None:
        """Let nothing through while the kernel takes nothing."""
        self._shut()
        super().pause_writing()

    def send_data(self) -> None:
        """Write what the library has; behind a close frame nothing may follow."""
        if self.protocol.state is not State.OPEN:
            self._shut()
        super().send_data()

    def _shut(self) -> None:
        if self.gate is not None:
            self.gate.shut()
