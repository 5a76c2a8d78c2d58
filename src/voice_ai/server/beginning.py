"""`python -m server init`: an agent to begin with, and `.env` with every setting explained.

The settings are those of the model, and what is said of them is what the README's table says: it is
the package's own description, or stands beside the source. So nothing here can go stale.
"""

import importlib.metadata
import os
import re
import shlex
import textwrap
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Final

from voice_ai.errors import UsageError
from voice_ai.server.settings import KEYS, Settings

PACKAGE: Final = "voice_ai"
WIDTH: Final = 100
SECTION: Final = re.compile(r"^## Settings\n(.*?)(?=^\| route)", re.DOTALL | re.MULTILINE)
ROW: Final = re.compile(r"^\| (`[A-Z_`, ]+`) \| (.*) \|$", re.MULTILINE)
# What the keys decide where nothing else does.
BY_KEYS: Final = {role.upper() for roles in KEYS.values() for role in roles}
# Only its owner reads it: keys will be in it.
PRIVATE: Final = 0o600
HEAD: Final = """\
Settings of `python -m server`, each with its default. To set one, take the `#` before it away.
Variables of the environment stand above this file. Keep it to yourself: keys are in it."""


@dataclass(frozen=True, slots=True)
class Row:
    """Some settings, and what the README says of them."""

    names: tuple[str, ...]
    text: str


def begin(folder: Path, *, toml: bool, force: bool) -> None:
    """Write an agent and `.env` into a folder, and print what to do next.

    Raises:
        UsageError: one of them is there already, and is not to be written over.
        OSError: they cannot be written.
    """
    name = "agent.toml" if toml else "agent.py"
    agent, env = folder / name, folder / ".env"
    there = [str(path) for path in (agent, env) if path.exists()]
    if there and not force:
        raise UsageError(f"{' and '.join(there)} exist; --force writes over them")
    folder.mkdir(parents=True, exist_ok=True)
    agent.write_text(_template(name), encoding="utf-8")
    _write_private(env, dotenv(name if toml else "agent:agent"))
    print(f"Wrote {agent} and {env}. Next:\n")
    for command in _next(folder):
        print(f"  {command}")


def _next(folder: Path) -> list[str]:
    """Return the two commands that follow."""
    python = "python -m server"
    here = folder.resolve() == Path.cwd()
    go = "" if here else f"cd {shlex.quote(str(folder))} && "
    return [
        f"{go}{python} --reload              # then open http://127.0.0.1:8000/",
        f"{go}{python} --tunnel --number +1...   # a phone number; keys first, in .env",
    ]


def dotenv(agent: str) -> str:
    """Return `.env` for an agent, with every setting in it, each but AGENT commented out."""
    blocks = [_comment(HEAD)]
    for row in rows():
        lines = [_comment(row.text)]
        for name in row.names:
            lines.append(f"AGENT={agent}" if name == "AGENT" else f"#{name}={_default(name)}")
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks) + "\n"


def rows() -> Iterator[Row]:
    """Yield the README's rows about settings; then, nameless, the settings that it forgets."""
    known = {name.upper() for name in Settings.model_fields}
    section = SECTION.search(_readme())
    for names, text in ROW.findall(section[1] if section else ""):
        listed = tuple(n for n in re.findall(r"[A-Z_]+", names) if n in known)
        if listed:
            known.difference_update(listed)
            yield Row(listed, text.replace("`", ""))
    if known:
        yield Row(tuple(sorted(known)), "see the README")


def _default(name: str) -> str:
    """Return a setting's default as an environment variable has it; empty for none."""
    default = Settings.model_fields[name.lower()].default
    if name in BY_KEYS:
        return ""
    match default:
        case None | () | []:
            return ""
        case bool():
            return str(int(default))
        case tuple() | list():
            return ",".join(map(str, default))
        case str() if " " in default:
            return f'"{default}"'
    return str(default)


def _readme() -> str:
    beside = Path(__file__).parents[3] / "README.md"
    with suppress(OSError):
        return beside.read_text(encoding="utf-8")
    found = importlib.metadata.metadata(PACKAGE).json.get("description", "")
    return found if isinstance(found, str) else ""


def _comment(text: str) -> str:
    lines = [part for line in text.splitlines() for part in textwrap.wrap(line, WIDTH - 2)]
    return "\n".join(f"# {line}" for line in lines)


def _template(name: str) -> str:
    return (files("voice_ai.server") / "templates" / f"{name}.txt").read_text(encoding="utf-8")


def _write_private(path: Path, text: str) -> None:
    with suppress(FileNotFoundError):  # its mode would stay as it is
        path.unlink()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
