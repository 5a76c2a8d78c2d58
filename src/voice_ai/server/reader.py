"""Octets to requests, by httptools: one request at a time, no sockets, no clock.

Octets are given to llhttp up to each line end while a head or a chunked body is read, and by the
announced count in a plain body. So a message never ends inside a slice: what follows a request
stays in the buffer untouched, be it the next request or the first octets of a websocket.
"""

from dataclasses import replace
from typing import Final

import httptools

from voice_ai.server.http import Headers, RefusedError, Request, plain

MAX_HEAD_OCTETS: Final = 16 * 1024
MAX_BODY_OCTETS: Final = 64 * 1024
# A chunked body may cost this many octets on the wire for each octet that is allowed in it: a chunk
# of one octet takes six.
CHUNKING_OVERHEAD: Final = 8


class RequestReader:
    """Reads the requests of one connection.

    Args:
        max_head_octets: of the request line and the header fields together; more is a 431.
        max_body_octets: of the body without its chunking; more is a 413.

    `peer` is told to every request.
    """

    def __init__(
        self,
        max_head_octets: int = MAX_HEAD_OCTETS,
        max_body_octets: int = MAX_BODY_OCTETS,
    ) -> None:
        self._max_head_octets = max_head_octets
        self._max_body_octets = max_body_octets
        self.peer = ""
        self._buffer = bytearray()
        self._message: _Message | None = None

    def __len__(self) -> int:
        return len(self._buffer)

    def feed(self, data: bytes) -> None:
        """Keep octets to be read; bounding them is the caller's business."""
        self._buffer += data

    def take_rest(self) -> bytes:
        """Give up what has not been read as a request."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        return rest

    @property
    def begun(self) -> bool:
        """Whether part of a request is here; empty lines before it are none (RFC 9112, 2.2)."""
        if self._message is None:
            del self._buffer[: len(self._buffer) - len(self._buffer.lstrip(b"\r\n"))]
        return self._message is not None or bool(self._buffer)

    @property
    def waiting(self) -> Request | None:
        """The request whose client waits for `100 Continue` to send the body, if there is one."""
        message = self._message
        if message is None or message.head is None or message.n_body_wire or self._buffer:
            return None
        expects = message.head.version == "1.1" and "100-continue" in message.head.headers.tokens(
            "Expect"
        )
        return message.head if expects else None

    def next(self) -> Request | None:
        """Return the next request, or None if more octets are needed.

        Raises:
            RefusedError: what came is no request, or too large a one; nothing after it can be read.
        """
        if not self.begun:
            return None
        if self._message is None:
            self._message = _Message(self.peer)
        message = self._message
        while self._buffer and not message.complete:
            message.read(self._slice(message))
            self._check(message)
        if not message.complete:
            return None
        self._message = None
        return message.request()

    def _slice(self, message: "_Message") -> bytes:
        """Cut off as much as can be read without passing the end of the message."""
        if message.n_body_left is not None:
            n_octets = min(message.n_body_left, len(self._buffer))
        else:
            end = self._buffer.find(b"\n") + 1
            n_octets = end or len(self._buffer)
            if message.head is None:
                n_octets = min(n_octets, self._max_head_octets - message.n_head + 1)
        cut = bytes(self._buffer[:n_octets])
        del self._buffer[:n_octets]
        return cut

    def _check(self, message: "_Message") -> None:
        """Refuse what is too large, as soon as that is known, and what is not HTTP/1."""
        if message.n_head > self._max_head_octets:
            raise RefusedError(
                plain(431, f"the head is larger than {self._max_head_octets} octets")
            )
        n_body = max(
            len(message.body) + (message.n_body_left or 0), message.n_body_wire // CHUNKING_OVERHEAD
        )
        if n_body > self._max_body_octets:
            raise RefusedError(
                plain(413, f"the body is larger than {self._max_body_octets} octets")
            )
        if message.head is None:
            return
        if message.head.version not in ("1.0", "1.1"):
            raise RefusedError(
                plain(505, f"HTTP/{message.head.version} is not spoken here, HTTP/1.1 is")
            )
        n_hosts = len(message.head.headers.get_all("Host"))
        if n_hosts > 1 or (n_hosts == 0 and message.head.version == "1.1"):  # RFC 9112 section 3.2
            raise RefusedError(plain(400, f"a request has one Host field, this one has {n_hosts}"))


class _Message:
    """A request as it is being read; httptools calls its `on_` methods."""

    def __init__(self, peer: str) -> None:
        self.head: Request | None = None
        self.body = bytearray()
        self.n_head = 0
        self.n_body_wire = 0
        self.n_body_left: int | None = None
        self.complete = False
        self._peer = peer
        self._target = b""
        self._fields: list[tuple[str, str]] = []
        self._parser = httptools.HttpRequestParser(self)

    def read(self, data: bytes) -> None:
        """Give octets to the parser."""
        in_head = self.head is None
        if in_head:
            self.n_head += len(data)
        else:
            self.n_body_wire += len(data)
        try:
            try:
                self._parser.feed_data(data)
            except httptools.HttpParserUpgrade:
                self._read_past_upgrade()
        except httptools.HttpParserError as error:
            raise RefusedError(plain(400, str(error))) from error
        if self.n_body_left is not None and not in_head:
            self.n_body_left -= len(data)

    def request(self) -> Request:
        """Return the request once it is complete."""
        assert self.head is not None
        return replace(self.head, body=bytes(self.body))

    def _read_past_upgrade(self) -> None:
        """Go on to the body, which llhttp takes for octets of the other protocol.

        An upgrade that is not granted leaves an ordinary request (RFC 9110 section 7.8), body and
        all: `curl --http2` sends such ones.
        """
        assert self.head is not None
        if not self.head.has_body:
            return
        if self.head.method == "CONNECT":  # to llhttp an upgrade in any case
            raise RefusedError(plain(400, "a CONNECT has no body"))
        self.complete = False
        kept = [(name, value) for name, value in self._fields if name.lower() != "upgrade"]
        lines = [f"{self.head.method} {self.head.target} HTTP/{self.head.version}"]
        lines += [f"{name}: {value}" for name, value in kept]
        self._parser = httptools.HttpRequestParser(self)
        self._parser.feed_data("\r\n".join([*lines, "", ""]).encode("latin-1"))

    def on_url(self, target: bytes) -> None:
        self._target += target

    def on_header(self, name: bytes, value: bytes) -> None:
        # Trailers of a chunked body come here too, when the head is made: nobody reads them.
        self._fields.append((name.decode("latin-1"), value.decode("latin-1")))

    def on_headers_complete(self) -> None:
        if self.head is not None:
            return
        path, query = _split_target(self._target)
        self.head = Request(
            method=self._parser.get_method().decode("ascii"),
            path=path,
            query=query,
            headers=Headers(self._fields),
            version=self._parser.get_http_version(),
            keep_alive=self._parser.should_keep_alive(),
            peer=self._peer,
        )
        if "Transfer-Encoding" not in self.head.headers:
            self.n_body_left = int(self.head.headers.get("Content-Length", "0"))

    def on_body(self, data: bytes) -> None:
        self.body += data

    def on_message_complete(self) -> None:
        self.complete = True


def _split_target(target: bytes) -> tuple[str, str]:
    """Return path and query of an origin-form or absolute-form target (RFC 9112 section 3.2)."""
    if not target.startswith(b"/"):
        url = httptools.parse_url(target)
        return (url.path or b"/").decode("latin-1"), (url.query or b"").decode("latin-1")
    path, _, query = target.partition(b"#")[0].decode("latin-1").partition("?")
    return path, query
