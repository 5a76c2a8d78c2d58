"""A server of one's own for a single call: another process, on a free port of the loopback."""

import asyncio
import os
import re
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from voice_ai.errors import PeerError

# Seconds. Models load in about two on a quiet machine; a fresh one reads them from disk first.
READY_WITHIN_S = 90.0
STOP_WITHIN_S = 10.0
POLL_S = 0.1
LISTENING = re.compile(r"^Listening on (http://\S+), ", re.MULTILINE)
# Lines of its log that are shown when it fails.
TAIL = 30


@asynccontextmanager
async def own_server() -> AsyncIterator[str]:
    """Start `python -m server` with the settings of this process but another port; yields its URL.

    Raises:
        PeerError: it did not come up; with what it said.
    """
    environment = os.environ | {"HOST": "127.0.0.1", "PORT": "0", "PYTHONUNBUFFERED": "1"}
    with tempfile.NamedTemporaryFile(prefix="voice_ai-", suffix=".log") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "server"),
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            yield await _until_ready(process, Path(log.name))
        finally:
            await _stop(process)


async def _until_ready(process: asyncio.subprocess.Process, log: Path) -> str:
    what = "did not get ready"
    async with httpx.AsyncClient(trust_env=False) as http:
        try:
            async with asyncio.timeout(READY_WITHIN_S):
                while process.returncode is None:
                    listening = LISTENING.search(_said(log))
                    if listening and await is_ready(http, listening[1]):
                        return listening[1]
                    await asyncio.sleep(POLL_S)
            what = f"ended with {process.returncode}"
        except TimeoutError:
            pass
    said = _said(log).splitlines()[-TAIL:]
    raise PeerError("\n".join([f"the server for this call {what}; it said:", *said]))


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
