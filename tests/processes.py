"""`python -m server` in processes of their own, on fakes in the test's."""

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fakes.deepgram import KEY, FakeDeepgram
from fakes.openai_api import FakeOpenAI
from voice_ai.phone.plan import CallResult

SOURCE = Path(__file__).parents[1] / "src"
# Two cores may be busy with other tests.
READY_S = 60.0
LISTENING = re.compile(r"^Listening on (http://\S+), ", re.MULTILINE)
PID = re.compile(r"(\d+)-[0-9a-f]+\.lock")


class Server:
    """A server that was started; `said` is what it has printed."""

    def __init__(self, process: asyncio.subprocess.Process, folder: Path) -> None:
        self.process = process
        self.said = ""
        self._folder = folder

    @property
    def url(self) -> str:
        found = LISTENING.search(self.said)
        assert found, self.said
        return found[1]

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def workers(self) -> list[int]:
        """The processes that share the port, as they tell each other."""
        names = os.listdir(self._folder / f"voice_ai-{os.getuid()}" / str(self.port))
        return [int(found[1]) for name in names if (found := PID.fullmatch(name))]

    async def until(self, words: str, within_s: float = READY_S, times: int = 1) -> None:
        async with asyncio.timeout(within_s):
            while self.said.count(words) < times:
                if self.process.returncode is not None:
                    raise AssertionError(f"ended with {self.process.returncode}:\n{self.said}")
                await asyncio.sleep(0.02)

    async def ended(self, within_s: float = READY_S) -> int:
        async with asyncio.timeout(within_s):
            return await self.process.wait()

    async def read(self) -> None:
        assert self.process.stdout is not None
        while octets := await self.process.stdout.read(65536):
            self.said += octets.decode()


def faults(result: CallResult) -> list[str]:
    """What the server did wrong on a call, but for gaps: those a busy machine makes, too."""
    return [one for one in result.violations if "a gap of" not in one]


@asynccontextmanager
async def started(
    tmp_path: Path, deepgram: FakeDeepgram, openai: FakeOpenAI, *options: str, **settings: Any
) -> AsyncIterator[Server]:
    """Start one; when the block ends it is told to stop, twice if need be.

    A setting that is None is left to the `.env` of the folder.
    """
    given = {
        "DEEPGRAM_API_KEY": KEY,
        "DEEPGRAM_URL": deepgram.url,
        "OPENAI_API_KEY": "sk-test",
        "OPENAI_BASE_URL": openai.base_url,
        "OPENAI_MODEL": "gpt-5.6-luna",
        "PORT": 0,
        "AGENT": "desk.toml",
        "MAX_CPU_PERCENT": 100,
    }
    (tmp_path / "desk.toml").write_text('instructions = "Be brief."\ngreeting = "Hello."\n')
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    named = {name: str(value) for name, value in (given | settings).items() if value is not None}
    places = {"TMPDIR": str(tmp_path), "PYTHONPATH": str(SOURCE), "PYTHONUNBUFFERED": "1"}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "server", *options),
        env=kept | named | places,
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    server = Server(process, tmp_path)
    async with asyncio.TaskGroup() as group:
        group.create_task(server.read())
        try:
            yield server
        finally:
            await _stop(process)


async def _stop(process: asyncio.subprocess.Process) -> None:
    for number in (signal.SIGINT, signal.SIGINT, signal.SIGKILL):
        if process.returncode is not None:
            return
        process.send_signal(number)
        try:
            async with asyncio.timeout(10):
                await process.wait()
        except TimeoutError:
            continue
