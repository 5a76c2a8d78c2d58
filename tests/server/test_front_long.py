"""Answers that are too long to be copied: written behind their heads, whole."""

import pytest

from rawhttp import answers, on_both_loops, talk
from voice_ai.server.connection import LONG_OCTETS
from voice_ai.server.front import Front, serve
from voice_ai.server.http import Request, Response, Routes

GET = b"GET /long HTTP/1.1\r\nHost: h\r\n\r\n"
LAST = b"%s /long HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize("n_octets", [LONG_OCTETS, LONG_OCTETS + 1, 5 * LONG_OCTETS])
@on_both_loops
async def test_a_long_answer_is_whole_and_so_is_the_next(n_octets: int) -> None:
    body = bytes(range(256)) * (n_octets // 256) + bytes(n_octets % 256)

    async def long(request: Request) -> Response:
        return Response(200, body)

    routes = Routes()
    routes.add("/long", GET=long)
    async with serve(Front(routes), "127.0.0.1", 0) as bound:
        whole = answers(await talk(bound.port, GET, LAST % b"GET"))
        head = await talk(bound.port, LAST % b"HEAD")
    assert [(answer.status, answer.body == body) for answer in whole] == [(200, True)] * 2
    assert head.endswith(b"\r\n\r\n") and f"Content-Length: {n_octets}\r\n".encode() in head
