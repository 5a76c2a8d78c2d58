"""The layers of docs/ARCHITECTURE.md: who may import whom, and what the pure parts never touch."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src"
# Of our own package; the errors and the agent are for all.
MAY_IMPORT = {
    "codec": {"codec"},
    "wire": {"wire"},
    "turn": {"turn"},
    "providers": {"providers", "wire", "turn.events", "codec"},
    "call": {"call", "codec", "wire.twilio", "turn", "providers.protocols"},
    "phone": {"phone", "wire", "codec"},
    "server": {"server", "phone", "call", "providers", "wire", "turn", "codec", "__version__"},
    "__init__": {"codec"},
    "agent": set(),
    "errors": set(),
}
IMPURE = {"asyncio", "websockets", "logging", "time"}
NEVER = {
    "codec": IMPURE | {"orjson"},
    "wire": IMPURE,
    "turn": IMPURE | {"orjson", "random"},
}
ENVIRONMENT = {"os.environ", "os.environb", "os.getenv", "os.putenv"}


def mentioned(tree: ast.AST) -> Iterator[str]:
    """Every dotted name that is imported, looked up on a module, or given as an import string."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=module, names=names, level=level):
                yield from (f"{'.' * level}{module or ''}.{alias.name}" for alias in names)
            case ast.Attribute(value=ast.Name(id="os"), attr=attr):
                yield f"os.{attr}"
            case ast.Constant(value=str(text)) if text.startswith("voice_ai.providers."):
                yield text.partition(":")[0]


def below(name: str, tops: set[str]) -> bool:
    return any(name == top or name.startswith(f"{top}.") for top in tops)


def violations(layer: str, source: str) -> list[str]:
    own = {f"voice_ai.{name}" for name in MAY_IMPORT[layer] | {"errors", "agent"}}
    forbidden = NEVER.get(layer, set()) | (ENVIRONMENT if layer != "server" else set())
    return [
        name
        for name in mentioned(ast.parse(source))
        if (below(name, {"voice_ai"}) and not below(name, own))
        or below(name, forbidden)
        or name.startswith(".")
    ]


def layer_of(file: Path) -> str:
    parts = file.relative_to(SOURCE).with_suffix("").parts
    return parts[1] if parts[0] == "voice_ai" else "server"


@pytest.mark.parametrize(
    "file", sorted(SOURCE.rglob("*.py")), ids=lambda file: str(file.relative_to(SOURCE))
)
def test_a_file_stays_in_its_layer(file):
    assert violations(layer_of(file), file.read_text()) == []


@pytest.mark.parametrize(
    ("layer", "source"),
    [
        ("codec", "import asyncio"),
        ("codec", "def late():\n    from time import sleep"),
        ("codec", "import voice_ai"),
        ("wire", "from voice_ai.turn.events import StartOfTurn"),
        ("wire", "from ..codec import g711"),
        ("turn", "import random"),
        ("turn", "import asyncio.timeouts"),
        ("providers", "from voice_ai.turn import machine"),
        ("providers", "import os\nkey = os.environ['KEY']"),
        ("call", "from voice_ai.providers import deepgram"),
        ("call", "import_module('voice_ai.providers.deepgram:open')"),
        ("call", "from voice_ai.wire import flux"),
        ("phone", "from voice_ai.call.line import Line"),
        ("phone", "from os import getenv"),
        ("errors", "from voice_ai.codec import info"),
    ],
)
def test_the_rule_catches(layer, source):
    assert violations(layer, source)


@pytest.mark.parametrize(
    ("layer", "source"),
    [
        ("codec", "from voice_ai.errors import UsageError"),
        ("providers", "from voice_ai.turn.events import StartOfTurn"),
        ("call", "from voice_ai.providers.protocols import Voice"),
        ("server", "import os\nkey = os.environ['KEY']"),
    ],
)
def test_the_rule_lets_pass(layer, source):
    assert not violations(layer, source)
