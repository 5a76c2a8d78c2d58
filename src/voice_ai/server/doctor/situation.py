"""What the checks look at: the settings, as used and as written, the agent, machine and port."""

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from pydantic_settings import DotEnvSettingsSource

from voice_ai.agent import Agent
from voice_ai.call.threads import in_thread
from voice_ai.errors import UsageError
from voice_ai.server.agents import load_agent
from voice_ai.server.doctor.machine import Machine, this_machine
from voice_ai.server.doctor.port import Port, look_at_port
from voice_ai.server.logs import redaction
from voice_ai.server.redaction import Redaction
from voice_ai.server.settings import KEYS, Settings, read_settings

ENV_FILE: Final = Path(".env")
# Nobody waits for longer to see a server start; a module that serves at its import never ends.
AGENT_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Situation:
    """Everything is read once, before the checks; they change nothing.

    Args:
        settings: with the defaults for those that cannot be used.
        problems: what is wrong with them, a line each.
        environ: the environment.
        written: what `.env` has, by upper-case names.
        agent: None if it cannot be loaded, and `agent_problem` says why.
        port: who has the port of the settings.
        now: with its time zone.
        folder: where the server would start.
    """

    settings: Settings
    machine: Machine
    port: Port
    now: datetime
    folder: Path
    problems: tuple[str, ...] = ()
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)
    written: Mapping[str, str] = field(default_factory=dict, repr=False)
    agent: Agent | None = None
    agent_problem: str = ""

    def given(self, name: str) -> str:
        """Return a setting as it was written, the environment first; empty if nowhere."""
        by_upper = {key.upper(): value for key, value in self.environ.items()}
        return by_upper.get(name) or self.written.get(name, "")

    @property
    def model(self) -> str:
        """The language model that answers."""
        return (self.agent.model if self.agent else None) or self.settings.openai_model

    def clean(self, text: str) -> str:
        """Return a text without the secrets, those too that could not be used."""
        unusable = [self.given(name.upper()) for name in Settings.model_fields if _is_secret(name)]
        return redaction(self.settings)(Redaction(unusable)(text))


def _is_secret(name: str) -> bool:
    return name in KEYS or "SecretStr" in str(Settings.model_fields[name].annotation)


async def look_around() -> Situation:
    """Read everything. Imports the agent, which is its author's code, in a thread."""
    problems: list[str] = []
    try:
        settings, problems = read_settings(ENV_FILE)
    except UsageError as error:
        settings, others = read_settings(None)
        problems = [str(error), *others]
    async with asyncio.TaskGroup() as group:
        loading = group.create_task(_agent(settings))
        asking = group.create_task(in_thread(look_at_port, {"settings": settings}))
    agent, agent_problem = loading.result()
    return Situation(
        settings=settings,
        machine=this_machine(),
        port=asking.result(),
        now=datetime.now(UTC),
        folder=Path.cwd(),
        problems=tuple(problems),
        environ=dict(os.environ),
        written=_written(ENV_FILE),
        agent=agent,
        agent_problem=agent_problem,
    )


async def _agent(settings: Settings) -> tuple[Agent | None, str]:
    try:
        async with asyncio.timeout(AGENT_S):
            found: tuple[Agent | None, str] = await in_thread(_load, {"name": settings.agent})
            return found
    except TimeoutError:
        return None, f"{settings.agent} is still being imported after {AGENT_S:g} s"


def _load(name: str | None) -> tuple[Agent | None, str]:
    try:
        return load_agent(name), ""
    except UsageError as error:
        return None, str(error)
    except (Exception, SystemExit) as error:  # its author's code: whatever it raises is a finding
        return None, f"{name} raised {type(error).__name__}: {error}{_place(error)}"


def _place(error: BaseException) -> str:
    """Say where an agent's own code failed: the last line of it."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return ""
    return f" ({trace.tb_frame.f_code.co_filename}, line {trace.tb_lineno})"


def _written(env_file: Path) -> dict[str, str]:
    try:
        found = DotEnvSettingsSource(Settings, env_file=env_file, env_file_encoding="utf-8")
        return {name.upper(): value for name, value in found.env_vars.items() if value is not None}
    except (OSError, UnicodeDecodeError):
        return {}
