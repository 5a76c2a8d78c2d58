"""An agent in a TOML file: its keys are Agent's fields, `[[answers]]` tables of Answer's."""

import tomllib
from collections.abc import Callable
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from voice_ai.agent import Agent, Answer, Tool
from voice_ai.errors import UsageError

LISTS = ("keyterms", "tools", "fillers", "moments")
SWITCHES = ("interruptible_greeting", "sends_digits")
NUMBERS = ("protected_ms", "max_call_s")


def read_agent(path: Path, find_tool: Callable[[str], Tool]) -> Agent:
    """Read an agent from a file.

    Args:
        path: of the file.
        find_tool: turns `module:function` into a tool, or raises UsageError.

    Raises:
        UsageError: names the file and everything that is wrong in it.
    """
    return _Reader(path, find_tool).agent()


class _Reader:
    """One file's reading; problems are gathered, so that all of them are told at once."""

    def __init__(self, path: Path, find_tool: Callable[[str], Tool]) -> None:
        self._path = path
        self._find_tool = find_tool
        self._problems: list[str] = []

    def agent(self) -> Agent:
        read = {name: self._value(name, found) for name, found in self._table().items()}
        needed = {
            field.name
            for field in fields(Agent)
            if field.default is MISSING and field.default_factory is MISSING
        }
        for name in sorted(needed - read.keys()):
            self._problems.append(f"{name}: missing")
        if self._problems:
            raise UsageError("\n".join((f"{self._path} is no agent:", *self._problems)))
        try:
            return Agent(**read)
        except UsageError as error:
            raise UsageError(f"{self._path} is no agent: {error}") from error

    def _table(self) -> dict[str, Any]:
        try:
            return tomllib.loads(self._path.read_text(encoding="utf-8"))
        except OSError as error:
            text = f"cannot read the agent's file {self._path}: {error.strerror}"
            raise UsageError(text) from error
        except ValueError as error:  # not TOML, or not UTF-8
            raise UsageError(f"{self._path} is not a TOML file: {error}") from error

    def _value(self, name: str, found: Any) -> Any:
        if name not in {field.name for field in fields(Agent)}:
            self._problems.append(f"{name}: unknown; known are {_names(Agent)}")
        elif name == "answers":
            return self._answers(found)
        elif name in LISTS:
            texts = self._texts(name, found)
            return self._tools(texts) if name == "tools" else texts
        elif name == "transfers":
            return self._transfers(found)
        elif name in SWITCHES:
            return self._switch(name, found)
        elif name in NUMBERS:
            return self._number(name, found)
        else:
            return self._text(name, found)
        return None

    def _answers(self, found: Any) -> list[Answer]:
        if not isinstance(found, list) or not all(isinstance(table, dict) for table in found):
            self._wrong("answers", "tables, each [[answers]]", found)
            return []
        return [self._answer(f"answers[{n}]", table) for n, table in enumerate(found)]

    def _answer(self, key: str, table: dict[str, Any]) -> Answer:
        for name in table.keys() - {"when", "say", "ends_call"}:
            self._problems.append(f"{key}.{name}: unknown; known are {_names(Answer)}")
        for name in ("when", "say"):
            if name not in table:
                self._problems.append(f"{key}.{name}: missing")
        ends_call = self._switch(f"{key}.ends_call", table.get("ends_call", False))
        when = self._texts(f"{key}.when", table["when"]) if "when" in table else []
        say = self._text(f"{key}.say", table["say"]) if "say" in table else ""
        return Answer(tuple(when), say, ends_call)

    def _transfers(self, found: Any) -> dict[str, str]:
        if isinstance(found, dict):
            return {label: self._text(f"transfers.{label}", text) for label, text in found.items()}
        self._wrong("transfers", "a table of names and numbers", found)
        return {}

    def _switch(self, key: str, found: Any) -> bool:
        if not isinstance(found, bool):
            self._wrong(key, "true or false", found)
        return found is True

    def _number(self, key: str, found: Any) -> float:
        if isinstance(found, bool) or not isinstance(found, int | float) or not found > 0:
            self._wrong(key, "a number above 0", found)
            return 1.0
        return float(found)

    def _tools(self, specs: list[str]) -> list[Tool | None]:
        return [self._tool(f"tools[{n}]", spec) for n, spec in enumerate(specs)]

    def _tool(self, key: str, spec: str) -> Tool | None:
        try:
            return self._find_tool(spec)
        except UsageError as error:
            self._problems.append(f"{key}: {error}")
            return None

    def _texts(self, key: str, found: Any) -> list[str]:
        if isinstance(found, list):
            return [self._text(f"{key}[{n}]", text) for n, text in enumerate(found)]
        self._wrong(key, "a list of texts", found)
        return []

    def _text(self, key: str, found: Any) -> str:
        if not isinstance(found, str):
            self._wrong(key, "a text", found)
            return ""
        if not found.strip():
            self._problems.append(f"{key}: empty")
        return found.strip()

    def _wrong(self, key: str, needed: str, found: Any) -> None:
        self._problems.append(f"{key}: needed {needed}, found {found!r}")


def _names(kind: type[Agent] | type[Answer]) -> str:
    return ", ".join(field.name for field in fields(kind))
