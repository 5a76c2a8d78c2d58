"""The log: one place that every line goes through, and that nothing private passes.

What callers and models say is in no line. It could be in the text of an exception (a tool that
quotes its arguments, a parser that quotes its input), so of those only the types and the places are
told. `LOG_TRANSCRIPTS=1` tells the texts, too; secrets and numbers are never told.

Lines are for people, or with `LOG_FORMAT=json` for programs: an object each, with the call that it
is about. A line of ours names its call, `"call %s: ..."`; what others log within a call's tasks is
known by `CALL`.
"""

import json
import logging
import re
import sys
import traceback
from collections.abc import Callable
from contextvars import ContextVar
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Final

from voice_ai.errors import VoiceAIError
from voice_ai.server.redaction import Redaction, unquoted
from voice_ai.server.settings import Settings

LOG_FORMAT: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"
# How asyncio shows a task or a future that is done: its value may be what a tool gave back.
OUTCOME: Final = re.compile(r" (result|exception)=.*")

# The call whose tasks these are; a context is copied to each task that is begun in it.
CALL: Final[ContextVar[str]] = ContextVar("CALL", default="")
# How our own lines about a call begin, before its id is put in.
CALL_PREFIX: Final = re.compile(r"call %(\(call_sid\))?s: ")
# What stands there may be no id, as of a stream that has not said whose it is.
CALL_SID: Final = re.compile(r"[A-Z]{2}[0-9A-Za-z]{1,62}")

logger = logging.getLogger(__name__)


class CleanFormatter(logging.Formatter):
    """Formats records for people, without what they may not read.

    Args:
        clean: takes secrets and numbers out.
        with_texts: whether the texts of exceptions are told.
    """

    def __init__(self, clean: Callable[[str], str], *, with_texts: bool = False) -> None:
        super().__init__(LOG_FORMAT)
        self._clean = clean
        self._with_texts = with_texts

    def format(self, record: logging.LogRecord) -> str:
        """Format a record, and its exception anew: another formatter may have left its text."""
        record.exc_text = None
        return super().format(record)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (logging's name)
        """Format the line; the time and the names in it are ours."""
        record.message = self.clean_message(record)
        return super().formatMessage(record)

    def clean_message(self, record: logging.LogRecord) -> str:
        """Return what a record says, without what may not be read."""
        text = record.getMessage()
        if record.name == "asyncio" and not self._with_texts:
            text = OUTCOME.sub(r" \1=...", text)
        return self._clean(text)

    def formatException(self, ei: Any) -> str:  # noqa: N802 (logging's name)
        """Format an exception: where it was, and what kind of one."""
        if self._with_texts:
            return self._clean(super().formatException(ei))
        return self._clean("\n".join(_places(ei[1])))


class JsonFormatter(CleanFormatter):
    """Formats records as JSON, an object on a line: the same texts, as clean.

    `event` is a line as it is written in the source, before its values are put in: all lines of a
    kind have the same.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Format a record, its exception within it."""
        message = self.clean_message(record)
        template = record.msg if isinstance(record.msg, str) and record.args else message
        told = {
            "ts": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "event": self._clean(CALL_PREFIX.sub("", template, count=1)),
            "message": message,
        }
        if call_sid := _call_of(record):
            told["call_sid"] = call_sid
        if record.exc_info and record.exc_info[0]:
            told["exception"] = self.formatException(record.exc_info)
        # Not orjson: it refuses half of a surrogate pair, and a line of the log is never refused.
        return json.dumps(told)


def _call_of(record: logging.LogRecord) -> str:
    """Return which call a line is about, by the line itself or else by whose task logs it."""
    named = getattr(record, "call_sid", "")
    if not named and isinstance(record.msg, str) and CALL_PREFIX.match(record.msg):
        named = record.args[0] if isinstance(record.args, tuple) and record.args else ""
    return named if isinstance(named, str) and CALL_SID.fullmatch(named) else CALL.get()


def _places(error: BaseException | None, seen: tuple[BaseException, ...] = ()) -> list[str]:
    """Tell an exception and what led to it, the first cause first."""
    if error is None or error in seen:
        return []
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    lines = _places(before, (*seen, error))
    lines += ["Traceback (most recent call last):"] if not lines else ["which led to:"]
    for frame in traceback.extract_tb(error.__traceback__):
        lines.append(f'  File "{frame.filename}", line {frame.lineno}, in {frame.name}')
    kind = type(error)
    lines.append(f"{kind.__module__}.{kind.__qualname__}{_text(error)}")
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            lines += [f"  | {line}" for line in _places(inner, (*seen, error))]
    return lines


def _text(error: BaseException) -> str:
    """Return the text of one of our own errors; of others none."""
    return f": {unquoted(str(error))}" if isinstance(error, VoiceAIError) else ""


def redaction(settings: Settings) -> Redaction:
    """Return what takes the settings' secrets out of a text."""
    secrets = settings.secrets()
    sid, token = settings.twilio_account_sid, settings.twilio_auth_token
    return Redaction(secrets, [(sid, token.get_secret_value())] if sid and token else [])


def set_up(settings: Settings) -> None:
    """Log to stderr: our own modules, and of others what goes wrong in them.

    An SDK's debug log holds headers and payloads. What nobody catches is logged as well.
    """
    kind = JsonFormatter if settings.log_format == "json" else CleanFormatter
    formatter = kind(redaction(settings), with_texts=settings.log_transcripts)
    output = logging.StreamHandler(sys.stderr)
    output.setFormatter(formatter)
    logging.basicConfig(level=logging.WARNING, handlers=[output])
    logging.getLogger("voice_ai").setLevel(logging.DEBUG if settings.debug else logging.INFO)
    sys.excepthook = _log_uncaught


def _log_uncaught(
    kind: type[BaseException], error: BaseException, places: TracebackType | None
) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, places)
        return
    logger.critical("the server failed", exc_info=(kind, error, places))
