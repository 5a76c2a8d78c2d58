"""An agent changed while the server runs: for the calls to come, not for those under way."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from fakes.openai_api import FakeOpenAI
from serving import serving
from voice_ai import Agent
from voice_ai.errors import UsageError
from voice_ai.phone import place_call
from voice_ai.server import reloading as module
from voice_ai.server.agents import load_agent
from voice_ai.server.reloading import watch

MODULE = """
from voice_ai import Agent
from a_reloaded_helper import GREETING

agent = Agent(instructions="Be brief.", greeting=GREETING, fillers=[])
"""


class Watched:
    """What was told and taken of the agent in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.said: list[str] = []
        self.taken: list[Agent] = []
        self._n_writes = 0

    def write(self, name: str, text: str) -> None:
        """Save a file, later than any version before it by the clock of files."""
        self._n_writes += 1
        path = self.folder / name
        path.write_text(text)
        changed = path.stat().st_mtime_ns + self._n_writes * 1_000_000_000
        os.utime(path, ns=(changed, changed))

    async def take(self, agent: Agent) -> None:
        self.taken.append(agent)

    async def until(self, n_said: int) -> str:
        async with asyncio.timeout(10):
            while len(self.said) < n_said:
                await asyncio.sleep(0.01)
        assert len(self.said) == n_said, self.said
        assert "\n" not in self.said[-1]
        return self.said[-1]


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setattr(module, "POLL_S", 0.02)
    monkeypatch.setattr(module, "SETTLE_S", 0.02)
    watched = Watched(tmp_path)
    watched.write("a_reloaded_helper.py", 'GREETING = "One."\n')
    watched.write("a_reloaded_agent.py", MODULE)
    yield watched
    for name in [name for name in sys.modules if name.startswith("a_reloaded")]:
        del sys.modules[name]


@asynccontextmanager
async def watching(watched: Watched, spec: str | None, take: Any = None) -> AsyncIterator[Agent]:
    agent = load_agent(spec)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(watch(spec, take or watched.take, watched.said.append))
        await watched.until(1)
        yield agent
        task.cancel()


async def test_the_one_that_ships_has_nothing_to_be_watched(watched: Watched) -> None:
    async with watching(watched, None):
        assert watched.said == ["Watching nothing: the agent ships."]


async def test_its_module_and_those_that_it_imports_are_watched(watched: Watched) -> None:
    async with watching(watched, "a_reloaded_agent:agent") as first:
        assert watched.said == ["Watching a_reloaded_agent.py, a_reloaded_helper.py."]
        watched.write("a_reloaded_helper.py", 'GREETING = "Two."\n')
        assert await watched.until(2) == "Agent taken anew: it answers from the next call on."
        watched.write("a_reloaded_agent.py", MODULE.replace("Be brief", "Be kind"))
        await watched.until(3)
    assert [first.greeting, *(agent.greeting for agent in watched.taken)] == [
        "One.",
        "Two.",
        "Two.",
    ]
    assert [agent.instructions for agent in watched.taken] == ["Be brief.", "Be kind."]


async def test_a_module_that_it_imports_from_now_on_is_watched_too(watched: Watched) -> None:
    async with watching(watched, "a_reloaded_agent:agent"):
        watched.write("a_reloaded_third.py", "WORDS = 'Three.'\n")
        watched.write("a_reloaded_helper.py", "from a_reloaded_third import WORDS as GREETING\n")
        await watched.until(2)
        watched.write("a_reloaded_third.py", "WORDS = 'Four.'\n")
        await watched.until(3)
    assert [agent.greeting for agent in watched.taken] == ["Three.", "Four."]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("GREETING = = 1", "a_reloaded_helper.py, line 1: invalid syntax"),
        ("GREETING = 1 / 0", "ZeroDivisionError: division by zero (a_reloaded_helper.py, line 1)"),
        ("import no_such_module", "needs a module that is not installed: no_such_module"),
        ("NOTHING = 1", "ImportError: cannot import name 'GREETING'"),
        ("GREETING = ' '", "an agent's greeting cannot be empty"),
    ],
)
async def test_a_broken_one_is_told_in_a_line_and_the_next_is_taken(
    watched: Watched, text: str, words: str
) -> None:
    async with watching(watched, "a_reloaded_agent:agent"):
        before = sys.modules["a_reloaded_helper"]
        watched.write("a_reloaded_helper.py", text)
        said = await watched.until(2)
        assert said.startswith("Agent not taken, the old one goes on: ")
        assert words in said
        assert sys.modules["a_reloaded_helper"] is before
        watched.write("a_reloaded_helper.py", 'GREETING = "Two."\n')
        await watched.until(3)
    assert [agent.greeting for agent in watched.taken] == ["Two."]


async def test_a_file_of_toml_is_watched(watched: Watched) -> None:
    watched.write("a.toml", 'instructions = "Be brief."\n')
    async with watching(watched, "a.toml"):
        watched.write("a.toml", "instructions = 1\nnonsense = 2\n")
        said = await watched.until(2)
        assert "instructions: needed a text, found 1; nonsense: unknown" in said
        watched.write("a.toml", 'instructions = "Be kind."\n')
        await watched.until(3)
        (watched.folder / "a.toml").unlink()
        assert "cannot read the agent's file" in await watched.until(4)
        watched.write("a.toml", 'instructions = "Be back."\n')
        await watched.until(5)
    assert [agent.instructions for agent in watched.taken] == ["Be kind.", "Be back."]


async def test_what_cannot_be_served_is_told(watched: Watched) -> None:
    async def take(agent: Agent) -> None:
        raise UsageError("no such voice")

    async with watching(watched, "a_reloaded_agent:agent", take):
        watched.write("a_reloaded_helper.py", 'GREETING = "Two."\n')
        assert (await watched.until(2)).endswith("goes on: no such voice")


OTHER = {"instructions": "You sell shoes.", "greeting": "Shoes. Hello?", "fillers": []}


@pytest.mark.parametrize(
    "change", [{}, {"keyterms": ["laces"]}, {"model": "gpt-5.1"}, {"language": "de"}]
)
async def test_calls_to_come_are_answered_by_the_new_one(change: dict[str, Any]) -> None:
    async with serving() as world:
        first = await place_call(world.plan("Hello?"))
        await world.app.renew(Agent(**(OTHER | change)))
        second = await place_call(world.plan("Hello?"))
        assert first.violations == second.violations == []
        assert first.transcript is not None and second.transcript is not None
        assert second.transcript["greeting"] == "Shoes. Hello?" != first.transcript["greeting"]
        assert "You sell shoes." in str(world.openai.requests[-1])
        assert world.violations == []


async def test_a_call_under_way_keeps_its_agent() -> None:
    openai = FakeOpenAI()
    async with serving(openai=openai) as world, asyncio.TaskGroup() as group:
        call = group.create_task(place_call(world.plan("Hello?", "And now?")))
        async with asyncio.timeout(20):
            while not openai.requests:
                await asyncio.sleep(0.01)
        await world.app.renew(Agent(**OTHER))
        result = await call
    assert result.transcript is not None
    assert len(result.transcript["turns"]) == 2
    assert "You sell shoes." not in str(openai.requests)
