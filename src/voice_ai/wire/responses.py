"""OpenAI's Responses stream and Conversations answers, read into what a call needs of them.

The SDK's own event objects cost 0.35 ms each, most of an answer's processor time; reading the JSON
ourselves costs a few microseconds. Source:
https://platform.openai.com/docs/api-reference/responses-streaming; names are theirs. An event that
we do not know is `Other`: the service adds types freely. One that we know and cannot read is a
`ProtocolError`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import orjson

from voice_ai.errors import ProtocolError

# One event is at most one whole response; 4 MiB is far beyond what a spoken answer can need.
MAX_EVENT_OCTETS = 4 * 1024 * 1024

# The types that a call needs; of the others not even the data is looked at.
READ_TYPES = frozenset(
    b"response.output_text.delta response.refusal.delta response.output_item.done"
    b" response.function_call_arguments.delta"
    b" response.completed response.incomplete response.failed error".split()
)


@dataclass(frozen=True, slots=True)
class Item:
    """An item of a response or of a conversation; what its kind does not have is empty.

    `kind` is the service's `type`: message, function_call, function_call_output, reasoning, and
    others.
    """

    id: str
    kind: str
    status: str = ""
    role: str = ""
    text: str = ""
    call_id: str = ""
    name: str = ""
    arguments: str = ""


@dataclass(frozen=True, slots=True)
class OutputTextDelta:
    """More text of the answer."""

    delta: str


@dataclass(frozen=True, slots=True)
class RefusalDelta:
    """More text of the model's refusal to answer."""

    delta: str


@dataclass(frozen=True, slots=True)
class ArgumentsDelta:
    """More of a function call's arguments, which are read once they are whole."""


@dataclass(frozen=True, slots=True)
class OutputItemDone:
    """An item is complete."""

    item: Item


@dataclass(frozen=True, slots=True)
class Usage:
    """The tokens of a response; `cached` are of the input."""

    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Completed:
    """The response is complete."""

    usage: Usage = Usage()


@dataclass(frozen=True, slots=True)
class Incomplete:
    """The response ended early: `max_output_tokens`, `content_filter` or `steered`."""

    reason: str
    usage: Usage = Usage()


@dataclass(frozen=True, slots=True)
class Failed:
    """The response failed: `response.failed`, or an `error` event, which may name a `param`."""

    code: str
    message: str
    param: str = ""


@dataclass(frozen=True, slots=True)
class Other:
    """An event that a call does not need."""

    type: str


ResponseEvent: TypeAlias = (
    OutputTextDelta
    | RefusalDelta
    | ArgumentsDelta
    | OutputItemDone
    | Completed
    | Incomplete
    | Failed
    | Other
)


@dataclass(frozen=True, slots=True)
class ItemsPage:
    """A page of a conversation's items; `last_id` is the next page's cursor if there `has_more`."""

    items: tuple[Item, ...]
    has_more: bool
    last_id: str


def parse_event(data: bytes | str) -> ResponseEvent:
    """Read the `data` of one server-sent event.

    Raises:
        ProtocolError: it is not a JSON object with a `type`, or a known type lacks what it must
            have.
    """
    event = _object(data)
    match kind := _text(event, "type"):
        case "response.output_text.delta":
            return OutputTextDelta(_text(event, "delta"))
        case "response.refusal.delta":
            return RefusalDelta(_text(event, "delta"))
        case "response.function_call_arguments.delta":
            return ArgumentsDelta()
        case "response.output_item.done":
            return OutputItemDone(_item(_inner(event, "item")))
        case "response.completed":
            return Completed(_usage(event))
        case "response.incomplete":
            return Incomplete(
                _optional(_inner(_inner(event, "response"), "incomplete_details"), "reason"),
                _usage(event),
            )
        case "response.failed":
            error = _inner(_inner(event, "response"), "error")
            return Failed(_optional(error, "code"), _optional(error, "message"))
        case "error":
            return _stream_error(event)
        case _:
            return Other(kind)


def parse_id(data: bytes | str) -> str:
    """Read the id of a conversation that was created."""
    return _text(_object(data), "id")


def parse_items(data: bytes | str) -> ItemsPage:
    """Read a list of items: what `items.list` and `items.create` answer."""
    page = _object(data)
    listed = page.get("data")
    if not isinstance(listed, list) or not all(isinstance(item, dict) for item in listed):
        raise ProtocolError("a list of items has no list of objects in its data")
    items = tuple(_item(item) for item in listed)
    return ItemsPage(items, page.get("has_more") is True, _optional(page, "last_id"))


def _stream_error(event: Mapping[str, Any]) -> Failed:
    """Read an `error` event; its parts stand at the top, or in `error` as on the websocket."""
    nested = event.get("error")
    error = nested if isinstance(nested, dict) else event
    return Failed(_optional(error, "code"), _optional(error, "message"), _optional(error, "param"))


def _usage(event: Mapping[str, Any]) -> Usage:
    """Read what a response has used; an answer does not fail for what is missing of it."""
    response = event.get("response")
    usage = response.get("usage") if isinstance(response, dict) else None
    if not isinstance(usage, dict):
        return Usage()
    details = usage.get("input_tokens_details")
    cached = _count(details, "cached_tokens") if isinstance(details, dict) else 0
    return Usage(_count(usage, "input_tokens"), cached, _count(usage, "output_tokens"))


def _count(source: Mapping[str, Any], name: str) -> int:
    value = source.get(name)
    return value if isinstance(value, int) and value > 0 else 0


def _item(item: Mapping[str, Any]) -> Item:
    return Item(
        id=_text(item, "id"),
        kind=_text(item, "type"),
        status=_optional(item, "status"),
        role=_optional(item, "role"),
        text=_content_text(item.get("content")),
        call_id=_optional(item, "call_id"),
        name=_optional(item, "name"),
        arguments=_optional(item, "arguments"),
    )


def _content_text(content: object) -> str:
    """Join the text parts of a message; refusals and other parts have none."""
    if not isinstance(content, list):
        return content if isinstance(content, str) else ""
    return "".join(_optional(part, "text") for part in content if isinstance(part, dict))


def _object(data: bytes | str) -> dict[str, Any]:
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise ProtocolError(
            f"{len(data)} octets of the service are not JSON: {error.msg}"
        ) from error
    if not isinstance(value, dict):
        raise ProtocolError(f"a JSON object was needed, the service sent a {type(value).__name__}")
    return value


def _text(source: Mapping[str, Any], name: str) -> str:
    value = source.get(name)
    if not isinstance(value, str):
        raise ProtocolError(f"{name!r} must be a string, the service sent {type(value).__name__}")
    return value


def _optional(source: Mapping[str, Any], name: str) -> str:
    value = source.get(name)
    return value if isinstance(value, str) else ""


def _inner(source: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return an object inside; null and absent are empty, as in a failure without details."""
    value = source.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ProtocolError(f"{name!r} must be an object, the service sent {type(value).__name__}")
    return value


class EventSplitter:
    """Cuts a byte stream into the `data` of the server-sent events that we read.

    Source: https://html.spec.whatwg.org/multipage/server-sent-events.html, section 9.2.6. The
        service names an event's type in its `event` line too, so one that we do not read is
        dropped without a look at its data: the first two repeat the whole request. One without a
        name is kept. An event that the stream's end cuts off is dropped, as the standard says.
    """

    __slots__ = ("_after_cr", "_data", "_first", "_n_octets", "_name", "_rest")

    def __init__(self) -> None:
        self._rest = b""
        self._name = b""
        self._data: list[bytes] = []
        self._n_octets = 0
        self._after_cr = False
        self._first = True

    def feed(self, chunk: bytes) -> list[bytes]:
        """Take the next bytes and return the data of every event that they complete.

        Raises:
            ProtocolError: an event grows beyond MAX_EVENT_OCTETS.
        """
        if not chunk:
            return []
        if self._after_cr and chunk.startswith(b"\n"):
            chunk = chunk[1:]
        lines = (self._rest + chunk).splitlines(keepends=True)
        self._after_cr = bool(lines) and lines[-1].endswith(b"\r")
        self._rest = lines.pop() if lines and not lines[-1].endswith((b"\n", b"\r")) else b""
        events = [
            event for line in lines if (event := self._line(line.rstrip(b"\r\n"))) is not None
        ]
        if self._n_octets + len(self._rest) > MAX_EVENT_OCTETS:
            raise ProtocolError(f"an event of more than {MAX_EVENT_OCTETS} octets", close_code=1009)
        return events

    def _line(self, line: bytes) -> bytes | None:
        """Take one whole line; return the event's data if this line ends one that we read."""
        if self._first:
            self._first = False
            line = line.removeprefix(b"\xef\xbb\xbf")
        if not line:
            name, data = self._name, self._data
            self._name, self._data, self._n_octets = b"", [], 0
            return b"\n".join(data) if data and (not name or name in READ_TYPES) else None
        field, _, value = line.partition(b":")
        if field == b"data":
            self._data.append(value.removeprefix(b" "))
            self._n_octets += len(value)
        elif field == b"event":
            self._name = value.removeprefix(b" ")
        return None
