"""Situations for the doctor's checks: a quiet machine with nothing set, and what a test changes."""

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fakes.deepgram import KEY
from voice_ai import Agent
from voice_ai.server.doctor.machine import Machine
from voice_ai.server.doctor.outcome import Check, Outcome
from voice_ai.server.doctor.port import Port
from voice_ai.server.doctor.situation import Situation
from voice_ai.server.settings import Settings

PUBLIC_URL = "https://phone.example.com"
AUTH_TOKEN = "0123456789abcdef0123456789abcdef"
OPENAI_KEY = "sk-proj-0123456789abcdefghij"
KEYS = {"deepgram_api_key": KEY, "openai_api_key": OPENAI_KEY, "openai_model": "gpt-5.6-luna"}
PUBLIC = {"public_url": PUBLIC_URL, "twilio_auth_token": AUTH_TOKEN}
AGENT = Agent(instructions="You answer the phone.")
MACHINE = Machine(
    arch="x86_64",
    python=(3, 12, 1),
    n_cpus=2,
    memory_octets=8 * 1024**3,
    max_descriptors=10_240,
    is_clock_kept=True,
    migrates_requests=True,
    in_container=False,
)
NOBODY = Port("nobody", "http://127.0.0.1:8000")


def situation(
    *,
    machine: Mapping[str, Any] | None = None,
    port: Port = NOBODY,
    agent: Agent | None = AGENT,
    now: datetime = datetime(2026, 11, 1, 12, 0, tzinfo=UTC),
    folder: Path = Path("/nowhere"),
    environ: Mapping[str, str] | None = None,
    written: Mapping[str, str] | None = None,
    problems: tuple[str, ...] = (),
    **settings: Any,
) -> Situation:
    """Return a situation with these settings, the environment as if they came from there."""
    made = Settings(_env_file=None, **settings)
    shown = {name.upper(): str(value) for name, value in settings.items()}
    return Situation(
        settings=made,
        machine=replace(MACHINE, **(machine or {})),
        port=port,
        now=now,
        folder=folder,
        problems=problems,
        environ=shown if environ is None else environ,
        written=written or {},
        agent=agent,
        agent_problem="" if agent else "there is no module 'shop'",
    )


def look(check: Check, where: Situation) -> Outcome:
    """Run a check of this machine."""
    assert check.look is not None
    return check.look(where)


async def attempt(check: Check, where: Situation) -> Outcome:
    """Run a check that tries a service."""
    assert check.attempt is not None
    return await check.attempt(where)


@asynccontextmanager
async def hanging() -> AsyncIterator[int]:
    """A port that takes connections and never answers."""
    writers: list[asyncio.StreamWriter] = []

    async def hold(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)

    async with await asyncio.start_server(hold, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]
        for writer in writers:
            writer.close()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])
