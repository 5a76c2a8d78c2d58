"""The command line: `python -m server` serves, with `call` calls it, with `dial` has it call."""

import importlib
import logging
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from voice_ai.errors import PeerError, UsageError
from voice_ai.server.settings import Settings, load_settings

cli = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)

LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


@cli.callback(invoke_without_command=True)
def serve(context: typer.Context) -> None:
    """Answer the phone: settings come from the environment and from `.env` (see the README)."""
    if context.invoked_subcommand is None:
        _run("voice_ai.server.app", "serve")


@cli.command()
def call(
    files: Annotated[
        list[Path] | None, typer.Argument(help="Recordings, one turn each.", show_default=False)
    ] = None,
    text: Annotated[
        list[str] | None,
        typer.Option(help="Typed words for a turn, as tones that a fake recogniser reads."),
    ] = None,
    server: Annotated[
        str, typer.Option(help="The server's URL; else the running one, or one started for this.")
    ] = "",
    wav: Annotated[Path, typer.Option(help="Where to write both sides, as heard.")] = Path(
        "call.wav"
    ),
    barge_in_ms: Annotated[
        float | None, typer.Option(help="Interrupt a reply so long after its first sound.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print only JSON.")] = False,
) -> None:
    """Place a call with recorded voices, as Twilio would; print what was said and the latencies."""
    options = {"server": server, "wav": wav, "barge_in_ms": barge_in_ms, "json": json}
    _run("voice_ai.server.placing", "call", files or [], text or [], **options)


@cli.command()
def dial(
    number: Annotated[str, typer.Argument(help="Whom to call, e.g. +15550100001.")],
    server: Annotated[str, typer.Option(help="The server's URL; else the running one.")] = "",
) -> None:
    """Have the running server call a number and talk to who answers; it needs OUTBOUND=1."""
    _run("voice_ai.server.dialling", "dial", number, server=server)


def _run(module: str, name: str, *args: Any, **options: Any) -> None:
    """Run a command. Its module is imported now: to serve needs nothing of what calling needs."""
    try:
        settings = load_settings()
        _log(settings)
        raise SystemExit(getattr(importlib.import_module(module), name)(settings, *args, **options))
    except (UsageError, OSError) as error:
        _fail(error, 2)
    except PeerError as error:
        _fail(error, 1)


def _log(settings: Settings) -> None:
    """Log our own modules only: an SDK's debug log holds headers and payloads."""
    logging.basicConfig(format=LOG_FORMAT, level=logging.WARNING, stream=sys.stderr)
    logging.getLogger("voice_ai").setLevel(logging.DEBUG if settings.debug else logging.INFO)


def _fail(error: Exception, code: int) -> NoReturn:
    print(f"server: {error}", file=sys.stderr)
    raise SystemExit(code)


def main() -> None:
    """Run the command line."""
    cli(prog_name="python -m server")
