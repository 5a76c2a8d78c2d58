"""Putting a load on a server from the command line: the services, the server, the callers' run."""

import asyncio
import importlib
import os
import secrets
import shlex
import signal
import socket
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import orjson
import uvloop

from voice_ai.errors import PeerError, UsageError
from voice_ai.phone.load.behind import Behind, ServicesPlan, services
from voice_ai.phone.load.progress import Progress
from voice_ai.phone.load.report import document
from voice_ai.phone.load.run import LoadPlan, Measured
from voice_ai.phone.load.run import load as run
from voice_ai.phone.load.table import as_rows, as_text
from voice_ai.phone.plan import CallPlan
from voice_ai.server.own import SERVE, running
from voice_ai.server.settings import Settings

# As Twilio would call it: a name that exists nowhere.
PUBLIC_URL = "https://load.example"
# More calls than one process of callers and one of services can carry on a core.
MAX_CALLS = 2000
# How often the page of the calls asks for them, and how long it waits.
WATCH_EVERY_S = 1.0
WATCH_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The command's options, by their names."""

    calls: int
    seconds: float
    warmup: float
    program: str
    server: str
    pid: int | None
    stt_audio: str
    tts_audio: str
    tts_chunk_ms: int
    llm_ms: float
    barge_in: bool
    watch: bool
    workers: int
    pin: bool
    sweep: str
    json: bool
    out: Path | None
    picture: Path | None

    def numbers(self) -> list[int]:
        """Return how many calls each load has.

        Raises:
            UsageError: they are no numbers, or not from 1 to `MAX_CALLS`.
        """
        try:
            numbers = [int(n) for n in self.sweep.split(",")] if self.sweep else [self.calls]
        except ValueError:
            raise UsageError(f"--sweep is {self.sweep!r}; needed e.g. 10,50,100") from None
        for n in numbers:
            if not 1 <= n <= MAX_CALLS:
                raise UsageError(f"a load of {n} calls; from 1 to {MAX_CALLS} can be made")
        return numbers

    def check(self) -> None:
        """Refuse what does not go together, or cannot be written, before the load and not after.

        Raises:
            UsageError: it says what.
        """
        if self.server and (self.program or self.workers > 1):
            raise UsageError("--server runs already: --program and --workers start another")
        if self.pid is not None and not self.server:
            raise UsageError("--pid needs --server; a server that is started here is known")
        _command(self)
        for file in (self.out, self.picture):
            if file is not None and not file.parent.is_dir():
                raise UsageError(f"cannot write {file}: there is no folder {file.parent}")
        if self.picture is not None:
            _draw()


def load(settings: Settings, **options: Any) -> int:
    """Put loads on a server, one after another, and print what came of them.

    Returns:
        The exit code: 0, or 1 if one of them is not valid or lost anything.

    Raises:
        UsageError: the options cannot be used.
        PeerError: the server or the services did not come up, or went away.
    """
    chosen = Options(**options)
    numbers = chosen.numbers()
    chosen.check()
    results = []
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        for n_calls in numbers:
            try:
                results.append(runner.run(_load(settings, chosen, n_calls)))
            except asyncio.CancelledError:
                raise PeerError("ended by a signal") from None
            if not chosen.json and len(numbers) > 1:
                print(as_text(results[-1]), end="\n\n", flush=True)
    _tell(chosen, results)
    return 0 if all(result["ok"] for result in results) else 1


def _tell(options: Options, results: list[dict[str, Any]]) -> None:
    whole = {"sweep": results} if options.sweep else results[0]
    octets = orjson.dumps(whole, option=orjson.OPT_INDENT_2)
    if options.json:
        print(octets.decode())
    else:
        print(as_rows(results) if options.sweep else as_text(results[0]))
    if options.out is not None:
        options.out.write_bytes(octets + b"\n")
    if options.picture is not None:
        _draw()(results, options.picture)


def _draw() -> Callable[[list[dict[str, Any]], Path], None]:
    """Find what draws: without matplotlib a load can still be made.

    Raises:
        UsageError: it is not installed.
    """
    try:
        module = importlib.import_module("voice_ai.phone.load.picture")
    except ModuleNotFoundError as missing:
        raise UsageError(
            f"{missing.name} is not installed; --picture needs it: pip install 'voice_ai[load]'"
        ) from missing
    draw: Callable[[list[dict[str, Any]], Path], None] = module.draw
    return draw


async def _load(settings: Settings, options: Options, n_calls: int) -> dict[str, Any]:
    task = asyncio.current_task()
    assert task is not None
    # Ended by this signal too it leaves no process behind.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    progress = Progress(f"{n_calls} calls", quiet=options.json)
    progress.tell("starting", 0, 1)
    try:
        with _pinned(options) as (cpus, rest):
            async with (
                _server(settings, options, n_calls, cpus) as (plan, behind),
                _watching(plan.call.server_url) if options.watch else nullcontext(),
            ):
                measured: Measured = await run(plan, behind, progress.tell)
    finally:
        progress.done()
    return document(measured, _how(options, cpus, rest))


def _how(options: Options, cpus: set[int], rest: set[int]) -> dict[str, Any]:
    return {
        "program": options.program or options.server or None,
        "stt_audio": options.stt_audio,
        "tts_audio": options.tts_audio,
        "tts_chunk_ms": options.tts_chunk_ms,
        "llm_ms": options.llm_ms,
        "barge_in": options.barge_in,
        "watched": options.watch,
        "workers": options.workers,
        "warmup_s": options.warmup,
        "cpus": {"server": sorted(cpus), "rig": sorted(rest)} if cpus else None,
    }


@asynccontextmanager
async def _watching(url: str) -> AsyncIterator[None]:
    """Have the console's list of calls looked at meanwhile, as its page does."""
    async with asyncio.TaskGroup() as group:
        looking = group.create_task(_watch(url))
        try:
            yield
        finally:
            looking.cancel()


async def _watch(url: str) -> None:
    async with httpx.AsyncClient(timeout=WATCH_TIMEOUT_S) as http:
        while True:
            try:
                (await http.get(f"{url}/api/calls", params={"limit": 50})).raise_for_status()
            except httpx.HTTPError as error:
                raise PeerError(f"{url}/api/calls cannot be looked at: {error!r}") from error
            await asyncio.sleep(WATCH_EVERY_S)


@asynccontextmanager
async def _server(
    settings: Settings, options: Options, n_calls: int, cpus: set[int]
) -> AsyncIterator[tuple[LoadPlan, Behind | None]]:
    """Have a server: the one that was named, or one that is started, with services behind it."""
    if options.server:
        token = settings.twilio_auth_token
        named = CallPlan(
            server_url=options.server.rstrip("/"),
            utterances=(),
            public_url=settings.public_url or "",
            auth_token=token.get_secret_value() if token else "",
        )
        yield _plan(options, n_calls, named, options.pid), None
        return
    token_hex = secrets.token_hex(16)
    port = _free_port()
    async with AsyncExitStack() as stack:
        behind = await stack.enter_async_context(services(_services_plan(options)))
        environment = _environment(options, n_calls, behind) | {
            "PORT": str(port),
            "TWILIO_AUTH_TOKEN": token_hex,
            # Its calls are nobody's: they go with it.
            "DATA_DIR": stack.enter_context(tempfile.TemporaryDirectory(prefix="voice_ai-load-")),
        }
        url = f"http://127.0.0.1:{port}"
        server = await stack.enter_async_context(
            running(_command(options), environment, url=url, cpus=cpus)
        )
        own = CallPlan(server_url=url, utterances=(), public_url=PUBLIC_URL, auth_token=token_hex)
        yield _plan(options, n_calls, own, server.pid), behind


def _plan(options: Options, n_calls: int, call: CallPlan, pid: int | None) -> LoadPlan:
    return LoadPlan(
        call=call, n_calls=n_calls, seconds=options.seconds, warmup_s=options.warmup, pid=pid
    )


def _services_plan(options: Options) -> ServicesPlan:
    return ServicesPlan(
        tts_chunk_ms=options.tts_chunk_ms,
        llm_first_token_ms=options.llm_ms,
        barge_in=options.barge_in,
    )


def _command(options: Options) -> list[str]:
    """Return what is run.

    Raises:
        UsageError: the program's line cannot be read.
    """
    if options.program:
        try:
            return shlex.split(options.program)
        except ValueError as error:
            raise UsageError(f"--program is {options.program!r}: {error}") from None
    return [*SERVE, *(("--workers", str(options.workers)) if options.workers > 1 else ())]


def _environment(options: Options, n_calls: int, behind: Behind) -> dict[str, str]:
    """Return what the server is told: everything else is as this process has it."""
    providers = {"STT": "deepgram", "LLM": "openai", "TTS": "deepgram"}
    limits = ("MAX_CALLS", "FLUX_CONCURRENCY", "AURA_CONCURRENCY", "LLM_CONCURRENCY")
    return {
        "HOST": "127.0.0.1",
        "PYTHONUNBUFFERED": "1",
        "TLS_CERT": "",
        "TLS_KEY": "",
        "DEEPGRAM_API_KEY": "load",
        "OPENAI_API_KEY": "load",
        "DEEPGRAM_URL": behind.deepgram_url,
        "OPENAI_BASE_URL": behind.openai_base_url,
        "OPENAI_MODEL": "gpt-5.6-luna",
        "STT_AUDIO": options.stt_audio,
        "TTS_AUDIO": options.tts_audio,
        "PUBLIC_URL": PUBLIC_URL,
        **providers,
        **dict.fromkeys(limits, str(n_calls)),
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def _pinned(options: Options) -> Iterator[tuple[set[int], set[int]]]:
    """Keep the server's CPUs to itself: this process and its services use the others.

    Nothing is pinned with one CPU only, nor where the system cannot.
    """
    if not (options.pin and hasattr(os, "sched_setaffinity")) or options.server:
        yield set(), set()
        return
    all_cpus = os.sched_getaffinity(0)
    n_server = min(options.workers, len(all_cpus) - 1)
    if n_server < 1:
        yield set(), set()
        return
    server = set(sorted(all_cpus)[:n_server])
    os.sched_setaffinity(0, all_cpus - server)
    try:
        yield server, all_cpus - server
    finally:
        os.sched_setaffinity(0, all_cpus)
