"""The other processes that share our port: asked for what only they know of their calls."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, TypeAlias

import orjson

from voice_ai.server.shared import Shared

logger = logging.getLogger(__name__)

Answer: TypeAlias = Callable[[dict[str, Any]], Any]

# Seconds for one answer: out of a loop's memory on this machine.
TIMEOUT_S: Final = 2.0


class Siblings:
    """Asks the others, and answers them, over a Unix socket each in the folder of the port.

    A question and its answer are JSON, a connection each. Without a folder there are no others.
    """

    def __init__(self, shared: Shared | None = None) -> None:
        self._shared = shared

    async def ask(self, **question: Any) -> list[Any]:
        """Return everybody's answer; who is on its way out gives none."""
        answers: list[Any] = []
        others = self._shared.others() if self._shared else []
        if others:
            async with asyncio.TaskGroup() as group:
                for owner in others:
                    group.create_task(self._ask(owner, orjson.dumps(question), answers))
        return answers

    async def _ask(self, owner: str, question: bytes, answers: list[Any]) -> None:
        try:
            async with asyncio.timeout(TIMEOUT_S):
                reader, writer = await asyncio.open_unix_connection(self._socket(owner))
                try:
                    writer.write(question + b"\n")
                    answers.append(orjson.loads(await reader.read()))
                finally:
                    writer.close()
        except (OSError, TimeoutError, orjson.JSONDecodeError) as error:
            logger.warning("process %s does not answer: %r", owner, error)

    @asynccontextmanager
    async def answering(self, answer: Answer) -> AsyncIterator[None]:
        """Answer the others until left."""
        if self._shared is None:
            yield
            return

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                async with asyncio.timeout(TIMEOUT_S):
                    question = orjson.loads(await reader.readline())
                    writer.write(orjson.dumps(answer(question)))
                    await writer.drain()
            except (OSError, TimeoutError, orjson.JSONDecodeError) as error:
                logger.warning("a process's question is not answered: %r", error)
            finally:
                writer.close()

        path = self._socket(self._shared.owner)
        try:
            async with await asyncio.start_unix_server(serve, path):
                yield
        finally:
            with suppress(FileNotFoundError):
                os.unlink(path)

    def _socket(self, owner: str) -> str:
        assert self._shared is not None, "there is nobody without a folder"
        return str(self._shared.directory / f"{owner}.sock")
