"""A recording as a file: WAV, two channels of µ-law at 8 kHz, that plays at any moment.

The sizes in its head are written anew behind each stretch of audio, so a file whose writer was
killed lacks at most what came after the last stretch. What is beyond the head's sizes is mended
before anything else is done with it. Who writes holds a lock on the file, which ends with them.
Source: Microsoft, "Multiple channel audio data and WAVE files", Standards Update 3 (fmt of 18
octets and fact for what is not PCM); ITU-T G.711.
"""

import fcntl
import os
import struct
from collections import deque
from pathlib import Path
from typing import Final

# Octets of the head, and of a ms of audio: two sides of 8 samples.
HEAD_OCTETS: Final = 58
OCTETS_A_MS: Final = 16
# Ms of a call's audio that may wait for the disk, 160 KB; a disk that is behind by more, or full,
# ends the recording and nothing else.
LIMIT_MS: Final = 10_000
# Sizes have 32 bits.
MAX_OCTETS: Final = (1 << 32) - 1 - HEAD_OCTETS - (OCTETS_A_MS - 1)

_HEAD: Final = struct.Struct("<4sI4s 4sIHHIIHHH 4sII 4sI")


def head(n_octets: int) -> bytes:
    """Return the head of a file with so many octets of audio, which are whole samples of both."""
    riff = (b"RIFF", HEAD_OCTETS - 8 + n_octets, b"WAVE")
    form = (b"fmt ", 18, 7, 2, 8000, 16_000, 2, 8, 0)
    return _HEAD.pack(*riff, *form, b"fact", 4, n_octets // 2, b"data", n_octets)


def audio_octets(octets: bytes) -> int | None:
    """Return how many octets of audio this head says there are; None if it is none of ours."""
    if len(octets) < HEAD_OCTETS:
        return None
    n_octets = int.from_bytes(octets[HEAD_OCTETS - 4 : HEAD_OCTETS], "little")
    return n_octets if head(n_octets & ~1) == octets[:HEAD_OCTETS] else None


def whole(n_octets: int) -> int:
    """Return how many octets of audio a file of this length holds, whole samples of both sides."""
    return max(0, n_octets - HEAD_OCTETS) & ~1


def lock(descriptor: int) -> None:
    """Hold a file for as long as it is open; raises BlockingIOError if somebody does."""
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def mend(descriptor: int) -> int:
    """Make the head say what is there; returns how much audio that is.

    A file that ends before its head does is begun anew, as it holds nothing.

    Raises:
        ValueError: it is none of ours.
        OSError: it cannot be read or written.
    """
    n_octets = whole(os.fstat(descriptor).st_size)
    said = os.pread(descriptor, HEAD_OCTETS, 0)
    if len(said) == HEAD_OCTETS and audio_octets(said) is None:
        raise ValueError("it is no recording of ours")
    if said != head(n_octets):
        os.ftruncate(descriptor, HEAD_OCTETS + n_octets if len(said) == HEAD_OCTETS else 0)
        os.pwrite(descriptor, head(n_octets), 0)
    return n_octets


class RecordingFile:
    """One call's file: a call puts audio in, never waiting; a thread writes it.

    Attributes:
        failure: why there will be no more; empty while there is none.
        is_over: whether the call is.
        begins_ms: how much of this call was in the file when it was opened: a caller whom nobody
            took was connected to us again.
    """

    def __init__(self, path: Path) -> None:
        """Nothing is opened before the first `write`."""
        self.path = path
        self.failure = ""
        self.begins_ms = 0.0
        self._waiting: deque[bytes] = deque()
        # Each is written by one side only.
        self._n_put = self._n_taken = 0
        self.is_over = False
        self._descriptor: int | None = None
        self._n_octets = 0

    @property
    def n_ms(self) -> float:
        """How much is in it."""
        return self._n_octets / OCTETS_A_MS

    # The call's side.

    def put(self, stereo: bytes) -> bool:
        """Have this written; False once there was a failure."""
        n_waiting = self._n_put + len(stereo) - self._n_taken
        if n_waiting > LIMIT_MS * OCTETS_A_MS and not self.failure:
            self.failure = f"the disk is {n_waiting // OCTETS_A_MS} ms behind"
        if self.failure:
            return False
        self._waiting.append(stereo)
        self._n_put += len(stereo)
        return True

    def end(self) -> None:
        """Have the file closed behind what was put."""
        self.is_over = True

    # The thread's side.

    def write(self) -> bool:
        """Write what waits; returns whether there may be more."""
        is_over = self.is_over  # before the audio: what comes later keeps the file open
        try:
            if self._descriptor is None and not self.failure:
                self._open()
            if self._descriptor is not None:
                self._append(self._taken())
        except BlockingIOError:
            return True  # whoever had it is about to close it
        except (OSError, ValueError) as error:
            self.failure = getattr(error, "strerror", None) or str(error)
        if is_over or self.failure:
            self._close()
        return not (is_over or self.failure)

    def _open(self) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(self.path, flags, 0o600)
        try:
            lock(descriptor)
            self._n_octets = mend(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        self.begins_ms = self.n_ms

    def _taken(self) -> bytes:
        pieces = [self._waiting.popleft() for _ in range(len(self._waiting))]
        stereo = b"".join(pieces)
        self._n_taken += len(stereo)
        return stereo

    def _append(self, stereo: bytes) -> None:
        assert self._descriptor is not None, "it was opened"
        if not stereo:
            return
        if self._n_octets + len(stereo) > MAX_OCTETS:
            raise ValueError("a WAV file holds no more")
        left = memoryview(stereo)
        while left:  # a disk that is nearly full takes a part
            at = HEAD_OCTETS + self._n_octets + len(stereo) - len(left)
            left = left[os.pwrite(self._descriptor, left, at) :]
        self._n_octets += len(stereo)
        os.pwrite(self._descriptor, head(self._n_octets), 0)

    def _close(self) -> None:
        self._waiting.clear()
        if self._descriptor is None:
            return
        descriptor, self._descriptor = self._descriptor, None
        try:
            if self.failure:
                os.ftruncate(descriptor, HEAD_OCTETS + self._n_octets)
        except OSError:
            pass  # what is beyond the head's sizes is not played, and mended later
        finally:
            os.close(descriptor)
