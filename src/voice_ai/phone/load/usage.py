"""What a process costs, from the operating system and not from itself: CPU, memory, switches."""

import sys
import time
from dataclasses import dataclass

from voice_ai.errors import PeerError
from voice_ai.phone.load.extras import psutil


@dataclass(frozen=True, slots=True)
class Usage:
    """A process and all its children at one time: `cpu_s` since they began, `rss` in octets.

    Memory that they share is counted in each.
    """

    at: float
    cpu_s: float
    rss: int
    n_switches: int
    n_processes: int


def usage(pid: int) -> Usage:
    """Read what a process and its children have used.

    Raises:
        PeerError: it is gone.
    """
    try:
        root = psutil.Process(pid)
        # Those that have ended and been waited for are in the parent's own account.
        before = root.cpu_times()
        total = Usage(time.monotonic(), before.children_user + before.children_system, 0, 0, 0)
        for process in [root, *root.children(recursive=True)]:
            total = _add(total, process)
    except psutil.NoSuchProcess:
        raise PeerError(f"process {pid} is gone; there is nothing to measure") from None
    return total


def stolen_s() -> float:
    """Return the CPU time that the machine's host gave to others; 0 where that is not known."""
    return float(getattr(psutil.cpu_times(), "steal", 0.0))


def _add(total: Usage, process: "psutil.Process") -> Usage:
    try:
        switches = process.num_ctx_switches()
        return Usage(
            total.at,
            total.cpu_s + _cpu_s(process),
            total.rss + process.memory_info().rss,
            total.n_switches + switches.voluntary + switches.involuntary,
            total.n_processes + 1,
        )
    except psutil.NoSuchProcess:  # a child that ended meanwhile
        return total


def _cpu_s(process: "psutil.Process") -> float:
    """Return its CPU time: on Linux to the ns, by its clock, elsewhere as the system counts it."""
    if sys.platform == "linux":
        # CPUCLOCK_SCHED of another process, as clock_getcpuclockid(3) makes it.
        return time.clock_gettime((~process.pid << 3) | 2)
    times = process.cpu_times()
    return float(times.user + times.system)
