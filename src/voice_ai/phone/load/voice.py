"""What a caller sends, built from parts: the JSON of a media frame differs only in numbers."""

from binascii import b2a_base64
from itertools import islice

from voice_ai.codec import g711
from voice_ai.phone.load import levels
from voice_ai.wire import twilio

FRAME_MS = 20
FRAME_OCTETS = 160


def _payload(symbol: int) -> bytes:
    pcm = levels.sample(symbol).to_bytes(2, "little", signed=True)
    return b2a_base64(g711.ulaw_encode(pcm) * FRAME_OCTETS, newline=False)


# Of a frame of each symbol, in base64.
_PAYLOADS = tuple(_payload(symbol) for symbol in range(levels.N_SYMBOLS))


class Voice:
    """One caller's side of a stream, from `start` on: numbered messages, as Twilio sends them."""

    __slots__ = (
        "_account_sid",
        "_body",
        "_call_sid",
        "_frame",
        "_header",
        "_n",
        "_sid",
        "n_frames",
    )

    def __init__(self, call: int, stream_sid: str, call_sid: str, account_sid: str) -> None:
        """Speak as call number `call` of a load; the sids are the stream's."""
        self.n_frames = 0
        self._sid, self._call_sid, self._account_sid = stream_sid, call_sid, account_sid
        self._n = 1  # `start` is the first that is numbered
        symbols = islice(levels.segment(call, 0), levels.HEADER_FRAMES)
        self._header = [_PAYLOADS[symbol] for symbol in symbols]
        self._body = _PAYLOADS[levels.FIRST_COUNT : levels.BEGIN]
        self._frame = (
            b'{"event":"media","sequenceNumber":"%d","media":{"track":"inbound","chunk":"%d",'
            b'"timestamp":"%d","payload":"%b"},"streamSid":"' + stream_sid.encode() + b'"}'
        )

    def start(self, parameters: dict[str, str]) -> bytes:
        """Build the stream's beginning."""
        message = twilio.start(self._sid, self._call_sid, self._account_sid, parameters)
        return message.encode()

    def frame(self) -> bytes:
        """Build the next frame of the segment that this caller says."""
        n = self.n_frames
        self.n_frames = n + 1
        self._n += 1
        body = n - levels.HEADER_FRAMES
        payload = self._header[n] if body < 0 else self._body[body % levels.N_COUNTS]
        return self._frame % (self._n, n + 1, n * FRAME_MS, payload)

    def skip(self) -> None:
        """Lose the next frame before it is sent."""
        self.n_frames += 1

    def echo(self, name: str) -> bytes:
        """Build the answer to a mark."""
        self._n += 1
        return twilio.mark_echo(self._sid, self._n, name).encode()

    def stop(self) -> bytes:
        """Build the stream's end."""
        self._n += 1
        return twilio.stop(self._sid, self._n, self._account_sid, self._call_sid).encode()
