"""What a number's webhook was before it was pointed here, kept in a file until it is put back.

Who has pointed it holds a lock on the file for as long as it lives; so one that nobody holds was
left over by a crash, and is acted on by the next start. A new server may take a note over from one
that is about to go (a restart): then the file is another one, and the old server leaves it alone.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, Final, TypeAlias

import orjson

from voice_ai.errors import UsageError

# A number's webhook, by the names of Twilio's fields.
Webhook: TypeAlias = dict[str, str]

PREFIX: Final = "number-"
MAX_OCTETS: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Note:
    """What a number's webhook was, and what we made of it."""

    account_sid: str
    number: str
    former: Webhook
    ours: Webhook


class NoteFile:
    """A note on the disk; the lock on it is ours until it is closed, or we die."""

    def __init__(self, path: Path, descriptor: int, note: Note) -> None:
        self.note = note
        self._path = path
        self._descriptor = descriptor

    @property
    def is_ours(self) -> bool:
        """Whether no other server has taken the note over, or removed it."""
        try:
            return os.path.samestat(os.fstat(self._descriptor), self._path.stat())
        except FileNotFoundError:
            return False

    def close(self, *, remove: bool) -> None:
        """Let go of it, and remove it if there is nothing left to put back."""
        with suppress(OSError):
            if remove and self.is_ours:
                self._path.unlink()
        os.close(self._descriptor)


def write(folder: Path, note: Note) -> NoteFile:
    """Keep a note, in place of the one of that number if there is any, whoever has it.

    Raises:
        UsageError: the folder cannot be written to.
    """
    path = _path(folder, note.number)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # 0600: a URL may have a password in it.
        with NamedTemporaryFile(dir=folder, prefix=f".{PREFIX}", delete=False) as file:
            file.write(orjson.dumps(asdict(note)))
            file.flush()
            os.fsync(file.fileno())
            descriptor = os.dup(file.fileno())
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        os.replace(file.name, path)
    except OSError as error:
        text = f"cannot keep the number's former webhook in {folder}: {error.strerror}"
        raise UsageError(text) from error
    return NoteFile(path, descriptor, note)


def read(folder: Path, number: str) -> Note | None:
    """Return the note of a number, whoever has it; None without one that can be read."""
    try:
        return _parsed(_path(folder, number).read_bytes())
    except OSError:
        return None


def paths(folder: Path) -> list[Path]:
    """Return where notes are kept, if any are."""
    return sorted(folder.glob(f"{PREFIX}*.json"))


def left_over(folder: Path) -> Iterator[NoteFile]:
    """Yield the notes that nobody holds; each is ours from then on, and is to be closed."""
    for path in paths(folder):
        found = _claimed(path)
        if found:
            yield found


def _claimed(path: Path) -> NoteFile | None:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        note = _parsed(os.read(descriptor, MAX_OCTETS))
    except OSError:
        note = None
    if note is not None:
        file = NoteFile(path, descriptor, note)
        if file.is_ours:
            return file
    os.close(descriptor)
    return None


def _path(folder: Path, number: str) -> Path:
    return folder / f"{PREFIX}{number.removeprefix('+')}.json"


def _parsed(octets: bytes) -> Note | None:
    try:
        found = orjson.loads(octets)
    except orjson.JSONDecodeError:
        return None
    match found:
        case {
            "account_sid": str(account_sid),
            "number": str(number),
            "former": dict(former),
            "ours": dict(ours),
        } if _is_webhook(former) and _is_webhook(ours):
            return Note(account_sid, number, former, ours)
    return None


def _is_webhook(found: dict[Any, Any]) -> bool:
    return all(isinstance(value, str) for value in found.values())
