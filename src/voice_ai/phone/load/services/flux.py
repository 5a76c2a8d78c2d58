"""A fake Flux for many streams (`/v2/listen`): it hears which frames came, and tells turns on time.

It sends what the service sends, and it takes audio and CloseStream.
"""

from time import monotonic

from picows import WSFrame, WSListener, WSMsgType, WSTransport

from voice_ai.codec.formats import AudioFormat
from voice_ai.phone.load.services.ear import Ear
from voice_ai.phone.load.services.measured import Measured
from voice_ai.phone.load.services.plan import Plan
from voice_ai.phone.load.services.script import Script, Told
from voice_ai.phone.load.services.websocket import close, kind_of

_TURN_INFO = (
    '{"type":"TurnInfo","request_id":"%s","sequence_id":%d,"event":"%s","turn_index":%d,'
    '"audio_window_start":%.2f,"audio_window_end":%.2f,"transcript":"%s","words":[%s],'
    '"end_of_turn_confidence":%s}'
)
_WORD = '{"word":"%s","confidence":0.98,"start":%.2f,"end":%.2f}'
_ENDED = '0.87,"trigger":"model"'


class FluxListener(WSListener):
    """One stream.

    Args:
        plan: the conversation.
        measured: takes what happens.
        audio: the stream's format.
        request_id: the stream's name.
    """

    def __init__(self, plan: Plan, measured: Measured, audio: AudioFormat, request_id: str) -> None:
        self._measured = measured
        self._request_id = request_id
        self._per_ms = audio.n_octets_per_ms
        self._ear = Ear(audio, measured.heard)
        self._script = Script(plan)
        self._call: int | None = None
        self._n_octets = 0
        self._n_sent = 0

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Greet."""
        self._measured.opened("stt")
        text = f'{{"type":"Connected","request_id":"{self._request_id}","sequence_id":0}}'
        transport.send(WSMsgType.TEXT, text)
        self._n_sent = 1

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Take audio, or the end of it."""
        at = monotonic()
        if frame.msg_type == WSMsgType.BINARY:
            self._hear(transport, frame, at)
        elif frame.msg_type == WSMsgType.TEXT:
            self._obey(transport, frame.get_payload_as_bytes())
        elif frame.msg_type == WSMsgType.CLOSE:
            close(transport)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """Take note."""
        self._measured.closed("stt")

    def _hear(self, transport: WSTransport, frame: WSFrame, at: float) -> None:
        n_octets = frame.payload_size
        ear = self._ear
        ear.hear(frame.get_payload_as_memoryview(), n_octets)
        self._n_octets += n_octets
        if self._call is not None:
            self._measured.messages.add(self._call, ear.frame, at)
        elif ear.call is not None:
            self._call = ear.call
            self._script.begin(ear.call)
            self._measured.messages.add(ear.call, ear.frame, at)
        heard_ms = self._n_octets / self._per_ms
        while self._script.due_ms <= heard_ms:
            self._tell(transport, self._script.next())

    def _tell(self, transport: WSTransport, told: Told) -> None:
        ends = told.event == "EndOfTurn"
        text = _TURN_INFO % (
            self._request_id,
            self._n_sent,
            told.event,
            told.turn - 1,
            told.window_start_s,
            told.window_end_s,
            told.transcript,
            ",".join([_WORD % word for word in told.words]),
            _ENDED if ends else "0.1",
        )
        self._n_sent += 1
        if self._call is not None:
            if ends:
                self._measured.note((self._call, told.turn), "end_of_turn", monotonic())
            elif told.event == "StartOfTurn":
                self._measured.start_turn(self._call, told.turn, monotonic())
        transport.send(WSMsgType.TEXT, text)

    def _obey(self, transport: WSTransport, data: bytes) -> None:
        kind, _ = kind_of(data)
        if kind == "CloseStream":
            self._tell(transport, self._script.farewell())
            close(transport)
        else:
            self._measured.violation(f"Flux was sent {data[:80]!r}")
