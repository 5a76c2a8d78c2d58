"""What a process holds while it rests: tasks, files, sockets, and its objects by their types."""

import asyncio
import gc
from collections import Counter
from dataclasses import dataclass

import psutil

# Objects of one type that may be more than before, for each hundred calls: what is left behind by
# one call in ten is seen, and that a cache has filled a little is not.
MORE_A_HUNDRED = 10


@dataclass(frozen=True, slots=True)
class Census:
    """A count at one time. `objects` are those that the collector knows: no strings, no numbers."""

    n_tasks: int
    n_files: int
    n_sockets: int
    n_threads: int
    objects: Counter[str]
    resident: int

    def held(self, before: "Census") -> list[str]:
        """Say what of the system's is held more than before."""
        pairs = {
            "tasks": (self.n_tasks, before.n_tasks),
            "files": (self.n_files, before.n_files),
            "sockets": (self.n_sockets, before.n_sockets),
            "threads": (self.n_threads, before.n_threads),
        }
        return [f"{now} {what}, {then} before" for what, (now, then) in pairs.items() if now > then]

    def left(self, before: "Census", n_calls: int) -> list[str]:
        """Say what is more than before after so many calls, objects too."""
        told = self.held(before)
        allowed = max(MORE_A_HUNDRED, MORE_A_HUNDRED * n_calls // 100)
        for name, now in sorted(self.objects.items()):
            if now - before.objects[name] > allowed:
                told.append(f"{now:,} {name}, {before.objects[name]:,} before")
        return told


def census(kept_port: int = 0) -> Census:
    """Count. Connections to `kept_port` are left out: a client's, open for its next request."""
    gc.collect()
    objects: Counter[str] = Counter()
    for one in gc.get_objects():
        kind = type(one)
        objects[f"{kind.__module__}.{kind.__qualname__}"] += 1
    process = psutil.Process()
    sockets = process.net_connections(kind="inet")
    kept = sum(bool(one.raddr) and one.raddr.port == kept_port for one in sockets)
    return Census(
        len(asyncio.all_tasks()),
        process.num_fds() - kept,
        len(sockets) - kept,
        process.num_threads(),
        objects,
        process.memory_info().rss,
    )
