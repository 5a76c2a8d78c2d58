"""A server of one's own for a single call: another process, on a free port of the loopback."""

import asyncio
import os
import re
import sys
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from voice_ai.errors import PeerError

# Seconds. Models load in about two on a quiet machine; a fresh one reads them from disk first.
READY_WITHIN_S = 90.0
STOP_WITHIN_S = 10.0
POLL_S = 0.1
LISTENING = re.compile(r"^Listening on (http://\S+), ")
# Lines of its log that are shown when it fails.
TAIL = 30


@asynccontextmanager
async def own_server() -> AsyncIterator[str]:
    """Start `python -m server` with the settings of this process but another port; yields its URL.

    Raises:
        PeerError: it did not come up; with what it said.
    """
    environment = os.environ | {"HOST": "127.0.0.1", "PORT": "0", "PYTHONUNBUFFERED": "1"}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "server"),
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said: deque[str] = deque(maxlen=TAIL)
    url: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    async with asyncio.TaskGroup() as group:
        listening = group.create_task(_listen(process, said, url))
        try:
            yield await _until_ready(process, said, url)
        finally:
            await _stop(process)
            await listening
            url.cancel()


async def _listen(
    process: asyncio.subprocess.Process, said: deque[str], url: asyncio.Future[str]
) -> None:
    assert process.stdout is not None
    async for line in process.stdout:
        said.append(line.decode(errors="replace").rstrip())
        found = LISTENING.match(said[-1])
        if found and not url.done():
            url.set_result(found[1])


async def _until_ready(
    process: asyncio.subprocess.Process, said: deque[str], url: asyncio.Future[str]
) -> str:
    async with httpx.AsyncClient(trust_env=False) as http:
        try:
            async with asyncio.timeout(READY_WITHIN_S):
                while process.returncode is None:
                    if url.done() and await is_ready(http, url.result()):
                        return url.result()
                    await asyncio.sleep(POLL_S)
        except TimeoutError:
            pass
    what = "did not get ready" if process.returncode is None else f"ended with {process.returncode}"
    raise PeerError("\n".join([f"the server for this call {what}; it said:", *said]))


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
