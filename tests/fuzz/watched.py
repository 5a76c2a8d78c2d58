"""A server in a process of its own, with services behind it; what it says and holds is watched."""

import asyncio
import os
import signal
import sys
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil

from voice_ai.phone.load.behind import Behind, ServicesPlan, services
from voice_ai.server.own import LISTENING, is_ready

SOURCE = Path(__file__).parents[2] / "src"
READY_S = 60.0
STOP_S = 20.0
# Places that those take who announce a call and never begin it: held for a minute each.
SPARE_CALLS = 4000
# Lines of the log that are kept.
TAIL = 60
# What no line of a log may say: a failure of ours, or of the loop's.
FAULTS = ("Traceback (most recent call last)", " ERROR ", "never awaited", "was never retrieved")


@dataclass(slots=True)
class Log:
    """What the server says; the lines around the first faults are kept, the others are not."""

    n_lines: int = 0
    n_faults: int = 0
    url: str = ""
    tail: deque[str] = field(default_factory=lambda: deque(maxlen=TAIL))
    faults: list[str] = field(default_factory=list)

    def take(self, line: str) -> None:
        """Take the next line."""
        self.n_lines += 1
        self.tail.append(line)
        if not self.url and (found := LISTENING.search(line)):
            self.url = found[1]
        if any(words in line for words in FAULTS):
            self.n_faults += 1
        if self.n_faults and len(self.faults) < 5 * TAIL:
            self.faults.append(line)


class Watched:
    """A server that runs, and the services behind it."""

    def __init__(self, process: asyncio.subprocess.Process, behind: Behind) -> None:
        self.log = Log()
        self.behind = behind
        self._process = process
        self._ps = psutil.Process(process.pid)

    @property
    def port(self) -> int:
        return int(self.log.url.rpartition(":")[2])

    @property
    def alive(self) -> bool:
        return self._process.returncode is None

    @property
    def n_files(self) -> int:
        """How many file descriptors it has open, without those kept open for the next answer."""
        kept = urlsplit(self.behind.openai_base_url).port
        try:
            ends = [one.raddr for one in self._ps.net_connections(kind="tcp")]
            return int(self._ps.num_fds()) - sum(bool(end) and end.port == kept for end in ends)
        except psutil.NoSuchProcess:
            return 0

    @property
    def resident(self) -> int:
        """Its memory in octets."""
        try:
            return int(self._ps.memory_info().rss)
        except psutil.NoSuchProcess:
            return 0

    async def read(self) -> None:
        """Read its log to the end."""
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            self.log.take(line.decode(errors="replace").rstrip())

    async def until_ready(self) -> None:
        async with asyncio.timeout(READY_S), httpx.AsyncClient(trust_env=False) as http:
            while not (self.log.url and await is_ready(http, self.log.url)):
                if not self.alive:
                    raise AssertionError("\n".join(["the server ended:", *self.log.tail]))
                await asyncio.sleep(0.1)

    async def settled(self, n_files: int, within_s: float) -> int:
        """Wait until it has no more files open than so many; returns how many it has."""
        loop = asyncio.get_running_loop()
        until = loop.time() + within_s
        while self.n_files > n_files and loop.time() < until:
            await asyncio.sleep(0.1)
        return self.n_files

    async def stop(self) -> int:
        """Stop it and the calls that strangers have begun; returns its exit code."""
        if self.alive:
            self._process.send_signal(signal.SIGINT)
        try:
            async with asyncio.timeout(STOP_S):
                return await self._process.wait()
        except TimeoutError:
            self._process.kill()
            return await self._process.wait()


@asynccontextmanager
async def watched(folder: Path, **settings: str) -> AsyncIterator[Watched]:
    """Run a server until the block ends; `settings` are beside the usual ones."""
    async with services(ServicesPlan()) as behind:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "server"),
            env=_environment(folder, behind) | settings,
            cwd=folder,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        server = Watched(process, behind)
        async with asyncio.TaskGroup() as group:
            group.create_task(server.read())
            try:
                await server.until_ready()
                yield server
            finally:
                await server.stop()


def _environment(folder: Path, behind: Behind) -> dict[str, str]:
    (folder / "desk.toml").write_text('instructions = "Be brief."\ngreeting = "Hello."\n')
    limits = ("MAX_CALLS", "FLUX_CONCURRENCY", "AURA_CONCURRENCY", "LLM_CONCURRENCY")
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return kept | {
        "PYTHONPATH": str(SOURCE),
        "PYTHONUNBUFFERED": "1",
        "TMPDIR": str(folder),
        "PORT": "0",
        "AGENT": "desk.toml",
        "DEEPGRAM_API_KEY": "fuzz",
        "OPENAI_API_KEY": "fuzz",
        "DEEPGRAM_URL": behind.deepgram_url,
        "OPENAI_BASE_URL": behind.openai_base_url,
        "OPENAI_MODEL": "gpt-5.6-luna",
        "MAX_CPU_PERCENT": "100",
        **dict.fromkeys(limits, str(SPARE_CALLS)),
    }
