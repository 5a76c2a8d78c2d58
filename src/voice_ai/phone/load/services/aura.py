"""A fake Aura for many connections (`/v1/speak`): prepared audio, in pieces that are due."""

from functools import partial
from time import monotonic

from picows import WSFrame, WSListener, WSMsgType, WSTransport

from voice_ai.codec.formats import AudioFormat
from voice_ai.phone.load.services.measured import Measured
from voice_ai.phone.load.services.pacing import EARLY_S, Pacer
from voice_ai.phone.load.services.plan import Plan
from voice_ai.phone.load.services.speech import FRAME_MS, Segment, Speech
from voice_ai.phone.load.services.websocket import close, kind_of

_METADATA = (
    '{"type":"Metadata","request_id":"%s","model_name":"load","model_version":"1",'
    '"model_uuid":"00000000-0000-0000-0000-000000000000"}'
)
_ANSWER = '{"type":"%s","sequence_id":%d}'


class AuraListener(WSListener):
    """One connection.

    Args:
        plan: the pace.
        measured: takes what happens.
        pacer: tells when a piece is due.
        audio: the voice's format.
        number: of the connection, from 0.
    """

    def __init__(
        self, plan: Plan, measured: Measured, pacer: Pacer, audio: AudioFormat, number: int
    ) -> None:
        self._measured = measured
        self._pacer = pacer
        self._number = number
        self._speech = Speech(plan, audio, number)
        self._frame_octets = FRAME_MS * audio.n_octets_per_ms
        self._transport: WSTransport | None = None
        self._first_text_at: float | None = None
        self._waits_until: float | None = None
        self._is_full = False
        self._n_answers = 0

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Greet."""
        self._transport = transport
        self._measured.opened("tts")
        transport.send(WSMsgType.TEXT, _METADATA % f"load-tts-{self._number}")

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Take a request."""
        at = monotonic()
        if frame.msg_type == WSMsgType.TEXT:
            self._obey(transport, frame.get_payload_as_bytes(), at)
        elif frame.msg_type == WSMsgType.CLOSE:
            close(transport)
        elif frame.msg_type == WSMsgType.BINARY:
            self._measured.violation("Aura was sent a binary message")

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """Say no more."""
        self._transport = None
        self._speech.clear()
        self._measured.closed("tts")

    def pause_writing(self) -> None:
        """Hold the voice: its client reads nothing."""
        self._is_full = True
        self._measured.violation(f"Aura connection {self._number}: the voice was not read in time")

    def resume_writing(self) -> None:
        """Go on."""
        self._is_full = False
        self._go()

    def _obey(self, transport: WSTransport, data: bytes, at: float) -> None:
        kind, message = kind_of(data)
        match kind:
            case "Speak":
                self._speak(str(message.get("text", "")), at)
            case "Flush":
                self._first_text_at = None
                self._speech.flush(at)
                self._go()
            case "Clear":
                self._first_text_at = None
                self._measured.n_clears += 1
                self._speech.clear()
                self._answer(transport, "Cleared")
            case "Close":
                close(transport)
            case _:
                self._measured.violation(f"Aura was sent {data[:80]!r}")

    def _speak(self, text: str, at: float) -> None:
        if self._first_text_at is None:
            self._first_text_at = at
        turn = self._speech.speak(text)
        self._measured.note(turn, "first_text", self._first_text_at)

    def _go(self) -> None:
        """Send all that is due, and come back when there is more."""
        transport, speech = self._transport, self._speech
        if transport is None or self._is_full:
            return
        soon = monotonic() + EARLY_S
        while (due_s := speech.due_s) is not None:
            if due_s > soon:
                self._wait(due_s)
                return
            self._send(transport, *speech.take())

    def _send(self, transport: WSTransport, segment: Segment, piece: bytes) -> None:
        if not piece:
            self._answer(transport, "Flushed")
            return
        if segment.turn is not None and segment.at == len(piece):
            name = (segment.source, segment.number)
            self._measured.note_segment(segment.turn, name, monotonic())
        transport.send(WSMsgType.BINARY, piece)
        self._measured.n_frames_spoken += len(piece) / self._frame_octets

    def _wait(self, due_s: float) -> None:
        """Have the pacer call, unless it will by then."""
        if self._waits_until is None or due_s < self._waits_until:
            self._waits_until = due_s
            self._pacer.at(due_s, partial(self._go_on, due_s))

    def _go_on(self, due_s: float) -> None:
        """Go on, unless an earlier call was asked for since: that one does."""
        if due_s == self._waits_until:
            self._waits_until = None
            self._go()

    def _answer(self, transport: WSTransport, kind: str) -> None:
        transport.send(WSMsgType.TEXT, _ANSWER % (kind, self._n_answers))
        self._n_answers += 1
