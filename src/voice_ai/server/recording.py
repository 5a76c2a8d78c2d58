"""One call as it is being recorded: both sides as µ-law at 8 kHz, mixed, on their way to a file."""

import logging
from types import TracebackType
from typing import Self

from voice_ai.call.record import CallRecord
from voice_ai.call.recorder import Mixer
from voice_ai.codec.formats import ULAW_8K, AudioFormat
from voice_ai.codec.transcode import Transcoder
from voice_ai.server.recording_file import RecordingFile

logger = logging.getLogger(__name__)


class Recording:
    """A Recorder (call/recorder.py) over a file that a thread writes.

    If that fails the call goes on: the log has a line and the record a note, once.

    Cost: both conversions and the mix are done in the call's step, 6 µs for 80 ms of it; handing
    the pieces to a thread, which would need the interpreter's lock for them, is no cheaper.
    """

    def __init__(
        self, record: CallRecord, file: RecordingFile, line: AudioFormat, heard: AudioFormat
    ) -> None:
        """Record a call over a `line` of this format; what the caller says comes as `heard`."""
        self._record = record
        self._file = file
        self._mixer = Mixer()
        self._to_us = Transcoder(heard, ULAW_8K)
        self._to_caller = Transcoder(line, ULAW_8K)
        self._has_failed = False

    def __enter__(self) -> Self:
        """Tell who follows the call."""
        self._record.is_recorded = True
        self._record.changed()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        places: TracebackType | None,
        /,
    ) -> None:
        """Have the file closed behind what was told."""
        self._file.end()

    def caller(self, audio: bytes, gap_ms: float, /) -> None:
        """Take the caller's next audio, and have what is final of both sides written."""
        stereo = self._mixer.caller(self._to_us.convert(audio), gap_ms)
        if not self._has_failed and not self._file.put(stereo):
            self._has_failed = True
            self._fail(self._file.failure)

    def agent(self, audio: bytes, now_ms: float, /) -> None:
        """Take audio that is sent now."""
        self._mixer.agent(self._to_caller.convert(audio), now_ms)

    def clear(self, now_ms: float, /) -> None:
        """Drop what is not played by now."""
        self._mixer.clear(now_ms)
        self._to_caller.clear()
        self._record.note("clear", "", self._place(now_ms))

    def mark(self, name: str, now_ms: float, /) -> None:
        """Note that a mark has come back."""
        self._record.note("mark", name, self._place(now_ms))

    def _fail(self, why: str) -> None:
        record = self._record
        logger.warning("call %s: its recording has ended: %s", record.call.call_sid, why)
        record.note("fault", "the recording has ended", why)
        record.is_recorded = self._file.n_ms > 0
        record.changed()

    def _place(self, now_ms: float) -> str:
        """Where in the file this is, in ms."""
        return f"{self._file.begins_ms + now_ms:.0f}"
