"""Octets to a front and its answers back, and tests that run on both event loops."""

import asyncio
import functools
import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import httptools
import pytest
import uvloop

# A scenario that is not over by then hangs.
SCENARIO_S = 10.0


def on_both_loops(scenario: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Make a test of a coroutine function, run by asyncio's loop in debug mode and by uvloop's."""

    @functools.wraps(scenario)
    def test(loop_factory, **fixtures):
        async def bounded():
            async with asyncio.timeout(SCENARIO_S):
                await scenario(**fixtures)

        debug = loop_factory is asyncio.new_event_loop
        with asyncio.Runner(loop_factory=loop_factory, debug=debug) as runner:
            runner.run(bounded())

    del test.__wrapped__
    first = inspect.Parameter("loop_factory", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    test.__signature__ = inspect.Signature(
        [first, *inspect.signature(scenario).parameters.values()]
    )
    factories = [asyncio.new_event_loop, uvloop.new_event_loop]
    return pytest.mark.parametrize("loop_factory", factories, ids=["asyncio", "uvloop"])(test)


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


class _Answers:
    def __init__(self):
        self.done: list[Answer] = []
        self._headers: dict[str, str] = {}
        self._body = b""
        self.parser = httptools.HttpResponseParser(self)

    def on_header(self, name, value):
        self._headers[name.decode()] = value.decode()

    def on_body(self, data):
        self._body += data

    def on_message_complete(self):
        self.done.append(Answer(self.parser.get_status_code(), self._headers, self._body))
        self._headers, self._body = {}, b""


def answers(raw: bytes) -> list[Answer]:
    """Parse whole answers (not those to HEAD)."""
    parsed = _Answers()
    parsed.parser.set_dangerous_leniencies(lenient_data_after_close=True)
    parsed.parser.feed_data(raw)
    return parsed.done


async def talk(port: int, *pieces: bytes, end: bool = False) -> bytes:
    """Send pieces, in segments of their own if that can be had, and return all that comes back."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        if end:
            writer.write_eof()
        return await reader.read()
    finally:
        writer.close()
        await writer.wait_closed()


async def ask(port: int, *pieces: bytes) -> list[Answer]:
    """Do as `talk`, and parse the answers."""
    return answers(await talk(port, *pieces))


async def until(condition: Callable[[], object]) -> None:
    """Let the loop turn until something is so; the scenario's own time bounds it."""
    while not condition():  # noqa: ASYNC110 (nothing tells us of it, and no time needs to pass)
        await asyncio.sleep(0)
