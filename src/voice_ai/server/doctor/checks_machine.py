"""The machine below us: the clock, the disk, and the kernel's settings."""

import os
import shutil
import tempfile
from pathlib import Path
from typing import Final

from voice_ai.server.doctor.outcome import Check, Outcome, check, failed, ok, skipped, warning
from voice_ai.server.doctor.situation import Situation

# This was written then; a clock before it is wrong, one so far behind it most likely.
FIRST_YEAR: Final = 2026
LAST_YEAR: Final = 2050
# An hour of stereo µ-law is 58 MB; calls' texts are a thousandth of that.
WARN_FREE_OCTETS: Final = 1024**3
MIN_FREE_OCTETS: Final = 64 * 1024**2
# For a server without the setting.
DATA_DIR: Final = Path("data")


@check(
    "clock",
    "TLS to the services fails (“certificate is not yet valid”), or logs and calls have odd times.",
    "Set the clock, and keep it by NTP: `timedatectl set-ntp true`. The time zone does not matter.",
)
def clock(situation: Situation) -> Outcome:
    """Judge the clock by itself; `clock-drift` compares it with others'."""
    told = f"{situation.now:%d %B %Y, %H:%M} UTC"
    if not FIRST_YEAR <= situation.now.year <= LAST_YEAR:
        return failed(f"it is {told}")
    match situation.machine.is_clock_kept:
        case None:
            return ok(f"{told}; whether NTP keeps it cannot be told here")
        case False:
            return warning(f"{told}, and nothing keeps it right")
    return ok(f"{told}, kept right")


def _folder(situation: Situation) -> Path:
    """Return where calls are kept."""
    return situation.folder / Path(getattr(situation.settings, "data_dir", None) or DATA_DIR)


@check(
    "data-folder",
    "The console forgets its calls with each restart, or the server ends at start and names a "
    "folder.",
    "Make DATA_DIR a folder that the server's user may write; in Docker a volume.",
)
def data_folder(situation: Situation) -> Outcome:
    """Look whether we can write where calls are kept; nothing is written."""
    folder = _folder(situation)
    if folder.exists() and not folder.is_dir():
        return failed(f"{folder} is no folder")
    there = folder
    while not there.exists():
        there = there.parent
    if not os.access(there, os.W_OK | os.X_OK):
        return failed(f"{there} cannot be written by user {os.getuid()}")
    return ok(f"{folder} can be written" if there == folder else f"{folder} can be made")


@check(
    "disk",
    "Calls are missing in the console, recordings end too early; the log has “No space left”.",
    "Make room, or have DATA_DIR on a larger disk.",
)
def disk(situation: Situation) -> Outcome:
    """Look how much room there is where calls are kept and where processes meet."""
    told, least = [], WARN_FREE_OCTETS
    for folder in dict.fromkeys((_folder(situation), Path(tempfile.gettempdir()))):
        there = folder
        while not there.exists():
            there = there.parent
        free = shutil.disk_usage(there).free
        told.append(f"{free / 1024**3:.1f} GB free at {there}")
        least = min(least, free)
    text = ", ".join(dict.fromkeys(told))
    if least < MIN_FREE_OCTETS:
        return failed(text)
    return warning(text) if least < WARN_FREE_OCTETS else ok(text)


@check(
    "hand-over",
    "A caller now and then gets 11200 at the very moment of a restart or when a worker ends.",
    "`sysctl net.ipv4.tcp_migrate_req=1`, as root (Linux 5.14 or newer).",
)
def hand_over(situation: Situation) -> Outcome:
    """Look whether the kernel hands connections of a process that goes to another one."""
    settings = situation.settings
    if settings.workers == 1 and not settings.reuse_port:
        return skipped("one process has the port")
    match situation.machine.migrates_requests:
        case None:
            return skipped("this kernel does not tell, or cannot")
        case False:
            return warning("net.ipv4.tcp_migrate_req is 0")
    return ok("net.ipv4.tcp_migrate_req is 1")


CHECKS: Final[tuple[Check, ...]] = (clock, data_folder, disk, hand_over)
