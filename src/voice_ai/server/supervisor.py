"""Several processes that answer one phone: started, watched, started again when one dies.

Each worker is `python -m server` with REUSE_PORT=1 and one loop: the kernel deals connections out
among them, and shared.py and siblings.py are what they know of each other. Nothing goes through
this process but what they print, so that none of them waits for it.
"""

import asyncio
import importlib
import importlib.metadata
import logging
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final, TextIO, cast

from prometheus_client.multiprocess import mark_process_dead

from voice_ai.errors import UsageError
from voice_ai.server.face import Screen, is_fact
from voice_ai.server.metrics import FOLDER_VARIABLE
from voice_ai.server.outside import Outside, Wishes, open_outside
from voice_ai.server.settings import Settings

logger = logging.getLogger(__name__)

# Names the supervisor's process to its workers, which go when it has gone.
PARENT_VARIABLE: Final = "VOICE_AI_SUPERVISOR"
# Seconds before a dead worker is followed by another: doubled while they die without having taken
# calls, up to the second.
BACK_OFF_S: Final = (0.1, 5.0)
# So many in a row that never took calls: the next will not either. Some 6 s with their pauses.
TRIES: Final = 6
# How a process ends that cannot use its settings; trying again does not change them.
USAGE_EXIT: Final = 2
# Octets of a worker's log that are shown again when it is given up.
LAST_WORDS_OCTETS: Final = 2048
LINE_OCTETS: Final = 1 << 20


def serve(settings: Settings, wishes: Wishes = Wishes()) -> int:  # noqa: B008 (it is frozen)
    """Answer the phone by as many processes as the settings say; returns the exit code.

    Raises:
        UsageError, PeerError: the server cannot do its work, and says why.
    """
    if settings.workers == 1:
        running = importlib.import_module("voice_ai.server.running")
        return cast(int, running.serve(settings, wishes))
    tell = Screen(sys.stdout)
    tell(f"voice_ai {importlib.metadata.version('voice_ai')}")
    with (
        _bound(settings) as port,
        tempfile.TemporaryDirectory(prefix="voice_ai-metrics-") as folder,
        open_outside(_shared(settings, port), wishes, tell) as outside,
    ):
        known = {
            "TLS_CERT": settings.tls_cert,
            "TLS_KEY": settings.tls_key,
            "PUBLIC_URL": outside.settings.public_url,
        }
        given = {name: str(value) for name, value in known.items() if value is not None}
        return asyncio.run(Supervisor(settings.workers, port, folder, given, outside).run())


def _shared(settings: Settings, port: int) -> Settings:
    """Return the settings as they are for all workers."""
    return settings.model_copy(update={"port": port, "reuse_port": True})


def send_signal(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    """Send a signal to a process that may just have ended.

    `Process.send_signal` raises when it has, and before Python 3.13 may take its exit code from
    who waits for it, who is then told 255 (python/cpython#87744).
    """
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.kill(process.pid, number)


def is_orphan() -> bool:
    """Whether this process is a worker whose supervisor is gone."""
    parent = os.environ.get(PARENT_VARIABLE)
    return parent is not None and os.getppid() != int(parent)


@dataclass(slots=True)
class Worker:
    """A process; `last_words` is the end of its log."""

    process: asyncio.subprocess.Process
    was_ready: bool = False
    last_words: bytes = b""


class Supervisor:
    """Keeps workers alive until it is told to stop or they cannot live.

    Args:
        n_workers: how many.
        port: which they listen on.
        folder: which they write their metrics into.
        given: variables that they are given beside our environment.
        outside: told when calls are taken, and when no more.
    """

    def __init__(
        self,
        n_workers: int,
        port: int,
        folder: str,
        given: Mapping[str, str] | None = None,
        outside: Outside | None = None,
    ) -> None:
        self._n_workers = n_workers
        self._outside = outside
        self._screen = Screen(sys.stdout)
        self._environment = (
            os.environ
            | (given or {})
            | {
                "WORKERS": "1",
                "REUSE_PORT": "1",
                "PORT": str(port),
                "PYTHONUNBUFFERED": "1",
                FOLDER_VARIABLE: folder,
                PARENT_VARIABLE: str(os.getpid()),
            }
        )
        self._folder = folder
        self._workers: dict[int, Worker] = {}
        self._told: set[str] = set()
        self._signal: signal.Signals | None = None
        self._stopping = asyncio.Event()
        self._exit_code = 0

    async def run(self) -> int:
        """Return the exit code once every worker has ended."""
        loop = asyncio.get_running_loop()
        for sent in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(sent, self._stop, sent)
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
            loop.add_signal_handler(signal.SIGHUP, self._stop, signal.SIGINT)
        async with asyncio.TaskGroup() as group:
            for number in range(1, self._n_workers + 1):
                group.create_task(self._keep(number))
        return self._exit_code

    def _stop(self, number: signal.Signals) -> None:
        """Pass a signal on: a worker knows what the first and the second mean."""
        self._signal = number
        self._stopping.set()
        if self._outside:
            self._outside.leave()
        for worker in self._workers.values():
            send_signal(worker.process, number)

    async def _keep(self, number: int) -> None:
        """Have a worker of this number for as long as we run."""
        n_failures = 0
        while not self._stopping.is_set():
            worker = await self._run(number)
            code = worker.process.returncode or 0
            self._exit_code = max(self._exit_code, code if self._stopping.is_set() else 0)
            if self._stopping.is_set():
                return
            n_failures = 1 if worker.was_ready else n_failures + 1
            logger.error("worker %d: ended with %d; the others go on", number, code)
            if n_failures >= TRIES or (code == USAGE_EXIT and not worker.was_ready):
                self._give_up(number, worker)
                return
            await self._pause(min(BACK_OFF_S[1], BACK_OFF_S[0] * 2 ** (n_failures - 1)))

    async def _pause(self, wait_s: float) -> None:
        try:
            async with asyncio.timeout(wait_s):
                await self._stopping.wait()
        except TimeoutError:
            return

    def _give_up(self, number: int, worker: Worker) -> None:
        """Go on with the others, or end when none of them takes calls."""
        words = worker.last_words.decode(errors="replace").strip()
        print(f"server: worker {number} is given up; its last words:\n{words}", file=sys.stderr)
        if not any(other.was_ready for other in self._workers.values()):
            self._exit_code = max(1, worker.process.returncode or 0)
            self._stop(signal.SIGTERM)

    async def _run(self, number: int) -> Worker:
        """Run one process to its end."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "server"),
            env=self._environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=LINE_OCTETS,
            start_new_session=True,  # what a terminal sends comes through us, and once
        )
        worker = self._workers[number] = Worker(process)
        if self._signal is not None:  # it came while this one was being born
            send_signal(process, self._signal)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._read_face(worker))
            group.create_task(self._read_log(worker))
            await process.wait()
        del self._workers[number]
        mark_process_dead(process.pid, self._folder)  # type: ignore[no-untyped-call]  # it has none
        return worker

    async def _read_face(self, worker: Worker) -> None:
        """Pass on what a worker prints; what all of them say is said once."""
        stdout = worker.process.stdout
        assert stdout is not None
        async for octets in stdout:
            line = octets.decode(errors="replace").rstrip("\n")
            match line.split(maxsplit=1):
                case ["Ready.", _]:
                    worker.was_ready = True
                    if self._all_ready():
                        self._tell_once("Ready.", line)
                case ["voice_ai", _]:
                    continue
                case [("Listening" | "Draining:" | "Stopped.") as first, *_]:
                    self._tell_once(first, line)
                case _ if is_fact(line):
                    self._tell_once(line, line)
                case _:
                    _pass_on(octets, sys.stdout)

    def _all_ready(self) -> bool:
        n_ready = sum(worker.was_ready for worker in self._workers.values())
        return n_ready == self._n_workers

    def _tell_once(self, first: str, line: str) -> None:
        if first not in self._told:
            self._told.add(first)
            self._screen(line)
            if self._outside and first == "Ready.":
                self._outside.ready()

    async def _read_log(self, worker: Worker) -> None:
        stderr = worker.process.stderr
        assert stderr is not None
        while octets := await stderr.read(LINE_OCTETS):
            worker.last_words = (worker.last_words + octets)[-LAST_WORDS_OCTETS:]
            _pass_on(octets, sys.stderr)


def _pass_on(octets: bytes, stream: TextIO) -> None:
    """Write what a worker has said; that nobody reads it any more ends no call."""
    with suppress(OSError):
        stream.buffer.write(octets)
        stream.flush()


@contextmanager
def _bound(settings: Settings) -> Iterator[int]:
    """Hold the port that the workers will share, and yield its number."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    port = settings.port
    try:
        if not settings.reuse_port:  # somebody else's is not to be shared by mistake
            with socket.create_server((settings.host, port), family=family) as probe:
                port = probe.getsockname()[1]
        with socket.socket(family, socket.SOCK_STREAM) as held:
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            held.bind((settings.host, port))
            yield port
    except OSError as error:
        text = f"port {settings.port} on {settings.host} cannot be had: {error.strerror or error}"
        raise UsageError(text) from error
