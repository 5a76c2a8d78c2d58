"""What the machine gives us, read once: CPUs, memory, descriptors, the clock, the kernel."""

import ctypes
import os
import platform
import resource
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

# adjtimex(2): the state of a clock that nobody disciplines; and the room that its struct takes.
TIME_ERROR: Final = 5
TIMEX_OCTETS: Final = 512


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine or the container that we have of it; None is what cannot be told here.

    Args:
        arch: as `platform.machine` names it.
        python: major, minor, micro.
        n_cpus: that this process may use; a container's quota counts.
        memory_octets: all that it may have.
        max_descriptors: what a process may raise its limit to.
        is_clock_kept: whether something keeps the clock right (NTP).
        migrates_requests: `net.ipv4.tcp_migrate_req`.
        in_container: whether this is one.
    """

    arch: str
    python: tuple[int, int, int]
    n_cpus: float
    memory_octets: int | None
    max_descriptors: int
    is_clock_kept: bool | None
    migrates_requests: bool | None
    in_container: bool


def this_machine(root: Path = Path("/")) -> Machine:
    """Look at this one; `root` is where its `/proc` and `/sys` are."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    migrates = _read(root / "proc/sys/net/ipv4/tcp_migrate_req")
    return Machine(
        arch=platform.machine(),
        python=sys.version_info[:3],
        n_cpus=_n_cpus(root),
        memory_octets=_memory_octets(root),
        max_descriptors=sys.maxsize if hard == resource.RLIM_INFINITY else hard,
        is_clock_kept=_is_clock_kept(),
        migrates_requests=migrates == "1" if migrates else None,
        in_container=(root / ".dockerenv").exists() or (root / "run/.containerenv").exists(),
    )


def _n_cpus(root: Path) -> float:
    count: float = os.cpu_count() or 1
    if sys.platform == "linux":
        count = len(os.sched_getaffinity(0))
    match _read(root / "sys/fs/cgroup/cpu.max").split():
        case [quota, period] if quota.isdecimal() and int(period):
            count = min(count, int(quota) / int(period))
    return count


def _memory_octets(root: Path) -> int | None:
    found = []
    for line in _read(root / "proc/meminfo").splitlines():
        name, _, rest = line.partition(":")
        if name == "MemTotal":
            found.append(int(rest.split()[0]) * 1024)
    limit = _read(root / "sys/fs/cgroup/memory.max")
    if limit.isdecimal():
        found.append(int(limit))
    return min(found, default=None)


def _is_clock_kept() -> bool | None:
    """Ask the kernel whether its clock is synchronised; reading needs no privilege."""
    if sys.platform != "linux":
        return None
    try:
        state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(TIMEX_OCTETS))
    except (OSError, AttributeError):
        return None
    return None if state < 0 else bool(state != TIME_ERROR)


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError):
        return ""
