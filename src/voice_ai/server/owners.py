"""Which server processes live: each holds the lock on a file of its own for as long as it does.

A lock is of the kernel's making: it ends with its process however that ends, and unlike a process's
number it is never another's, not even in another container on the same folder.
"""

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Owner:
    """This process to the others that share a folder.

    Args:
        directory: for the locks; what a process has beside its own is named by it, `NAME.*`.
    """

    def __init__(self, directory: Path) -> None:
        self.name = f"{os.getpid()}-{secrets.token_hex(4)}"
        self._directory = directory
        self._lock: int | None = None

    def hold(self) -> None:
        """Be seen as alive from now on; again if the folder was taken from under us.

        Raises:
            OSError: the folder cannot be written.
        """
        file = self._file(self.name)
        if self._lock is not None and file.exists():
            return
        self.release()
        self._directory.mkdir(mode=0o700, exist_ok=True)
        fresh = self._directory / f"{self.name}.new"
        self._lock = os.open(fresh, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        fresh.rename(file)  # never seen without its lock

    def release(self) -> None:
        """Be seen no more. Idempotent."""
        if self._lock is not None:
            self._file(self.name).unlink(missing_ok=True)
            os.close(self._lock)
            self._lock = None

    def lives(self, name: str) -> bool:
        """Whether the process of this name is there; what a dead one left is cleared away."""
        if name == self.name:
            return True
        file = self._file(name)
        try:
            descriptor = os.open(file, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        for left in self._directory.glob(f"{name}.*"):
            left.unlink(missing_ok=True)
        return False

    def all_living(self) -> list[str]:
        """Return the names of those that live; what the dead left is cleared away."""
        names = [file.stem for file in self._directory.glob("*.lock")]
        return [name for name in names if self.lives(name)]

    def _file(self, name: str) -> Path:
        return self._directory / f"{name}.lock"


@contextmanager
def alone(directory: Path) -> Iterator[None]:
    """Let processes come one after the other, where none may disturb another's opening."""
    descriptor = os.open(directory / "opening", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
