"""Twilio's REST interface: what it refuses, what it breaks, what it does."""

import logging
import socket

import pytest
from pydantic import SecretStr

from fakes.twilio_rest import ACCOUNT_SID, AUTH_TOKEN, FakeTwilioRest
from voice_ai.errors import PeerError, UsageError
from voice_ai.server import twilio_rest as module
from voice_ai.server.twilio_rest import open_rest

TWIML = "<Response><Dial><Number>+15550100009</Number></Dial></Response>"
WEBHOOK = "https://phone.example.com/incoming-call"


def opened(fake: FakeTwilioRest, sid: str = ACCOUNT_SID, token: str = AUTH_TOKEN):
    return open_rest(sid, SecretStr(token), fake.url)


async def test_wrong_credentials_are_told_and_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with FakeTwilioRest() as fake, opened(fake, token="wrong-token") as rest:
        fake.rings("CA1")
        with pytest.raises(UsageError, match="answered 401, code 20003: Authenticate") as refused:
            await rest.give_twiml("CA1", TWIML)
    assert "wrong-token" not in str(refused.value) + caplog.text
    assert fake.requests == []


@pytest.mark.parametrize("sid", ["", "CA1/../x", "CA 1", "CA1?x=1", "C" * 65])
async def test_what_is_no_sid_is_not_asked_for(sid: str) -> None:
    async with FakeTwilioRest() as fake, opened(fake) as rest:
        with pytest.raises(UsageError, match="is no CallSid"):
            await rest.end_call(sid)
    assert fake.requests == []


async def test_a_call_that_there_is_not() -> None:
    async with FakeTwilioRest() as fake, opened(fake) as rest:
        with pytest.raises(PeerError, match="answered 404, code 20404"):
            await rest.end_call("CA1")


async def test_a_caller_who_has_hung_up() -> None:
    async with FakeTwilioRest() as fake, opened(fake) as rest:
        fake.rings("CA1").status = "completed"
        with pytest.raises(PeerError, match="code 21220: Invalid call state"):
            await rest.give_twiml("CA1", TWIML)


async def test_a_number_that_is_none() -> None:
    async with FakeTwilioRest() as fake, opened(fake) as rest:
        with pytest.raises(UsageError, match="code 21211: 'To' number 110 is not valid"):
            await rest.create_call("110", "+15550100002", WEBHOOK)
    assert fake.calls == {}


@pytest.mark.parametrize(
    "status,message,told",
    [
        (429, "Too Many Requests", "answered 429, code 20429: Too Many Requests"),
        (500, "a\nb\x00c", "answered 500, code 20429: abc"),
        (503, "x" * 999, "answered 503, code 20429: " + "x" * 200),
    ],
)
async def test_trouble_of_twilios(status: int, message: str, told: str) -> None:
    async with FakeTwilioRest() as fake, opened(fake) as rest:
        fake.failures.append((status, 20429, message))
        with pytest.raises(PeerError) as failed:
            await rest.end_call("CA1")
        assert str(failed.value) == f"Twilio {told}"


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b'{"sid":1}', b'{"sid":"a b"}', b" " * 99999]
)
async def test_an_answer_without_a_sid(body: bytes) -> None:
    async with FakeTwilioRest() as fake, opened(fake) as rest:
        fake.failures.append(body)
        with pytest.raises(PeerError, match="gave no sid"):
            await rest.create_call("+15550100001", "+15550100002", WEBHOOK)


async def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    async with open_rest(ACCOUNT_SID, SecretStr(AUTH_TOKEN), f"http://127.0.0.1:{port}") as rest:
        with pytest.raises(PeerError, match="Twilio cannot be reached"):
            await rest.end_call("CA1")


async def test_one_who_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TIMEOUT_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"http://127.0.0.1:{mute.getsockname()[1]}"
        async with open_rest(ACCOUNT_SID, SecretStr(AUTH_TOKEN), url) as rest:
            with pytest.raises(PeerError, match="Twilio"):
                await rest.end_call("CA1")


async def test_a_call_is_placed_given_other_twiml_and_ended() -> None:
    async with FakeTwilioRest() as fake, opened(fake) as rest:
        sid = await rest.create_call("+15550100001", "+15550100002", WEBHOOK, {"Timeout": "20"})
        call = fake.calls[sid]
        assert call.fields == {
            "To": "+15550100001",
            "From": "+15550100002",
            "Url": WEBHOOK,
            "Method": "POST",
            "Timeout": "20",
        }
        call.status = "in-progress"
        await rest.give_twiml(sid, TWIML)
        assert call.twiml == TWIML
        await rest.end_call(sid)
        assert call.status == "completed"
