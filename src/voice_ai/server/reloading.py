"""An agent taken anew for the calls to come, whenever its file or a module of its own has changed.

Its modules are imported again, in a thread, while calls go on with the old ones; one that cannot be
used is told in a line, and the old agent goes on.
"""

import asyncio
import importlib
import os
import sys
import sysconfig
import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import ModuleType
from typing import Final, TypeAlias

from voice_ai.agent import Agent
from voice_ai.errors import PeerError, UsageError
from voice_ai.server.agents import load_agent

Take: TypeAlias = Callable[[Agent], Awaitable[None]]
Tell: TypeAlias = Callable[[str], None]
# Files and when they were changed, in ns.
Seen: TypeAlias = dict[Path, int]

# Seconds between looks; and after a change until nothing changes any more: editors write a file in
# several steps, and several files one after the other.
POLL_S: Final = 1.0
SETTLE_S: Final = 0.2
# Modules that are nobody's agent: Python's own, what is installed, and ours.
FOREIGN: Final = tuple(
    Path(path).resolve()
    for path in {*sysconfig.get_paths().values(), str(Path(__file__).parents[1])}
)
RUN_MODULES: Final = ("__main__", "server")


async def watch(spec: str | None, take: Take, tell: Tell) -> None:
    """Have each new version of the agent taken, for as long as nobody cancels this.

    Args:
        spec: as in `load_agent`.
        take: has it answer from now on; what it raises is told.
        tell: told what became of each version.
    """
    seen = await asyncio.to_thread(_look, spec)
    tell(f"Watching {', '.join(sorted(path.name for path in seen)) or 'nothing: the agent ships'}.")
    while True:
        await asyncio.sleep(POLL_S)
        now = await asyncio.to_thread(_look, spec)
        if now == seen:
            continue
        before = await _settled(spec, now)
        told, after = await _renewed(spec, take)
        # What changes during the import is seen the next time; a module that came with it is new.
        seen = after | {path: changed for path, changed in before.items() if path in after}
        tell(told)


async def _settled(spec: str | None, now: Seen) -> Seen:
    while True:
        await asyncio.sleep(SETTLE_S)
        before, now = now, await asyncio.to_thread(_look, spec)
        if now == before:
            return now


async def _renewed(spec: str | None, take: Take) -> tuple[str, Seen]:
    """Return what became of a new version, in a line, and its files."""
    told = "Agent taken anew: it answers from the next call on."
    agent = why = None
    try:
        agent = await asyncio.to_thread(_load_anew, spec)
    except UsageError as error:
        why = "; ".join(str(error).splitlines())
    except Exception as error:  # the module is the user's own, and may do anything
        why = _described(error)
    seen = await asyncio.to_thread(_look, spec)
    try:
        if agent:
            await take(agent)
    except (UsageError, PeerError) as error:
        why = "; ".join(str(error).splitlines())
    return (f"Agent not taken, the old one goes on: {why}" if why else told), seen


def _described(error: Exception) -> str:
    """Tell an exception of the user's code with the place in that code, in a line."""
    place = ""
    for frame in traceback.extract_tb(error.__traceback__):
        if frame.filename.startswith(os.getcwd()) and not _is_foreign(frame.filename):
            place = f" ({Path(frame.filename).name}, line {frame.lineno})"
    return f"{type(error).__name__}: {' '.join(str(error).split())}{place}"


def _load_anew(spec: str | None) -> Agent:
    """Import the agent's modules again, and load it; if that fails they are as they were."""
    old = _modules()
    for name in old:
        del sys.modules[name]
    importlib.invalidate_caches()
    try:
        return load_agent(spec)
    except BaseException:
        for name in _modules():
            del sys.modules[name]
        sys.modules.update(old)
        raise


def _look(spec: str | None) -> Seen:
    """Return the agent's files and when they were changed; one that is gone is left out."""
    files = {Path(module.__file__) for module in _modules().values() if module.__file__}
    if spec and spec.endswith(".toml"):
        files.add(Path(spec).expanduser())
    seen = {}
    for file in files:
        try:
            seen[file] = file.stat().st_mtime_ns
        except OSError:
            continue
    return seen


def _modules() -> dict[str, ModuleType]:
    """Return the modules that have come from the folder where the server was started."""
    try:
        folder = os.path.join(os.getcwd(), "")
    except FileNotFoundError:  # somebody has removed it
        return {}
    found = {}
    for name, module in tuple(sys.modules.items()):
        file = getattr(module, "__file__", None) or ""
        if not file.startswith(folder) or name in RUN_MODULES:
            continue
        if not _is_foreign(file):
            found[name] = module
    return found


def _is_foreign(file: str) -> bool:
    return any(map(Path(file).resolve().is_relative_to, FOREIGN))
