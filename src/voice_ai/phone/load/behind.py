"""The services behind the server: fakes of Flux, Aura and OpenAI in a process of their own."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import Any

import orjson

from voice_ai.errors import PeerError

MODULE = "voice_ai.phone.load.services"
# A Python that imports an HTTP and a websocket server needs a second or two on a busy machine.
LISTENS_WITHIN_S = 30.0
# 200,000 entries of results are 6 MB of JSON.
ANSWERS_WITHIN_S = 30.0
ENDS_WITHIN_S = 10.0
MAX_LINE_OCTETS = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class ServicesPlan:
    """How the services behave, in the words of their process; times of the caller's audio in s."""

    reply_s: float = 6.0
    turn_s: float = 8.0
    speech_s: float = 1.0
    first_turn_s: float = 3.0
    tts_chunk_ms: int = 20
    tts_first_byte_ms: float = 0
    llm_first_token_ms: float = 0
    llm_inter_token_ms: float = 0
    barge_in: bool = False


class Behind:
    """A services process that listens at these URLs."""

    def __init__(self, process: asyncio.subprocess.Process, urls: dict[str, str]) -> None:
        """Speak to this process."""
        self.pid = process.pid
        self.deepgram_url = urls["deepgram_url"]
        self.openai_base_url = urls["openai_base_url"]
        self._process = process

    async def begin(self) -> None:
        """Have it forget what it measured."""
        await self._tell(b"begin\n")

    async def end(self) -> dict[str, Any]:
        """Return what it measured since `begin`.

        Raises:
            PeerError: the process is gone or does not answer.
        """
        await self._tell(b"end\n")
        return await _line(self._process, ANSWERS_WITHIN_S)

    async def _tell(self, line: bytes) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line)
            async with asyncio.timeout(ANSWERS_WITHIN_S):
                await self._process.stdin.drain()
        except (ConnectionError, TimeoutError) as error:
            raise PeerError(f"the services' process takes no command: {error!r}") from error


@asynccontextmanager
async def services(plan: ServicesPlan) -> AsyncIterator[Behind]:
    """Run the services' process for as long as the block; what it writes to stderr is shown.

    Raises:
        PeerError: it does not come up.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", MODULE, orjson.dumps(asdict(plan)).decode()),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=MAX_LINE_OCTETS,
    )
    try:
        yield Behind(process, await _line(process, LISTENS_WITHIN_S))
    finally:
        await _end(process)


async def _line(process: asyncio.subprocess.Process, within_s: float) -> dict[str, Any]:
    assert process.stdout is not None
    try:
        async with asyncio.timeout(within_s):
            line = await process.stdout.readline()
        answer = orjson.loads(line)
    except TimeoutError:
        raise PeerError(f"the services' process said nothing in {within_s:g} s") from None
    except (ValueError, orjson.JSONDecodeError):
        raise PeerError(f"the services' process ended, or said {line[:200]!r}") from None
    if not isinstance(answer, dict):
        raise PeerError(f"the services' process said {line[:200]!r}; needed an object")
    return answer


async def _end(process: asyncio.subprocess.Process) -> None:
    """Let it end by closing its input; break it off when it does not."""
    assert process.stdin is not None
    process.stdin.close()
    try:
        async with asyncio.timeout(ENDS_WITHIN_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
