"""Find the agent that answers: the one that ships, one in a Python module, one in a TOML file."""

import os
import sys
from importlib import import_module
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from voice_ai.agent import Agent, Tool, tool
from voice_ai.errors import UsageError
from voice_ai.server.agent_file import read_agent

FORMS = "module:attribute or a .toml file"


def load_agent(spec: str | None) -> Agent:
    """Return an agent.

    Args:
        spec: `module:attribute`, found from the current folder on; or the path of a file that ends
            in `.toml`, whose keys are Agent's fields; None for the front desk that ships.

    Raises:
        UsageError: says what was found instead; for a file, everything that is wrong with it.
    """
    if spec is None:
        with as_file(files("voice_ai.server") / "front_desk.toml") as path:
            return read_agent(path, find_tool)
    if spec.endswith(".toml"):
        return read_agent(Path(spec).expanduser(), find_tool)
    found = find(spec)
    if not isinstance(found, Agent):
        raise UsageError(f"{spec} is {_described(found)}, needed an Agent")
    return found


def find_tool(spec: str) -> Tool:
    """Return a tool, or a function with a docstring made into one, named as `module:function`.

    Raises:
        UsageError: there is none of that name, or it is something else.
    """
    found = find(spec)
    if isinstance(found, Tool):
        return found
    if not callable(found) or isinstance(found, type):
        raise UsageError(f"{spec} is {_described(found)}, needed a function")
    return tool(found)


def find(spec: str) -> Any:
    """Import what `module:attribute` names, with the current folder on the path, as uvicorn does.

    What the module itself raises is raised as it is: its author needs the traceback.

    Raises:
        UsageError: it is of another form, or the module or the attribute is missing.
    """
    module_name, _, attribute = spec.partition(":")
    parts = [*module_name.split("."), *attribute.split(".")]
    if not all(part.isidentifier() for part in parts):
        raise UsageError(f"{spec!r} names nothing, needed {FORMS}")
    found: Any = _imported(module_name)
    for name in attribute.split("."):
        if not hasattr(found, name):
            raise UsageError(f"{module_name} has no {attribute!r}{_where(found)}")
        found = getattr(found, name)
    return found


def _imported(name: str) -> Any:
    folder = os.getcwd()
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise UsageError(f"there is no module {name!r} in {folder} or installed") from error
        raise UsageError(f"{name} needs a module that is not installed: {error.name}") from error
    except SyntaxError as error:
        raise UsageError(f"{error.filename}, line {error.lineno}: {error.msg}") from error


def _where(found: Any) -> str:
    place = getattr(found, "__file__", None)
    return f" ({place})" if place else ""


def _described(found: Any) -> str:
    """What an object is, for somebody who expected another."""
    if isinstance(found, type):
        return f"the class {found.__name__}"
    return f"of type {type(found).__name__}"
