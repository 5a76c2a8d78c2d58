"""A public address for a server on this machine: ngrok or cloudflared, run for as long as we are.

It is the child of a shell that ends it as soon as its standard input ends, and that is a pipe which
we hold: so it goes with us, be it by a second signal or by SIGKILL. Threads and blocking calls: the
tunnel is opened before there is a loop.
"""

import logging
import os
import queue
import re
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, cast
from urllib.parse import urlsplit

import orjson

from voice_ai.errors import PeerError, UsageError
from voice_ai.server.settings import PUBLIC_URL

logger = logging.getLogger(__name__)

Program: TypeAlias = Literal["ngrok", "cloudflared"]

PROGRAMS: Final[tuple[Program, ...]] = ("ngrok", "cloudflared")
# Seconds until a tunnel must have told its address. cloudflared gives its own service 15
# (cmd/cloudflared/tunnel/quick_tunnel.go, httpTimeout).
URL_WITHIN_S: Final = 20.0
# Seconds that a tunnel has to end by itself once its input has ended; after half of them the shell
# kills it.
END_WITHIN_S: Final = 4.0
# What is told of its last words when it fails.
MAX_TOLD_CHARS: Final = 300
# The address of a quick tunnel; the same domain's `api` is the service that gives them out.
TRYCLOUDFLARE: Final = re.compile(r"https://(?!api\.)[a-z0-9-]+\.trycloudflare\.com")
# Domains of which ngrok gives an account names of its own, which are then asked for.
NGROK_DOMAINS: Final = (".ngrok.app", ".ngrok.dev", ".ngrok-free.app", ".ngrok-free.dev")
NGROK_CODE: Final = re.compile(r"ERR_NGROK_\d+")
INSTALL: Final = """
  ngrok: https://ngrok.com/download, a free account, `ngrok config add-authtoken ...`
  cloudflared, no account: https://github.com/cloudflare/cloudflared/releases"""
# Ends "$@" when our standard input does, and ends with its exit code when it ends by itself.
GUARD: Final = """
exec 3<&0
"$@" </dev/null 3<&- &
child=$!
(
    exec >/dev/null 2>&1
    read -r _ <&3
    kill "$child"
    sleep {grace_s}
    kill -9 "$child"
) &
guard=$!
wait "$child"
code=$?
kill "$guard" 2>/dev/null
exit "$code"
"""


def choose(wanted: str) -> Program:
    """Return the program that is to be run: the one that is wanted, or the first one installed.

    Raises:
        UsageError: it is none that we know, or is not installed; with what to do.
    """
    if wanted not in (*PROGRAMS, "auto"):
        raise UsageError(f"--tunnel={wanted} is not known, needed {' or '.join(PROGRAMS)}")
    names = PROGRAMS if wanted == "auto" else (cast(Program, wanted),)
    for name in names:
        if shutil.which(name):
            return name
    raise UsageError(f"--tunnel needs {' or '.join(names)}, not found on PATH; install:{INSTALL}")


@contextmanager
def open_tunnel(program: Program, local: str, wanted_url: str | None = None) -> Iterator[str]:
    """Run a tunnel until the block ends; yields the public URL.

    Args:
        program: see `choose`.
        local: where we listen, e.g. `http://127.0.0.1:8000`.
        wanted_url: our own public URL; asked for where it is one of ngrok's domains.

    Raises:
        PeerError: it ended early or told no address, with its own last words.
    """
    process = subprocess.Popen(
        ["/bin/sh", "-c", GUARD.format(grace_s=END_WITHIN_S / 2), "sh"]
        + _command(program, local, wanted_url),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,  # what a terminal sends is for us; the tunnel goes after us
    )
    listening = _Listening(program, process)
    try:
        yield listening.url()
    finally:
        listening.expects_end = True
        _end(process)
        listening.join()


def _command(program: Program, local: str, wanted_url: str | None) -> list[str]:
    """Return the command line.

    Source: ngrok.com/docs/agent/cli; developers.cloudflare.com, "Tunnel run parameters". Without
    another `--config` cloudflared takes the ingress rules of the user's own, which know nothing of
    the quick tunnel's name and answer 404.
    """
    if program == "ngrok":
        host = urlsplit(wanted_url or "").hostname or ""
        named = [f"--url={wanted_url}"] if host.endswith(NGROK_DOMAINS) else []
        return ["ngrok", "http", local, "--log=stdout", "--log-format=json", *named]
    anyhow = ["--no-tls-verify"] if local.startswith("https:") else []
    base = ["cloudflared", "tunnel", "--no-autoupdate", "--config", os.devnull]
    return [*base, *anyhow, "--url", local]


class _Listening:
    """A thread that reads all that a tunnel says: one that nobody reads would stop in the end."""

    def __init__(self, program: Program, process: subprocess.Popen[bytes]) -> None:
        self.expects_end = False
        self._program = program
        self._process = process
        self._last_words = ""
        # One item: the address, or None when the tunnel ended without telling any.
        self._told: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._read, name=program, daemon=True)
        self._thread.start()

    def url(self) -> str:
        """Return the address once it is told."""
        try:
            url = self._told.get(timeout=URL_WITHIN_S)
        except queue.Empty:
            raise self._failure(f"told no address within {URL_WITHIN_S:g} s") from None
        if url is None:
            with suppress(subprocess.TimeoutExpired):  # its output has ended, so it has, or will
                self._process.wait(END_WITHIN_S)
            raise self._failure(f"ended with {self._process.returncode}")
        return url

    def join(self) -> None:
        """Wait for its last words."""
        self._thread.join(END_WITHIN_S)

    def _failure(self, what: str) -> PeerError:
        words = self._last_words or "it said nothing"
        return PeerError(f"{self._program} {what}: {words}")

    def _read(self) -> None:
        assert self._process.stdout is not None
        read: Callable[[str], Told] = _read_ngrok if self._program == "ngrok" else _read_cloudflared
        has_url = False
        with self._process.stdout as lines:
            for octets in lines:
                told = read(octets.decode(errors="replace").strip())
                self._last_words = told.wrong or self._last_words
                if told.url and not has_url:
                    has_url = True
                    self._told.put(told.url)
        if not has_url:
            self._told.put(None)
        elif not self.expects_end:
            words = f": {self._last_words}" if self._last_words else ""
            text = "%s has ended%s; nobody reaches us by the public URL any more"
            logger.error(text, self._program, words)


@dataclass(frozen=True, slots=True)
class Told:
    """What a line of a tunnel's log tells: the public address, or what went wrong."""

    url: str = ""
    wrong: str = ""


def _read_ngrok(line: str) -> Told:
    """Read a line of ngrok's log; what is no JSON it says to people, when it cannot even start."""
    try:
        found = orjson.loads(line)
    except orjson.JSONDecodeError:
        return Told(wrong=_short(line) if line.startswith("ERROR:  ") else "")
    if not isinstance(found, dict):
        return Told()
    url = found.get("url")
    if found.get("msg") == "started tunnel" and isinstance(url, str) and PUBLIC_URL.fullmatch(url):
        return Told(url=url)
    return Told(wrong=_ngrok_fault(str(found.get("err") or "")))


def _ngrok_fault(text: str) -> str:
    """Return the first line of a fault, with its code: those after it quote the token."""
    first, code = text.strip().partition("\n")[0], NGROK_CODE.search(text)
    if not first or first == "<nil>":
        return ""
    return _short(first) + (f" ({code[0]})" if code and code[0] not in first else "")


def _read_cloudflared(line: str) -> Told:
    found = TRYCLOUDFLARE.search(line)
    if found:
        return Told(url=found[0])
    is_wrong = re.search(r" (ERR|FTL) |^(failed|error|Incorrect Usage)", line)
    return Told(wrong=_short(re.sub(r"^\S+Z (ERR|FTL) ", "", line)) if is_wrong else "")


def _short(text: str) -> str:
    return "".join(filter(str.isprintable, text)).strip()[:MAX_TOLD_CHARS]


def _end(process: subprocess.Popen[bytes]) -> None:
    """Have the shell end the tunnel; kill both if that does not help."""
    assert process.stdin is not None
    with suppress(OSError):
        process.stdin.close()
    try:
        process.wait(END_WITHIN_S)
    except subprocess.TimeoutExpired:
        with suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
