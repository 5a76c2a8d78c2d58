"""What a process holds before and after many calls."""

import ctypes
import gc
import sys
import tracemalloc
from collections.abc import Callable
from itertools import repeat
from pathlib import Path

STATM = Path("/proc/self/statm")


class _Mallinfo2(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_size_t)
        for name in "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks".split()
    ]


def _mallinfo2() -> Callable[[], _Mallinfo2] | None:
    # Only in glibc 2.33 and later.
    call = getattr(ctypes.CDLL(None), "mallinfo2", None) if sys.platform == "linux" else None
    if call is not None:
        call.restype = _Mallinfo2
    return call


MALLINFO2 = _mallinfo2()


def run(call: Callable[[], object], n_calls: int) -> None:
    for _ in repeat(None, n_calls):
        call()


def heap_octets() -> int:
    """What malloc has given out and not got back; 0 where the C library does not tell."""
    if MALLINFO2 is None:
        return 0
    info = MALLINFO2()
    return info.uordblks + info.hblkhd


def resident_octets() -> int:
    """The process's memory now; 0 where /proc does not tell."""
    return int(STATM.read_text().split()[1]) * 4096 if STATM.exists() else 0


def python_growth(call: Callable[[], object], n_calls: int) -> int:
    """Octets that Python's allocators hold for so many calls more."""
    run(call, 100)
    tracemalloc.start()
    try:
        run(call, 10)
        gc.collect()
        before, _ = tracemalloc.get_traced_memory()
        run(call, n_calls)
        gc.collect()
        return tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()


def native_growth(call: Callable[[], object], n_calls: int) -> tuple[int, int]:
    """Octets of the C heap, and of the process, for so many calls more."""
    run(call, max(100, n_calls // 10))
    gc.collect()
    heap, resident = heap_octets(), resident_octets()
    run(call, n_calls)
    gc.collect()
    return heap_octets() - heap, resident_octets() - resident
