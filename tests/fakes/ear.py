"""How the stand-in for Flux hears: energy, onset, silence, and words typed as tones."""

import importlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

HOP_MS = 20
UPDATE_MS = 240  # about every 0.25 s, in whole hops
ONSET_HOPS = 3  # a click is no speech
MARGIN_MS = 40  # before the onset, for who looks at an utterance's audio
LOUD = 300.0  # RMS of PCM16; mu-law's idle noise is below 10


def ulaw_to_pcm16(data: bytes) -> bytes:
    """Decode G.711 mu-law by the formula of the standard, apart from the package's own tables."""
    u = ~np.frombuffer(data, np.uint8)
    magnitude = (((u & 0x0F).astype(np.int32) << 3) + 0x84 << ((u & 0x70) >> 4)) - 0x84
    return np.where(u & 0x80, -magnitude, magnitude).astype("<i2").tobytes()


def typed_words(pcm16: bytes, rate_hz: int) -> str | None:
    """Return the words that the phone encoded as tones, if it did."""
    if rate_hz not in (8000, 16000):
        return None
    try:
        tones: Any = importlib.import_module("voice_ai.phone.tones")
    except ImportError:
        return None
    words: str | None = tones.decode(pcm16, rate_hz)
    return words


@dataclass
class Ear:
    """Turns audio into TurnInfo messages. No socket, no clock."""

    rate_hz: int
    is_ulaw: bool
    transcribe: Callable[[int, bytes], str]
    silence_ms: int = 400
    eager: bool = False
    knows_early: bool = True  # words can be told before the utterance is whole
    turn_index: int = 0
    _pcm: bytearray = field(default_factory=bytearray)
    _n_done: int = 0  # octets judged, of the whole stream
    _n_gone: int = 0  # octets at its beginning that `_pcm` no longer holds
    _window_start_ms: int = 0
    _onset_ms: int | None = None
    _speech_end_ms: int = 0
    _n_loud: int = 0
    _eager_text: str | None = None

    @property
    def now_ms(self) -> int:
        """How much has been heard."""
        return self._n_done * 1000 // (2 * self.rate_hz)

    def feed(self, audio: bytes) -> Iterator[dict[str, Any]]:
        """Hear more; yield messages without their request and sequence ids."""
        self._pcm += ulaw_to_pcm16(audio) if self.is_ulaw else audio
        n_hop = self._n_octets(HOP_MS)
        while len(self._pcm) - (self._n_done - self._n_gone) >= n_hop:
            start = self._n_done - self._n_gone
            hop = np.frombuffer(self._pcm[start : start + n_hop], "<i2")
            self._n_done += n_hop
            yield from self._judge(float(np.sqrt(np.mean(hop.astype(np.float64) ** 2))) > LOUD)
            if self.now_ms % UPDATE_MS == 0:
                yield self.turn_info("Update", self._so_far())
        if self._onset_ms is None:
            self._forget_until(self.now_ms - ONSET_HOPS * HOP_MS - MARGIN_MS)

    def start(self) -> dict[str, Any]:
        """Begin a turn here."""
        self._onset_ms = max(0, self.now_ms - ONSET_HOPS * HOP_MS)
        self._speech_end_ms = self.now_ms
        return self.turn_info("StartOfTurn", self._so_far())

    def end(self, transcript: str) -> dict[str, Any]:
        """End the turn here."""
        message = self.turn_info("EndOfTurn", transcript)
        message["trigger"] = "model"
        self.turn_index += 1
        self._window_start_ms = self.now_ms
        self._onset_ms = self._eager_text = None
        self._n_loud = 0
        return message

    def turn_info(self, event: str, transcript: str) -> dict[str, Any]:
        """Make a TurnInfo whose words are spread evenly over the speech heard."""
        start_ms = self.now_ms if self._onset_ms is None else self._onset_ms
        words = transcript.split()
        step = max(0, self._speech_end_ms - start_ms) / 1000 / max(1, len(words))
        return {
            "type": "TurnInfo",
            "event": event,
            "turn_index": self.turn_index,
            "audio_window_start": self._window_start_ms / 1000,
            "audio_window_end": self.now_ms / 1000,
            "transcript": transcript,
            "words": [
                {
                    "word": word,
                    "confidence": 0.98,
                    "start": round(start_ms / 1000 + step * n, 3),
                    "end": round(start_ms / 1000 + step * (n + 1), 3),
                }
                for n, word in enumerate(words)
            ],
            "end_of_turn_confidence": 0.9 if event == "EndOfTurn" else 0.1,
        }

    def _judge(self, is_loud: bool) -> Iterator[dict[str, Any]]:
        self._n_loud = self._n_loud + 1 if is_loud else 0
        if is_loud:
            self._speech_end_ms = self.now_ms
        if self._onset_ms is None:
            if self._n_loud >= ONSET_HOPS:
                yield self.start()
            return
        silence_ms = self.now_ms - self._speech_end_ms
        if self._eager_text is not None and is_loud:
            self._eager_text = None
            yield self.turn_info("TurnResumed", self._so_far())
        elif silence_ms >= self.silence_ms:
            yield self.end(self._final() if self._eager_text is None else self._eager_text)
        elif self.eager and self._eager_text is None and silence_ms >= self.silence_ms // 2:
            if text := self._final():
                self._eager_text = text
                yield self.turn_info("EagerEndOfTurn", text)

    def _final(self) -> str:
        start = max(0, self._n_octets((self._onset_ms or 0) - MARGIN_MS) - self._n_gone)
        heard = bytes(self._pcm[start : self._n_done - self._n_gone])
        return self.transcribe(self.turn_index, heard)

    def _n_octets(self, n_ms: int) -> int:
        return n_ms * self.rate_hz // 1000 * 2

    def _forget_until(self, n_ms: int) -> None:
        n_octets = max(0, self._n_octets(n_ms) - self._n_gone)
        del self._pcm[:n_octets]
        self._n_gone += n_octets

    def _so_far(self) -> str:
        """Return the words that fit into the speech so far, at three a second."""
        if self._onset_ms is None or not self.knows_early:
            return ""
        n_words = 1 + 3 * (self._speech_end_ms - self._onset_ms) // 1000
        return " ".join(self._final().split()[:n_words])
