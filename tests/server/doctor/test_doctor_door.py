"""The door is a real server on the loopback; what is wrong with it is what operators get wrong."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from doctor_world import AGENT, AUTH_TOKEN, PUBLIC, PUBLIC_URL, look, situation
from voice_ai.server import twilio_sdk
from voice_ai.server.app import App
from voice_ai.server.doctor import checks_door as checks
from voice_ai.server.doctor.port import Port, look_at_port
from voice_ai.server.settings import Settings

START = b'<Response><Start><Stream url="wss://phone.example.com/ws/twilio"/></Start></Response>'


@contextmanager
def running(**settings) -> Iterator[Port]:
    """A server of ours that was started with these settings, in a thread of its own."""
    ready, stop, found = threading.Event(), asyncio.Event(), []

    async def serve() -> None:
        async with (app := App(Settings(_env_file=None, port=0, **settings), AGENT)).listen():
            found.append((app.url, asyncio.get_running_loop()))
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert ready.wait(10)
    url, loop = found[0]
    try:
        yield look_at_port(Settings(_env_file=None, port=int(url.rpartition(":")[2])))
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)


@contextmanager
def another(status: int) -> Iterator[Port]:
    """A program that is none of ours and answers everything so; taken for ours, to be asked."""

    class Answering(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield Port("ours", f"http://127.0.0.1:{server.server_address[1]}")
        finally:
            server.shutdown()
            thread.join(10)


def test_a_webhook_that_refuses_a_method():
    with another(405) as port:
        outcome = look(checks.webhook_method, situation(port=port))
    assert outcome.state == "failed"
    assert "POST is answered 405, GET is answered 405" in outcome.found


def test_our_webhook_takes_both_methods_signed_or_not():
    assert look(checks.webhook_method, situation()).state == "ok"
    assert look(checks.webhook_method, situation(**PUBLIC)).state == "ok"


@pytest.mark.parametrize(
    "others",
    [
        {"public_url": "https://other.example.com", "twilio_auth_token": AUTH_TOKEN},
        {"public_url": PUBLIC_URL, "twilio_auth_token": "f" * 32},
    ],
    ids=["another URL", "another token"],
)
def test_a_server_that_was_started_with_other_settings(others):
    with running(**others) as port:
        assert port.who == "ours"
        signature = look(checks.signature, situation(port=port, **PUBLIC))
        handshake = look(checks.handshake, situation(port=port, **PUBLIC))
    assert signature.state == handshake.state == "failed"
    assert f"refuses what Twilio signs for {PUBLIC_URL}/incoming-call" in signature.found
    assert "is answered 403, not 101" in handshake.found


def test_a_server_that_was_started_without_a_token():
    with running() as port:
        outcome = look(checks.signature, situation(port=port, **PUBLIC))
    assert outcome.state == "failed" and "has no token" in outcome.found


@pytest.mark.parametrize("url", [PUBLIC_URL, f"{PUBLIC_URL}:8443"])
def test_what_twilio_signs_is_taken_with_and_without_the_port(url):
    outcome = look(checks.signature, situation(public_url=url, twilio_auth_token=AUTH_TOKEN))
    assert outcome.state == "ok" and f"{url}/incoming-call" in outcome.found


def test_without_a_token_nothing_is_signed():
    assert look(checks.signature, situation(public_url=PUBLIC_URL)).state == "skipped"


def test_the_handshake_of_a_server_that_runs_and_of_one_for_the_moment():
    with running(**PUBLIC) as port:
        assert look(checks.handshake, situation(port=port, **PUBLIC)).state == "ok"
    assert look(checks.handshake, situation(**PUBLIC)).state == "ok"
    assert look(checks.handshake, situation()).state == "ok"


def test_a_webhook_that_starts_a_stream_instead_of_connecting_it(monkeypatch):
    monkeypatch.setattr(twilio_sdk, "connect_stream", lambda *_: START)
    outcome = look(checks.twiml, situation(**PUBLIC))
    assert outcome.state == "failed" and "<Start><Stream>" in outcome.found
    assert look(checks.stream_url, situation(**PUBLIC)).state == "skipped"


def test_a_webhook_that_gives_no_stream(monkeypatch):
    monkeypatch.setattr(
        twilio_sdk, "connect_stream", lambda *_: b"<Response><Say>Hi</Say></Response>"
    )
    outcome = look(checks.twiml, situation(**PUBLIC))
    assert outcome.state == "failed" and "answers Say" in outcome.found


def test_our_twiml_connects():
    assert look(checks.twiml, situation(**PUBLIC)).state == "ok"


def test_a_stream_with_a_query_string(monkeypatch):
    made = twilio_sdk.connect_stream
    monkeypatch.setattr(twilio_sdk, "connect_stream", lambda url, *rest: made(f"{url}?t=1", *rest))
    outcome = look(checks.stream_url, situation(**PUBLIC))
    assert outcome.state == "failed" and "query string" in outcome.found


@pytest.mark.parametrize(
    ("url", "state"),
    [(None, "skipped"), (f"{PUBLIC_URL}:8443", "warning"), (PUBLIC_URL, "ok")],
)
def test_the_address_of_the_stream(url, state):
    assert look(checks.stream_url, situation(public_url=url)).state == state
