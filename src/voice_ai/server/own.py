"""A server of one's own: another process, on the loopback, for as long as it is needed."""

import asyncio
import os
import re
import sys
import tempfile
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from voice_ai.errors import PeerError

# Seconds. Models load in about two on a quiet machine; a fresh one reads them from disk first.
READY_WITHIN_S = 90.0
STOP_WITHIN_S = 10.0
POLL_S = 0.1
LISTENING = re.compile(r"^Listening on (https?://\S+), ", re.MULTILINE)
# Lines of its log that are shown when it fails.
TAIL = 30

SERVE = (sys.executable, "-m", "server")


@dataclass(frozen=True, slots=True)
class Running:
    """A server that takes calls: where it listens, and which process it is."""

    url: str
    pid: int


@asynccontextmanager
async def own_server() -> AsyncIterator[str]:
    """Start `python -m server` with the settings of this process but another port; yields its URL.

    Raises:
        PeerError: it did not come up; with what it said.
    """
    # The operator's certificate is not for this machine's own name.
    here = {"HOST": "127.0.0.1", "PORT": "0", "TLS_CERT": "", "TLS_KEY": ""}
    environment = here | {"PYTHONUNBUFFERED": "1"}
    async with running(SERVE, environment) as server:
        yield server.url


@asynccontextmanager
async def running(
    command: Sequence[str],
    environment: Mapping[str, str],
    *,
    url: str = "",
    cpus: Iterable[int] = (),
) -> AsyncIterator[Running]:
    """Run a server until the block ends.

    Args:
        command: the program and its arguments.
        environment: beside this process's own.
        url: where it will listen; empty, its log says so, as ours does.
        cpus: on which alone it may run; none named, on all.

    Raises:
        PeerError: it did not come up, or is no program; with what it said.
    """
    with tempfile.NamedTemporaryFile(prefix="voice_ai-", suffix=".log") as log:
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                env=os.environ | environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=asyncio.subprocess.STDOUT,
            )
        except OSError as error:
            raise PeerError(f"{command[0]} cannot be run: {error.strerror}") from error
        try:
            if pinned := set(cpus):  # its threads and children are yet to come, and inherit it
                os.sched_setaffinity(process.pid, pinned)
            yield Running(await _until_ready(process, Path(log.name), url), process.pid)
        finally:
            await _stop(process)


async def _until_ready(process: asyncio.subprocess.Process, log: Path, url: str) -> str:
    what = "did not get ready"
    async with httpx.AsyncClient(trust_env=False) as http:
        try:
            async with asyncio.timeout(READY_WITHIN_S):
                while process.returncode is None:
                    listening = LISTENING.search(_said(log))
                    at = url or (listening[1] if listening else "")
                    if at and await is_ready(http, at):
                        return at
                    await asyncio.sleep(POLL_S)
            what = f"ended with {process.returncode}"
        except TimeoutError:
            pass
    said = _said(log).splitlines()[-TAIL:]
    raise PeerError("\n".join([f"the server that was started {what}; it said:", *said]))


def _said(log: Path) -> str:
    return log.read_text(errors="replace")


async def is_ready(http: httpx.AsyncClient, url: str) -> bool:
    """Whether a server at this URL takes calls."""
    try:
        answer = await http.get(f"{url}/readyz")
    except httpx.HTTPError:
        return False
    return answer.status_code == httpx.codes.OK


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(STOP_WITHIN_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
