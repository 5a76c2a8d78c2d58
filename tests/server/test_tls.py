"""TLS by our own certificate: what is wrong with one is said at start, and calls go through it."""

import asyncio
import shutil
import ssl
from pathlib import Path

import httpx
import pytest
from certificates import make, trusting
from websockets.asyncio.client import connect

from rawhttp import answers, on_both_loops
from serving import AUTH_TOKEN, serving
from voice_ai.codec.formats import PCM16_16K
from voice_ai.errors import UsageError
from voice_ai.phone.webhook import signature
from voice_ai.server.front import Front, Limits, serve
from voice_ai.server.http import Routes, plain
from voice_ai.server.media import MediaConnection
from voice_ai.server.tls import open_tls

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl's command")

GET = b"GET /hello HTTP/1.1\r\nHost: h\r\n\r\n"
LAST = b"GET /hello HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
MEDIA = (
    '{"event":"media","sequenceNumber":"3","media":{"track":"inbound","chunk":"2",'
    '"timestamp":"%d","payload":"' + "/37+" * 40 + '"},"streamSid":"MZ1"}'
)


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    return make(tmp_path_factory.mktemp("tls"))


def test_none_is_none() -> None:
    assert open_tls(None, None) is None


def test_what_cannot_be_used_is_said(pair, tmp_path) -> None:
    cert, key = pair
    other = make(tmp_path, "other")
    empty = tmp_path / "empty.pem"
    empty.write_text("")
    cases = [
        (Path("/nowhere.pem"), key, "TLS_CERT=/nowhere.pem cannot be read: No such file"),
        (cert, tmp_path, f"TLS_KEY={tmp_path} cannot be read: Is a directory"),
        (cert, other[1], f"TLS_KEY={other[1]} is not the key of the certificate TLS_CERT={cert}"),
        (empty, key, "cannot be used"),
        (cert, empty, "cannot be used"),
        (key, cert, "cannot be used"),
    ]
    for cert_, key_, told in cases:
        with pytest.raises(UsageError) as refused:
            open_tls(cert_, key_)
        assert told in str(refused.value)


def test_a_key_with_a_password_is_refused_and_nobody_is_asked_for_it(tmp_path) -> None:
    cert, key = make(tmp_path, "locked", "-passout", "pass:secret")
    with pytest.raises(UsageError, match="TLS_KEY has a password"):
        open_tls(cert, key)


class Ends:
    def __init__(self):
        self.routes = Routes()
        self.routes.add("/hello", GET=self.hello, POST=self.hello)
        self.routes.add("/large", GET=self.large)
        self.routes.add_websocket("/ws", self.echo, connection=MediaConnection)
        self.audio = b""
        self.taken = 0

    async def hello(self, request):
        return plain(200, f"{request.method} {len(request.body)}")

    async def large(self, request):
        return plain(200, "x" * 5_000_000)

    async def echo(self, websocket, request):
        def arrived():
            self.audio += tap.take(1 << 20)

        tap = websocket.take_media("MZ1", PCM16_16K, 1, arrived, lambda text: False)
        async for message in websocket:
            websocket.tap.n_read += 1
            self.taken = websocket.tap.n_frames
            await websocket.send(message)


async def talk(port, context, data):
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    writer.write(data)
    try:
        return await reader.read()
    finally:
        writer.close()


@on_both_loops
async def test_requests_are_answered_in_their_order_and_the_end_is_clean(pair, caplog):
    ends, client = Ends(), trusting(pair[0])
    body = b"POST /hello HTTP/1.1\r\nHost: h\r\nContent-Length: 30000\r\n\r\n" + b"x" * 30_000
    async with serve(Front(ends.routes), "127.0.0.1", 0, tls=open_tls(*pair)) as bound:
        got = answers(await talk(bound.port, client, GET + body + LAST))
        assert [one.body for one in got] == [b"GET 0\n", b"POST 30000\n", b"GET 0\n"]
        large = await talk(bound.port, client, LAST.replace(b"/hello", b"/large"))
        assert len(answers(large)[0].body) == 5_000_001
    assert caplog.records == []


@on_both_loops
async def test_frames_are_taken_from_the_octets_as_without_it(pair):
    ends, client = Ends(), trusting(pair[0])
    async with serve(Front(ends.routes), "127.0.0.1", 0, tls=open_tls(*pair)) as bound:
        async with connect(f"wss://127.0.0.1:{bound.port}/ws", ssl=client) as websocket:
            for n in range(200):
                await websocket.send(MEDIA % (20 * n))
            await websocket.send('{"event":"other"}')
            assert await websocket.recv() == '{"event":"other"}'
            await websocket.send("y" * 10_000)
            assert await websocket.recv() == "y" * 10_000
        assert websocket.close_code == 1000
    assert ends.taken == 200 and len(ends.audio) == 200 * 120 * 2 * 2


@on_both_loops
async def test_clients_that_do_not_speak_tls_are_let_go(pair, caplog):
    limits = Limits(idle_s=0.2, request_s=0.2, linger_s=0.2)
    async with serve(Front(Ends().routes, limits), "127.0.0.1", 0, tls=open_tls(*pair)) as bound:
        reader, writer = await asyncio.open_connection("127.0.0.1", bound.port)
        writer.write(GET)
        got = await reader.read()
        assert not got.startswith(b"HTTP")
        writer.close()
        with pytest.raises(ssl.SSLError):
            await talk(bound.port, ssl.create_default_context(), GET)
        slow = await asyncio.open_connection("127.0.0.1", bound.port, ssl=trusting(pair[0]))
        slow[1].write(GET[:-2])
        assert b" 408 " in await slow[0].read()
        slow[1].close()
    # asyncio tells them in debug mode.
    assert all(record.name == "asyncio" for record in caplog.records)


@on_both_loops
async def test_old_versions_are_refused(pair):
    context = trusting(pair[0])
    with pytest.warns(DeprecationWarning):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    async with serve(Front(Ends().routes), "127.0.0.1", 0, tls=open_tls(*pair)) as bound:
        with pytest.raises((ssl.SSLError, ConnectionResetError)):
            await talk(bound.port, context, GET)


async def test_the_whole_server_speaks_it_and_says_so(pair):
    cert, key = pair
    async with serving(tls_cert=cert, tls_key=key, public_url=None) as world:
        assert world.app.url.startswith("https://127.0.0.1:")
        async with httpx.AsyncClient(verify=trusting(cert), trust_env=False) as http:
            answer = await http.get(f"{world.app.url}/readyz")
            form = {"CallSid": "CA1"}
            url = f"{world.app.url}/incoming-call"
            signed = {"X-Twilio-Signature": signature(AUTH_TOKEN, url, form)}
            twiml = await http.post(url, data=form, headers=signed)
        assert answer.status_code == 200
        assert f'url="{world.app.url.replace("https", "wss")}/ws/twilio"' in twiml.text
