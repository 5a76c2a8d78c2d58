"""The command line: `python -m server` serves, `call` calls it, `load` does so by the hundred.

With `dial` the running server calls somebody.
"""

import importlib
import sys
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn

import typer

from voice_ai.errors import PeerError, UsageError
from voice_ai.server.logs import redaction
from voice_ai.server.logs import set_up as set_up_log
from voice_ai.server.outside import Wishes
from voice_ai.server.redaction import Redaction
from voice_ai.server.settings import load_settings

# What may follow `--tunnel` as a word of its own.
TUNNELS: Final = (["ngrok"], ["cloudflared"])

cli = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


@cli.callback(invoke_without_command=True)
def serve(
    context: typer.Context,
    workers: Annotated[
        int | None, typer.Option(help="Processes that answer; else WORKERS.", show_default=False)
    ] = None,
    reuse_port: Annotated[
        bool, typer.Option("--reuse-port", help="Share the port with a server that is to go.")
    ] = False,
    cert: Annotated[
        str | None, typer.Option(help="PEM file, to speak TLS; else TLS_CERT.", show_default=False)
    ] = None,
    key: Annotated[
        str | None, typer.Option(help="Its private key; else TLS_KEY.", show_default=False)
    ] = None,
    tunnel: Annotated[
        str,
        typer.Option(
            metavar="[=ngrok|cloudflared]",
            help="Have a public URL as long as we run, by the one that is installed.",
        ),
    ] = "",
    number: Annotated[
        str,
        typer.Option(
            metavar="+1...",
            help="Point this number of the Twilio account here, and put it back at the end.",
        ),
    ] = "",
    reload: Annotated[
        bool, typer.Option("--reload", help="Take the agent anew for new calls when it changes.")
    ] = False,
) -> None:
    """Answer the phone: settings come from the environment and from `.env` (see the README)."""
    if context.invoked_subcommand is None:
        given = {
            "workers": workers,
            "reuse_port": reuse_port or None,
            "tls_cert": cert,
            "tls_key": key,
        }
        wishes = Wishes(tunnel, number, reload)
        _run("voice_ai.server.supervisor", "serve", wishes, given=given, coming=wishes.coming)


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
    options: dict[str, Any] = {
        "server": server,
        "wav": wav,
        "barge_in_ms": barge_in_ms,
        "json": json,
    }
    _run("voice_ai.server.placing", "call", files or [], text or [], **options)


@cli.command()
def dial(
    number: Annotated[str, typer.Argument(help="Whom to call, e.g. +15550100001.")],
    server: Annotated[str, typer.Option(help="The server's URL; else the running one.")] = "",
) -> None:
    """Have the running server call a number and talk to who answers; it needs OUTBOUND=1."""
    _run("voice_ai.server.dialling", "dial", number, server=server)


@cli.command()
def load(
    calls: Annotated[int, typer.Option(min=1, help="How many at once.")] = 10,
    seconds: Annotated[float, typer.Option(min=1, help="How long to measure.")] = 10.0,
    warmup: Annotated[float, typer.Option(min=0, help="Seconds before that, all calls up.")] = 3.0,
    sweep: Annotated[str, typer.Option(help="Several loads instead, e.g. 10,50,100.")] = "",
    program: Annotated[str, typer.Option(help="Start this instead of our server.")] = "",
    server: Annotated[str, typer.Option(help="The URL of one that runs.")] = "",
    pid: Annotated[int | None, typer.Option(help="Its process, to be measured.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Our server's processes.")] = 1,
    stt_audio: Annotated[str, typer.Option(help="What Flux is sent.")] = "linear16/16000",
    tts_audio: Annotated[str, typer.Option(help="What Aura sends.")] = "linear16/16000",
    tts_chunk_ms: Annotated[int, typer.Option(min=1, help="Aura's audio at a time.")] = 20,
    llm_ms: Annotated[float, typer.Option(min=0, help="The model's time to think.")] = 0.0,
    barge_in: Annotated[bool, typer.Option("--barge-in", help="Callers interrupt.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Have the list of calls open.")] = False,
    pin: Annotated[bool, typer.Option(help="Give the server CPUs of its own.")] = True,
    json: Annotated[bool, typer.Option("--json", help="Print only JSON.")] = False,
    out: Annotated[Path | None, typer.Option(help="Write JSON here.")] = None,
    picture: Annotated[Path | None, typer.Option(help="Draw CPU and lateness here.")] = None,
) -> None:
    """Put a load on a server with fakes of its services; print its cost and what it lost."""
    _run("voice_ai.server.loading", "load", **locals())


@cli.command()
def doctor(
    live: Annotated[
        bool, typer.Option("--live", help="Try the services, Twilio and the public URL, too.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print only JSON.")] = False,
) -> None:
    """Look for what keeps calls from working; say for each finding what to do."""
    command = importlib.import_module("voice_ai.server.doctor")
    raise SystemExit(command.doctor(live=live, json=json))


@cli.command()
def init(
    folder: Annotated[Path, typer.Argument(help="Where; it is made.")] = Path("."),
    toml: Annotated[bool, typer.Option("--toml", help="agent.toml, without code.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Write over what is there.")] = False,
) -> None:
    """Begin an agent of your own: its file and .env, with every setting explained."""
    try:
        beginning = importlib.import_module("voice_ai.server.beginning")
        beginning.begin(folder, toml=toml, force=force)
    except (UsageError, OSError) as error:
        _fail(error, 2, Redaction())


def _run(
    module: str,
    name: str,
    *args: Any,
    given: dict[str, Any] | None = None,
    coming: Collection[str] = (),
    **options: Any,
) -> None:
    """Run a command. Its module is imported now: to serve needs nothing of what calling needs.

    `given` are settings that stand above the environment; None leaves one to it. `coming` are those
    that the command will know.
    """
    clean: Callable[[str], str] = Redaction()
    try:
        above = {key: value for key, value in (given or {}).items() if value is not None}
        settings = load_settings(coming=coming, **above)
        clean = redaction(settings)
        set_up_log(settings)
        raise SystemExit(getattr(importlib.import_module(module), name)(settings, *args, **options))
    except (UsageError, OSError) as error:
        _fail(error, 2, clean)
    except PeerError as error:
        face = importlib.import_module("voice_ai.server.face")
        _fail(error, 1, clean, face.advice(settings, error))


def _fail(error: Exception, code: int, clean: Callable[[str], str], then: str = "") -> NoReturn:
    print(f"server: {clean(str(error))}{then}", file=sys.stderr)
    raise SystemExit(code)


def main() -> None:
    """Run the command line; a bare `--tunnel` means any, for which typer has no word."""
    arguments = sys.argv[1:]
    for place, argument in enumerate(arguments):
        if argument == "--tunnel" and arguments[place + 1 : place + 2] not in TUNNELS:
            arguments[place] = "--tunnel=auto"
    cli(arguments, prog_name="python -m server")
