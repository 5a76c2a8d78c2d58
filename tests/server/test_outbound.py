"""Calls that we place: who may ask, what is asked of Twilio, what a machine that answers gets."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from xml.etree import ElementTree

import httpx
import pytest
from twilio.request_validator import RequestValidator

from fakes.twilio_rest import ACCOUNT_SID, FakeTwilioRest
from serving import AUTH_TOKEN, PUBLIC_URL, World, serving, settings
from voice_ai import Agent
from voice_ai.call.record import CallRecord
from voice_ai.errors import PeerError, UsageError
from voice_ai.providers.protocols import CallInfo
from voice_ai.server.dialling import dial

TO, FROM = "+15550100001", "+15550100002"
TOKEN = "a-token-of-ours"
AGENT = Agent(instructions="x", greeting="Hello.", fillers=[], voicemail="Please call us back.")


@asynccontextmanager
async def served(**changes: Any) -> AsyncIterator[tuple[World, FakeTwilioRest]]:
    async with FakeTwilioRest() as rest:
        given = {
            "twilio_account_sid": ACCOUNT_SID,
            "twilio_api_url": rest.url,
            "twilio_number": FROM,
            "outbound": True,
            "agent": AGENT,
        }
        async with serving(**(given | changes)) as world:
            yield world, rest


async def asked(
    world: World, body: object = None, content: bytes | None = None, **headers: str
) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with httpx.AsyncClient(base_url=world.app.url) as http:
        if content is not None:
            return await http.post("/api/calls", content=content, headers=named)
        return await http.post("/api/calls", json=body or {"to": TO}, headers=named)


async def test_it_is_off_unless_asked_for() -> None:
    async with served(outbound=False) as (world, rest):
        answer = await asked(world)
        assert (answer.status_code, answer.headers["allow"]) == (405, "DELETE, GET, HEAD")
        assert rest.requests == []


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Host": "evil.example"},
        {"X_Forwarded_For": "203.0.113.9"},
        {"Authorization": f"Bearer {TOKEN}", "Via": "1.1 proxy"},
    ],
)
async def test_without_a_token_only_this_machine_may_ask(headers: dict[str, str]) -> None:
    async with served() as (world, rest):
        assert (await asked(world, **headers)).status_code == 403
        assert rest.requests == []


@pytest.mark.parametrize("shown", ["", "Bearer", "Bearer wrong", f"Basic {TOKEN}", TOKEN])
async def test_with_a_token_everybody_has_to_show_it(shown: str) -> None:
    async with served(api_token=TOKEN) as (world, rest):
        given = {"Authorization": shown} if shown else {}
        answer = await asked(world, **given)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
        assert rest.requests == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'"+15550100001"',
        b"{}",
        b'{"to":15550100001}',
        b'{"to":"110"}',
        b'{"to":"+1555 0100001"}',
        b'{"to":"+15550100001\\n"}',
        b'{"to":"sip:a@evil.example"}',
        b'{"to":"+15550100001","from":"+15550100003"}',
    ],
)
async def test_what_is_no_number_is_not_called(body: bytes) -> None:
    async with served() as (world, rest):
        answer = await asked(world, content=body, Content_Type="application/json")
        assert (answer.status_code, rest.requests) == (400, [])


async def test_a_form_of_another_sites_page_is_not_taken() -> None:
    async with served() as (world, rest):
        answer = await asked(world, content=b'{"to":"+15550100001"}', Content_Type="text/plain")
        assert (answer.status_code, rest.requests) == (415, [])


async def test_no_call_is_placed_without_a_line_for_it() -> None:
    async with served() as (world, rest):
        world.app._admission.limit = 1
        assert (await asked(world)).status_code == 201
        answer = await asked(world)
        assert (answer.status_code, answer.text) == (503, "no line is free\n")
        assert len(rest.requests) == 1


@pytest.mark.parametrize(
    "failure", [(401, 20003, "Authenticate"), (400, 21211, "Invalid"), (500, 20500, "Oops")]
)
async def test_what_twilio_refuses_is_told_and_costs_no_line(
    failure: tuple[int, int, str], caplog: pytest.LogCaptureFixture
) -> None:
    async with served() as (world, rest):
        rest.failures.append(failure)
        answer = await asked(world)
        assert answer.status_code == 502
        assert answer.text == f"Twilio answered {failure[0]}, code {failure[1]}: {failure[2]}\n"
        assert len(world.app._admission) == 0
    assert AUTH_TOKEN not in caplog.text


@pytest.mark.parametrize("token", [None, TOKEN])
async def test_a_call_is_placed(token: str | None, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "voice_ai")
    shown = {"Authorization": f"Bearer {token}", "Via": "1.1 proxy"} if token else {}
    async with served(api_token=token) as (world, rest):
        answer = await asked(world, **shown)
        assert answer.status_code == 201
        call_sid = answer.json()["call_sid"]
        fields = rest.calls[call_sid].fields
        assert (fields["To"], fields["From"]) == (TO, FROM)
        assert fields["Url"] == f"{PUBLIC_URL}/incoming-call"
        twiml = ElementTree.fromstring((await told(world, "/incoming-call", call_sid)).content)
        assert [verb.tag for verb in twiml] == ["Connect"]
        assert len(world.app._admission) == 1
    assert TOKEN not in caplog.text


# What answers.


async def told(world: World, path: str, call_sid: str, **form: str) -> httpx.Response:
    """Ask as Twilio asks."""
    form = {"CallSid": call_sid} | form
    signature = RequestValidator(AUTH_TOKEN).compute_signature(PUBLIC_URL + path, form)
    async with httpx.AsyncClient() as http:
        return await http.post(
            world.app.url + path, data=form, headers={"X-Twilio-Signature": signature}
        )


ANSWERED = "/outbound/answered-by"


async def test_who_has_answered_is_twilios_to_say() -> None:
    async with served() as (world, rest), httpx.AsyncClient() as http:
        form = {"CallSid": "CA1", "AnsweredBy": "machine_end_beep"}
        answer = await http.post(world.app.url + ANSWERED, data=form)
        assert (answer.status_code, rest.requests) == (403, [])


@pytest.mark.parametrize("who", ["human", "unknown", "machine_start", ""])
async def test_a_person_is_talked_to(who: str) -> None:
    async with served() as (world, rest):
        rest.rings("CA1")
        assert (await told(world, ANSWERED, "CA1", AnsweredBy=who)).status_code == 200
        assert rest.requests == []


@pytest.mark.parametrize("who", ["machine_end_beep", "machine_end_silence", "machine_end_other"])
async def test_a_machine_without_a_session_hears_the_voicemail_from_twilio(who: str) -> None:
    async with served() as (world, rest):
        call = rest.rings("CA1")
        record = CallRecord(CallInfo("CA1"), started_at=0.0)
        world.app._calls._records.append(record)
        assert (await told(world, ANSWERED, "CA1", AnsweredBy=who)).status_code == 200
        said, end = ElementTree.fromstring(call.twiml)
        assert (said.tag, said.text, end.tag) == ("Say", "Please call us back.", "Hangup")
        assert record.as_json()["answered_by"] == who


@pytest.mark.parametrize(
    "who,voicemail", [("fax", "Please call us back."), ("machine_end_beep", None)]
)
async def test_what_has_nothing_to_hear_is_hung_up_on(who: str, voicemail: str | None) -> None:
    agent = Agent(instructions="x", greeting="Hello.", fillers=[], voicemail=voicemail)
    async with served(agent=agent) as (world, rest):
        call = rest.rings("CA1")
        await told(world, ANSWERED, "CA1", AnsweredBy=who)
        assert (call.status, call.twiml) == ("completed", "")


async def test_a_machine_that_has_hung_up(caplog: pytest.LogCaptureFixture) -> None:
    async with served() as (world, rest):
        rest.rings("CA1").status = "completed"
        answer = await told(world, ANSWERED, "CA1", AnsweredBy="machine_end_beep")
        assert answer.status_code == 200
    assert "code 21220" in caplog.text


# The command line.


def dialled(world: World, number: str = TO, **changes: Any) -> Any:
    own = settings(world.deepgram, world.openai, **changes)
    return asyncio.to_thread(dial, own, number, server=world.app.url)


@pytest.mark.parametrize("number", ["", "110", "+1 555", "call me"])
def test_what_is_no_number_cannot_be_dialled(number: str) -> None:
    with pytest.raises(UsageError, match="needed a number such as"):
        dial(None, number, server="")  # type: ignore[arg-type]


async def test_dialling_needs_a_server_that_runs() -> None:
    async with served() as (world, _):
        own = settings(world.deepgram, world.openai, port=1)
        with pytest.raises(PeerError, match="no server answers at http://127.0.0.1:1 "):
            await asyncio.to_thread(dial, own, TO, server="")


async def test_dialling_needs_a_server_that_places_calls() -> None:
    async with served(outbound=False) as (world, _):
        with pytest.raises(UsageError, match="started without OUTBOUND=1"):
            await dialled(world)


async def test_dialling_with_another_token() -> None:
    async with served(api_token=TOKEN) as (world, _):
        with pytest.raises(PeerError, match="answered 401: a bearer token is needed"):
            await dialled(world, api_token="other")


@pytest.mark.parametrize("token", [None, TOKEN])
async def test_dialling(token: str | None, capsys: pytest.CaptureFixture[str]) -> None:
    async with served(api_token=token) as (world, rest):
        assert await dialled(world, api_token=token) == 0
        [call_sid] = rest.calls
        assert capsys.readouterr().out == f"Calling {TO}: {call_sid}\n"
