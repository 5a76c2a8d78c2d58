"""The command line: `python -m server` serves, `python -m server call FILE.wav` places a call."""

import asyncio
import importlib.metadata
import logging
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer
import uvloop

from voice_ai.codec import ulaw_encode
from voice_ai.errors import PeerError, UsageError
from voice_ai.phone import tones
from voice_ai.phone.recording import read_recording, write_stereo
from voice_ai.phone.report import as_json, as_text
from voice_ai.server.agents import load_agent
from voice_ai.server.app import run
from voice_ai.server.placing import place
from voice_ai.server.settings import Settings, load_settings

cli = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)

LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


@cli.callback(invoke_without_command=True)
def serve(context: typer.Context) -> None:
    """Answer the phone: settings come from the environment and from `.env` (see the README)."""
    if context.invoked_subcommand is not None:
        return
    try:
        settings = load_settings()
        _log(settings)
        agent = load_agent(settings.agent)
        print(f"voice_ai {importlib.metadata.version('voice_ai')}", flush=True)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop, debug=settings.debug) as runner:
            runner.run(run(settings, agent, lambda line: print(line, flush=True)))
    except UsageError as error:
        _fail(error, 2)
    except PeerError as error:
        _fail(error, 1)


@cli.command()
def call(
    files: Annotated[list[Path] | None, typer.Argument(help="Recordings, one a turn.")] = None,
    text: Annotated[
        list[str] | None,
        typer.Option(help="Typed words for a turn, as tones that a fake recogniser reads."),
    ] = None,
    server: Annotated[
        str, typer.Option(help="The server's URL; by default the running one, or one of our own.")
    ] = "",
    wav: Annotated[Path, typer.Option(help="Where to write what was said and heard.")] = Path("call.wav"),
    barge_in_ms: Annotated[
        float | None, typer.Option(help="Interrupt a reply so long after its first sound.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print only JSON.")] = False,
) -> None:
    """Place a call with recorded voices, as Twilio would; print what was said and how long it took."""
    try:
        settings = load_settings()
        utterances = [read_recording(file) for file in files or []]
        utterances += [ulaw_encode(tones.encode(words)) for words in text or []]
        if not utterances:
            raise UsageError("0 turns to speak, at least 1 is needed: name a WAV file or give --text")
        result = asyncio.run(place(settings, utterances, server, barge_in_ms))
        if not result.refused:
            write_stereo(wav, result.said, result.heard)
            result.wav = str(wav)
    except (UsageError, OSError) as error:
        _fail(error, 2)
    except PeerError as error:
        _fail(error, 1)
    print(as_json(result) if json else as_text(result))
    raise SystemExit(1 if result.refused or result.violations else 0)


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
