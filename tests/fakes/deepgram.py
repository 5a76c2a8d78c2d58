"""Deepgram on a loopback port: `/v2/listen` and `/v1/speak`, strict about what the services refuse.

`python tests/fakes/deepgram.py --port 9101` serves humans, and tests of whole processes.
"""

import argparse
import asyncio
import json
import signal
import sys
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

if __name__ == "__main__":  # a script's own folder hides the SDK, which is called deepgram too
    sys.path[0] = str(Path(__file__).parents[1])

from fakes.aura import FakeAura
from fakes.flux import FakeFlux, new_request_id

KEY = "0123456789abcdef0123456789abcdef01234567"


class FakeDeepgram:
    """Both services on one port; `url` is the SDK's base. With `key` None any will do."""

    def __init__(
        self,
        flux: FakeFlux | None = None,
        aura: FakeAura | None = None,
        *,
        key: str | None = KEY,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.flux = flux or FakeFlux()
        self.aura = aura or FakeAura()
        self.key = key
        self.requests: list[Request] = []
        self._host = host
        self._port = port
        self._server: Server | None = None

    async def __aenter__(self) -> "FakeDeepgram":
        """Listen."""
        self._server = await serve(
            self._serve,
            self._host,
            self._port,
            process_request=self._admit,
            compression=None,
            close_timeout=0.2,
        )
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close all sockets."""
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    @property
    def url(self) -> str:
        """The base, without a path."""
        return f"ws://{self._host}:{self._port}"

    @property
    def violations(self) -> list[str]:
        """What either service would have refused or advised against."""
        return self.flux.violations + self.aura.violations

    @property
    def n_open(self) -> int:
        """Sockets that are open now."""
        assert self._server is not None
        return len(self._server.connections)

    def _admit(self, socket: ServerConnection, request: Request) -> Response | None:
        self.requests.append(request)
        url = urlsplit(request.path)
        service = {self.flux.path: self.flux, self.aura.path: self.aura}.get(url.path)
        if service is None:
            return _refusal(404, json.dumps({"err_code": "NOT_FOUND", "err_msg": url.path}))
        if self.key is not None and request.headers.get("Authorization") != f"Token {self.key}":
            service.violations.append("wrong key")
            return _refusal(401, _error("INVALID_AUTH", "Invalid credentials."))
        refusal = service.refuse() if callable(service.refuse) else service.refuse
        if refusal is not None:
            return _refusal(*refusal)
        if (problem := service.check(parse_qs(url.query, keep_blank_values=True))) is not None:
            service.violations.append(problem)
            return _refusal(400, _error("INVALID_QUERY_PARAMETER", problem))
        return None

    async def _serve(self, socket: ServerConnection) -> None:
        assert socket.request is not None
        url = urlsplit(socket.request.path)
        service = self.flux if url.path == self.flux.path else self.aura
        await service.serve(socket, parse_qs(url.query))


def _error(code: str, text: str) -> str:
    return json.dumps({"err_code": code, "err_msg": text, "request_id": new_request_id()})


def _refusal(status: int, body: str) -> Response:
    data = body.encode()
    headers = Headers(
        {
            "Content-Type": "application/json",
            "Content-Length": str(len(data)),
            "Connection": "close",
            "dg-error": f"status {status}",
            "dg-request-id": new_request_id(),
        }
    )
    return Response(status, HTTPStatus(status).phrase, headers, data)


async def run(options: argparse.Namespace) -> None:
    """Serve until interrupted or terminated, then tell what was wrong with the clients."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    flux = FakeFlux(options.transcript or None, silence_ms=options.silence_ms)
    aura = FakeAura(first_byte_ms=options.first_byte_ms)
    async with FakeDeepgram(flux, aura, key=options.key, port=options.port) as deepgram:
        print(f"DEEPGRAM_URL={deepgram.url}", flush=True)
        await stop.wait()
    print(json.dumps({"violations": deepgram.violations}), flush=True)


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=9101)
    parser.add_argument("--key", help="the only key to accept; any if missing")
    parser.add_argument("--transcript", action="append", help="words of the next turn; repeat it")
    parser.add_argument("--silence-ms", type=int, default=400)
    parser.add_argument("--first-byte-ms", type=float, default=100.0)
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
