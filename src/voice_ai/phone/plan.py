"""What a caller is asked to do, and what became of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from voice_ai.errors import UsageError


def is_url(text: str, *schemes: str) -> bool:
    """Tell whether a text is an absolute URL of one of these schemes, host and port in order."""
    try:
        parts = urlsplit(text)
        return parts.scheme in schemes and bool(parts.hostname) and (parts.port or 0) >= 0
    except ValueError:
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class CallPlan:
    """A call to place.

    Args:
        server_url: where the server listens, e.g. `http://127.0.0.1:8000`.
        utterances: what the caller says, one a turn: µ-law at 8 kHz.
        public_url: the server's `PUBLIC_URL`: requests are signed over it, and its stream URL is
            dialled at `server_url`. Empty: `server_url` is what it goes by.
        auth_token: Twilio's, to sign with; empty sends no signatures.
        account_sid: whose call it is.
        caller, called: the two phone numbers.
        greeting_wait_ms: how long the caller waits for a greeting to begin before speaking.
        quiet_ms: how much silence after sound means that the other side has finished.
        reply_wait_ms: how long the caller waits in silence for a reply.
        reply_limit_ms: how long a greeting or a reply may last until the caller stops listening to
            it.
        barge_in_ms: speak again this long after a reply's first sound; None waits for its end.
    """

    server_url: str
    utterances: Sequence[bytes]
    public_url: str = ""
    auth_token: str = field(default="", repr=False)
    account_sid: str = "AC" + "0" * 32
    caller: str = "+15550100001"
    called: str = "+15550100002"
    greeting_wait_ms: float = 10_000
    quiet_ms: float = 700
    reply_wait_ms: float = 20_000
    reply_limit_ms: float = 120_000
    barge_in_ms: float | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be dialled."""
        for name, url in (("server's", self.server_url), ("public", self.public_url)):
            if not is_url(url, "http", "https") and (url or name != "public"):
                raise UsageError(f"the {name} URL is {url!r}; needed e.g. http://127.0.0.1:8000")


@dataclass(slots=True)
class TurnTimes:
    """One turn as the caller measured it, in ms after the start message; None has not come to pass.

    `speech_end_ms` is when the last audible frame of the recording was sent, `first_frame_ms` when
    the first frame of the reply came in after it.
    """

    number: int
    speech_start_ms: float
    speech_end_ms: float | None = None
    first_frame_ms: float | None = None

    @property
    def latency_ms(self) -> float | None:
        """From the end of the caller's speech to the first frame of the reply."""
        if self.speech_end_ms is None or self.first_frame_ms is None:
            return None
        return self.first_frame_ms - self.speech_end_ms


@dataclass(slots=True)
class CallResult:
    """A call as the caller saw it.

    Args:
        said, heard: both sides from the start message on, µ-law at 8 kHz, sample by sample on one
            clock.
        turns: the caller's turns; `greeting_ms` is start message to first frame.
        violations: what the server did that it must not, each with its time.
        refused: the words with which the server refused the call; then nothing else is filled in.
        close_code: of the websocket; `ended_by` says which side hung up.
        unplayed_ms: what was still in the buffer when the call ended, and never heard.
        late_ms: the worst lateness of our own frame clock. Above some 20 ms the machine was too
            busy to measure.
        transcript: the server's own record of the call (`/api/calls?call_sid=`), and why there is
            none.
    """

    call_sid: str
    stream_sid: str = ""
    refused: str = ""
    said: bytes = field(default=b"", repr=False)
    heard: bytes = field(default=b"", repr=False)
    greeting_ms: float | None = None
    turns: list[TurnTimes] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    close_code: int | None = None
    close_reason: str = ""
    ended_by: str = ""
    unplayed_ms: float = 0.0
    late_ms: float = 0.0
    transcript: dict[str, Any] | None = None
    transcript_missing: str = "the call did not come to an end"
    wav: str = ""

    @property
    def duration_ms(self) -> float:
        """How long the stream lasted, in audio."""
        return len(self.said) / 8


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a call is; given to `on_progress` a few times a second."""

    elapsed_ms: float
    doing: str
    turn: int
    n_turns: int
