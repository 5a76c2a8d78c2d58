"""Requests, responses and routes of the front: plain values, no sockets."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from websockets.asyncio.server import ServerConnection


# On every answer, whatever it is: nothing of ours is taken for another type, framed, or named to
# other sites. What a page shows comes from this server alone; no script or style stands in it, and
# only sound is played that its own script has made into a file.
SAFETY: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'self'; media-src 'self' blob:; base-uri 'none'; "
    "form-action 'self'; "
    "frame-ancestors 'none'; object-src 'none'",
}


class Headers:
    """Header fields in the order they came; names are matched without case."""

    __slots__ = ("fields",)

    def __init__(self, fields: Iterable[tuple[str, str]] = ()) -> None:
        self.fields = tuple(fields)

    def __contains__(self, name: str) -> bool:
        return any(known.lower() == name.lower() for known, _ in self.fields)

    def __repr__(self) -> str:
        return f"Headers({', '.join(name for name, _ in self.fields)})"

    def get_all(self, name: str) -> list[str]:
        """Return the values of every field of this name."""
        return [value for known, value in self.fields if known.lower() == name.lower()]

    def get(self, name: str, default: str = "") -> str:
        """Return the field's value, several joined by commas (RFC 9110 section 5.2)."""
        return ", ".join(self.get_all(name)) or default

    def tokens(self, name: str) -> list[str]:
        """Return the comma-separated members of the field, in lower case."""
        members = (member.strip().lower() for member in self.get(name).split(","))
        return [member for member in members if member]


@dataclass(frozen=True, slots=True)
class Request:
    """A whole HTTP request. `query` is without its question mark, undecoded, as signatures need it.

    `peer` is the address that the connection comes from.
    """

    method: str
    path: str
    query: str = ""
    headers: Headers = field(default_factory=Headers)
    body: bytes = field(default=b"", repr=False)
    version: str = "1.1"
    keep_alive: bool = True
    peer: str = ""

    @property
    def target(self) -> str:
        """Path and query as they were asked for."""
        return f"{self.path}?{self.query}" if self.query else self.path

    @property
    def has_body(self) -> bool:
        """Whether the head announces a body, be it empty."""
        return self.headers.get("Content-Length", "0") != "0" or "Transfer-Encoding" in self.headers


@dataclass(frozen=True, slots=True)
class Response:
    """An answer; `Content-Length`, `Date` and `Connection` are the front's to write."""

    status: int = 200
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)

    def encode(self, *, head_only: bool = False, connection: str = "") -> bytes:
        """Return the octets of this answer.

        Args:
            head_only: leave the body out, but not its length: the answer to HEAD.
            connection: the `Connection` field; none when empty.
        """
        fields = {"Date": formatdate(usegmt=True), **SAFETY, **self.headers}
        if self.body or self.status not in (204, 304):
            fields |= {"Content-Type": self.content_type, "Content-Length": str(len(self.body))}
        if connection:
            fields["Connection"] = connection
        lines = [f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}"]
        lines += [f"{name}: {value}" for name, value in fields.items()]
        head = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"
        return head if head_only else head + self.body


def plain(status: int, text: str = "", **headers: str) -> Response:
    """Return a line of text, by default the status's phrase; `Retry_After` is `Retry-After`."""
    line = text or HTTPStatus(status).phrase
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(status, f"{line}\n".encode(), headers=named)


class RefusedError(Exception):
    """A request that is answered by the front itself; the connection cannot be read on after it."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status)
        self.response = response


HTTPEndpoint: TypeAlias = Callable[[Request], Awaitable[Response]]
UpgradeCheck: TypeAlias = Callable[[Request], Response | None | Awaitable[Response | None]]
# Whether a request is beyond doubt from whom the route is for; such ones are always answered.
Vouch: TypeAlias = Callable[[Request], bool]
WebSocketEndpoint: TypeAlias = "Callable[[ServerConnection, Request], Awaitable[None]]"


@dataclass(frozen=True, slots=True)
class Route:
    """What answers a path by HTTP; with `while_draining` also when the rest is a 503."""

    methods: Mapping[str, HTTPEndpoint]
    while_draining: bool = False
    vouches: Vouch | None = None

    @property
    def allow(self) -> str:
        """The `Allow` field of a 405."""
        return ", ".join(sorted({*self.methods, *(("HEAD",) if "GET" in self.methods else ())}))

    def serving(self, method: str) -> str:
        """Return the method whose endpoint answers this one: HEAD is answered as GET is."""
        return "GET" if method == "HEAD" and "HEAD" not in self.methods else method


@dataclass(frozen=True, slots=True)
class WebSocketRoute:
    """A path that upgrades. `check` sees the handshake first and may refuse it by an answer.

    `connection` is made for each upgrade, `ServerConnection` or a subclass of it; None takes the
    former.
    """

    endpoint: WebSocketEndpoint
    check: UpgradeCheck | None = None
    connection: "type[ServerConnection] | None" = None
    vouches: Vouch | None = None


class Routes:
    """Every path that the front knows; anything else is a 404."""

    def __init__(self) -> None:
        self._by_path: dict[str, Route | WebSocketRoute] = {}

    def add(
        self,
        path: str,
        *,
        while_draining: bool = False,
        vouches: Vouch | None = None,
        **methods: HTTPEndpoint,
    ) -> None:
        """Answer `path` by HTTP: `routes.add("/livez", GET=livez)`."""
        self._by_path[path] = Route(methods, while_draining, vouches)

    def add_websocket(
        self,
        path: str,
        endpoint: WebSocketEndpoint,
        *,
        check: UpgradeCheck | None = None,
        connection: "type[ServerConnection] | None" = None,
        vouches: Vouch | None = None,
    ) -> None:
        """Upgrade `path` to a websocket, which `endpoint` serves until it returns."""
        self._by_path[path] = WebSocketRoute(endpoint, check, connection, vouches)

    def find(self, path: str) -> Route | WebSocketRoute | None:
        """Return what is at `path`, compared octet for octet."""
        return self._by_path.get(path)
