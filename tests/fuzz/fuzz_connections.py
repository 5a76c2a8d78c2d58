"""Strangers by the million at a server in a process of its own, with calls that go on meanwhile.

`PYTHONPATH=src:tests python tests/fuzz/fuzz_connections.py --n 1_000_000 --calls 50 --seed 1`. Each
connection has an address of its own on the loopback and a script from its seed and number. It fails
where the server ends, logs a traceback, answers 500 or 1011 for an error of ours, keeps memory or
file descriptors, or where a call loses a frame. Scripts that may be to blame are written to a file
each; `--replay SEED:NUMBER` sends one again.
"""

import argparse
import asyncio
import random
import socket
import struct
import sys
import tempfile
import time
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import uvloop

from fuzz.callers_alongside import Alongside, alongside
from fuzz.strangers import TOKEN, End, Script, script
from fuzz.watched import Watched, watched
from soak.slope import Slope, slope
from voice_ai.errors import PeerError
from voice_ai.phone.webhook import Refused, parse_twiml

# Connections at once: fewer than the server's backlog, enough to keep it busy.
AT_ONCE = 64
# Seconds for an answer. Half a request gets none: those are given up after so long.
ANSWER_S = 0.25
# Seconds for connecting and sending. Who resets at once is still in the server's queue, so that on
# a busy machine it can be full for others, whose SYN is sent again after 1, 3, 7 and 15 s.
STUCK_S = 20.0
NOT_TAKEN_SHARE = 0.01
ANSWER_OCTETS = 65_536
SAMPLE_S = 0.5
# The first of a run fills caches, pools, the records of calls and the minute for which places are
# held.
WARM_SHARE = 0.3
GROWTH_OCTETS = 4 << 20
# A call that goes on keeps what was said: some 2 KB a turn; the services make one each 8 s.
TURN_OCTETS = 2048
TURN_S = 8.0
# Seconds until the server has closed what nobody closes for it: a request has 10, idling 15.
SETTLED_S = 40.0
# Scripts that are kept when the server's log tells of a fault: those of the last moments.
SUSPECTS = 200
BLAMES = (b"HTTP/1.1 500 ", b"an error of ours")
# SO_LINGER of 0 s: closing resets, so that no port of ours waits in TIME_WAIT.
RESET = struct.pack("ii", 1, 0)


@dataclass(slots=True)
class Run:
    """A run and what came of it."""

    seed: int
    n: int
    done: Counter[str] = field(default_factory=Counter)  # by kind
    notes: Counter[str] = field(default_factory=Counter)
    blamed: list[int] = field(default_factory=list)
    recent: deque[int] = field(default_factory=lambda: deque(maxlen=SUSPECTS))
    memory: list[tuple[float, float]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    took_s: float = 0.0

    @property
    def slope(self) -> Slope:
        """Memory in octets by thousands of connections, without the warming up."""
        warm = self.n * WARM_SHARE / 1000
        return slope([point for point in self.memory if point[0] >= warm])


def source(number: int) -> str:
    """Return an address of this machine for a connection: ports and limits are one's own."""
    return f"127.{1 + number % 250}.{number // 250 % 250}.{1 + number // 62_500 % 250}"


def _socket(number: int) -> socket.socket:
    made = socket.socket()
    made.setblocking(False)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    if sys.platform == "linux":  # elsewhere only 127.0.0.1 is there without being asked for
        made.bind((source(number), 0))
    return made


async def _exchange(port: int, number: int, pieces: tuple[bytes, ...], end: End) -> bytes:
    """Play a script; returns what came back, as far as it was waited for."""
    answer = bytearray()
    loop = asyncio.get_running_loop()
    with _socket(number) as stranger, suppress(ConnectionError):
        async with asyncio.timeout(STUCK_S):
            await loop.sock_connect(stranger, ("127.0.0.1", port))
            for piece in pieces:
                await loop.sock_sendall(stranger, piece)
        if end is End.FINISH:
            with suppress(OSError):  # the server may have reset it
                stranger.shutdown(socket.SHUT_WR)
        if end is not End.RESET:
            with suppress(TimeoutError):
                async with asyncio.timeout(ANSWER_S):
                    await _read(loop, stranger, answer, to_end=end is End.FINISH)
    return bytes(answer)


async def _read(
    loop: asyncio.AbstractEventLoop, stranger: socket.socket, answer: bytearray, to_end: bool
) -> None:
    while len(answer) < ANSWER_OCTETS and (more := await loop.sock_recv(stranger, ANSWER_OCTETS)):
        answer += more
        if not to_end:
            return


async def _token(port: int, number: int, call_sid: str) -> str:
    """Ask the webhook for a call; empty where all lines are busy."""
    head = f"GET /incoming-call?CallSid={call_sid} HTTP/1.0\r\nHost: x\r\n\r\n".encode()
    answer = await _exchange(port, number, (head,), End.FINISH)
    try:
        twiml = parse_twiml(answer.partition(b"\r\n\r\n")[2])
    except PeerError:
        return ""
    return "" if isinstance(twiml, Refused) else twiml.parameters.get("token", "")


async def _play(port: int, number: int, one: Script) -> bytes:
    pieces = one.pieces
    if one.call_sid:
        token = await _token(port, number, one.call_sid)
        pieces = tuple(piece.replace(TOKEN.encode(), token.encode()) for piece in pieces)
    return await _exchange(port, number, pieces, one.end)


async def _strangers(port: int, run: Run, numbers: Iterator[int]) -> None:
    for number in numbers:
        one = script(run.seed, number)
        try:
            answer = await _play(port, number, one)
        except TimeoutError:
            run.notes["not taken"] += 1
            continue
        run.done[one.kind] += 1
        run.notes["answered"] += bool(answer)
        run.recent.append(number)
        if any(words in answer for words in BLAMES):
            run.blamed.append(number)


async def _sample(server: Watched, run: Run) -> None:
    """Note the server's memory now and then, and stop at the first sign of a fault."""
    while server.alive and not server.log.n_faults and not run.blamed:
        run.memory.append((run.done.total() / 1000, server.resident))
        await asyncio.sleep(SAMPLE_S)
    raise _Fault


class _Fault(Exception):
    """The server has shown one: there is no use in going on."""


async def storm(server: Watched, run: Run, calls: Alongside | None) -> None:
    """Send all strangers, AT_ONCE at a time; ends early at a fault of the server's."""
    numbers = iter(range(run.n))
    began = time.perf_counter()
    try:
        async with asyncio.TaskGroup() as watching:
            watchers = [watching.create_task(_sample(server, run))]
            if calls is not None:
                watchers.append(watching.create_task(calls.keep_counting()))
            async with asyncio.TaskGroup() as group:
                for _ in range(AT_ONCE):
                    group.create_task(_strangers(server.port, run, numbers))
            for watcher in watchers:
                watcher.cancel()
    except* _Fault:
        pass
    run.took_s = time.perf_counter() - began


async def fuzz(folder: Path, run: Run, n_calls: int, settle_s: float = SETTLED_S) -> Run:
    """Run strangers against a server of its own; `run.faults` says what went wrong."""
    async with watched(folder) as server:
        # What is open once the pages and the first call have been asked for.
        warm = Run(run.seed, 50)
        await storm(server, warm, None)
        await server.settled(0, within_s=1.0)
        n_files = server.n_files
        if n_calls:
            async with alongside(server.log.url, n_calls, server.behind) as calls:
                await storm(server, run, calls)
                await calls.count()
            run.notes["frames of calls"] = calls.n_frames["recognised"]
            run.faults += calls.losses
            print(f"calls: {dict(calls.n_frames)}, p99 of the callers' own lateness", end=" ")
            print(f"{calls.late_ms:.1f} ms", flush=True)
        else:
            await storm(server, run, None)
        if server.alive and (left := await server.settled(n_files, settle_s)) > n_files:
            run.faults.append(f"{left} file descriptors are open, {n_files} were at the start")
        _judge(server, run, GROWTH_OCTETS + n_calls * run.took_s / TURN_S * TURN_OCTETS)
    return run


def _judge(server: Watched, run: Run, allowed: float) -> None:
    if not server.alive:
        run.faults.append("the server ended")
    if server.log.n_faults or not server.alive:
        run.faults.append("\n".join(["the server's log:", *(server.log.faults or server.log.tail)]))
    if (lost := run.notes["not taken"]) > run.n * NOT_TAKEN_SHARE:
        run.faults.append(f"{lost} connections were not taken within {STUCK_S:g} s")
    if run.blamed:
        run.faults.append(f"answered as an error of ours: {run.blamed}")
    if run.slope.exceeds(allowed):
        low, high = (octets / 2**20 for octets in run.slope.over(run.slope.x_range))
        run.faults.append(f"memory grew by {low:.1f} to {high:.1f} MB")


def keep(run: Run, folder: Path) -> list[Path]:
    """Write the scripts that may be to blame to files."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for number in run.blamed or run.recent:
        one = script(run.seed, number)
        file = folder / f"connection.{run.seed}.{number}.{one.kind.replace(' ', '-')}.bin"
        file.write_bytes(b"".join(one.pieces))
        files.append(file)
    return files


def tell(run: Run) -> None:
    n = run.done.total()
    print(f"{n:,} connections in {run.took_s:.1f} s, {n / run.took_s:,.0f} a second")
    print("  " + ", ".join(f"{what} {count:,}" for what, count in run.done.most_common()))
    print("  " + ", ".join(f"{what} {count:,}" for what, count in run.notes.most_common()))
    low, high = (octets / 2**10 for octets in run.slope.over(1))
    last = run.memory[-1][1] / 2**20 if run.memory else 0.0
    print(f"memory {last:.1f} MB, {low:+.2f} to {high:+.2f} KB each 1,000 connections (95 %)")


async def replay(folder: Path, seed: int, number: int) -> bytes:
    """Send one script to a server of its own; its log is printed where it tells of a fault."""
    async with watched(folder) as server:
        answer = await _play(server.port, number, script(seed, number))
        await asyncio.sleep(1.0)
    print(*server.log.tail, sep="\n")
    return answer


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=20_000, help="connections in all")
    parser.add_argument("--calls", type=int, default=2, help="calls that go on meanwhile")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--failures", type=Path, default=Path("build/fuzz"))
    parser.add_argument("--replay", metavar="SEED:NUMBER")
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="voice_ai-fuzz-") as name,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        if given.replay:
            seed, number = (int(part) for part in given.replay.split(":"))
            print(script(seed, number), runner.run(replay(Path(name), seed, number)), sep="\n")
            return 0
        print(f"seed {given.seed}", flush=True)
        run = runner.run(fuzz(Path(name), Run(given.seed, given.n), given.calls))
    tell(run)
    if run.faults:
        print(*run.faults, sep="\n", file=sys.stderr)
        print(f"{len(keep(run, given.failures))} scripts in {given.failures}", file=sys.stderr)
    return 1 if run.faults else 0


if __name__ == "__main__":
    sys.exit(main())
