"""What is done outside of the server while it runs: a tunnel to it, a number pointed at it.

One process does it, the one that was started, be there workers or not. Both parts are imported only
when they are asked for.
"""

import importlib
import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING, Any

from voice_ai.agent import PHONE_NUMBER
from voice_ai.errors import UsageError
from voice_ai.server.settings import Settings

if TYPE_CHECKING:
    from voice_ai.server.number import PointedNumber

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Wishes:
    """What was asked for on the command line and is no setting.

    Args:
        tunnel: `ngrok`, `cloudflared`, `auto` for whichever there is; empty for none.
        number: one of the account's numbers that is to be pointed here; empty for none.
        reload: whether the agent's file is read anew when it has changed.
    """

    tunnel: str = ""
    number: str = ""
    reload: bool = False

    @property
    def coming(self) -> tuple[str, ...]:
        """The settings that will be known only when these are fulfilled."""
        return ("public_url",) if self.tunnel else ()

    def check(self, settings: Settings) -> None:
        """Raise UsageError for all that is missing, by the names of the settings."""
        problems = []
        if self.tunnel and not (settings.twilio_auth_token or settings.insecure):
            problems.append(
                "--tunnel makes the server public: TWILIO_AUTH_TOKEN is needed, or INSECURE=1"
            )
        if self.number:
            problems += self._number_lacks(settings)
        if self.reload and settings.workers > 1:
            problems.append(f"--reload is for one process, not WORKERS={settings.workers}")
        if problems:
            raise UsageError("\n  ".join(["the options cannot be fulfilled:", *problems]))

    def _number_lacks(self, settings: Settings) -> Iterator[str]:
        if not PHONE_NUMBER.fullmatch(self.number):
            yield f"--number={self.number} must be a number such as +15550100002"
        for name in ("twilio_account_sid", "twilio_auth_token"):
            if getattr(settings, name) is None:
                yield f"--number needs {name.upper()}"
        if settings.public_url is None and not self.tunnel:
            yield "--number needs PUBLIC_URL, or --tunnel"


class Outside:
    """What there is: the settings with the public URL, and who is told when calls are taken."""

    def __init__(self, settings: Settings, number: "PointedNumber | None" = None) -> None:
        self.settings = settings
        self._number = number

    def ready(self) -> None:
        """Calls are taken: let them come."""
        if self._number:
            self._number.ready()

    def leave(self) -> None:
        """Calls are taken no more: send them where they went before."""
        if self._number:
            self._number.leave()

    @property
    def last_signal(self) -> Any:
        """What a second signal does: the kernel ends us, but for a number that is put back first.

        Then the third signal is the kernel's to execute.
        """
        return self._end if self._number else signal.SIG_DFL

    def _end(self, number: int, frame: FrameType | None) -> None:
        for sent in (signal.SIGINT, signal.SIGTERM):
            signal.signal(sent, signal.SIG_DFL)
        if self._number:
            self._number.finish()
        os.kill(os.getpid(), number)


@contextmanager
def open_outside(settings: Settings, wishes: Wishes, tell: Tell) -> Iterator[Outside]:
    """Fulfil the wishes until the block ends; numbers that a crash has left are put back, too.

    Raises:
        UsageError: something is missing, or is not the account's.
        PeerError: the tunnel or Twilio fails.
    """
    wishes.check(settings)
    notes = importlib.import_module("voice_ai.server.number_note")
    with ExitStack() as stack:
        if wishes.number or any(notes.paths(settings.data_dir)):
            _number().restore_left_over(settings, tell, but=wishes.number)
        if wishes.tunnel:
            settings = _through(wishes.tunnel, _with_port(settings), stack, tell)
        number = _number().number_for(settings, wishes.number, tell) if wishes.number else None
        if number:
            stack.callback(number.finish)
        yield Outside(settings, number)


def _number() -> Any:
    return importlib.import_module("voice_ai.server.number")


def _through(wanted: str, settings: Settings, stack: ExitStack, tell: Tell) -> Settings:
    """Open a tunnel, and return the settings with its URL."""
    tunnel = importlib.import_module("voice_ai.server.tunnel")
    program = tunnel.choose(wanted)
    tell(f"Opening a tunnel by {program}.")
    local_url = importlib.import_module("voice_ai.server.webhook").local_url
    local = local_url(settings.host, settings.port, is_secure=settings.tls_cert is not None)
    url = stack.enter_context(tunnel.open_tunnel(program, local, settings.public_url))
    return settings.model_copy(update={"public_url": url})


def _with_port(settings: Settings) -> Settings:
    """Return the settings with a port that can be listened on, for a tunnel must know it before.

    Raises:
        UsageError: theirs is taken.
    """
    if settings.reuse_port and settings.port:
        return settings
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        with socket.create_server((settings.host, settings.port), family=family) as probe:
            return settings.model_copy(update={"port": probe.getsockname()[1]})
    except OSError as error:
        text = f"port {settings.port} on {settings.host} cannot be had: {error.strerror or error}"
        raise UsageError(text) from error
