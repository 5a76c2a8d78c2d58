"""Whole calls that are put through: the server, Twilio's REST interface, a stream like Twilio's."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit
from xml.etree import ElementTree

import httpx
import pytest
from twilio.request_validator import RequestValidator

from fakes.openai_api import FakeOpenAI, FunctionCall
from fakes.twilio_rest import ACCOUNT_SID, FakeTwilioRest
from serving import AUTH_TOKEN, PUBLIC_URL, World, serving
from voice_ai import Agent
from voice_ai.phone import CallResult, place_call

DESK = "+15550100009"
AGENT = Agent(instructions="x", greeting="Hello.", fillers=[], transfers={"front desk": DESK})
TO_DESK = FunctionCall(
    "transfer_call",
    '{"to":"front desk","briefing":"Bob & Ann ask for <you>."}',
    "I am putting you through.",
)


@asynccontextmanager
async def served(*answers: Any, **changes: Any) -> AsyncIterator[tuple[World, FakeTwilioRest]]:
    """A server with the credentials of an account whose calls the fake carries."""
    async with FakeTwilioRest() as rest:
        rest.knows_any = True
        given = {"twilio_account_sid": ACCOUNT_SID, "twilio_api_url": rest.url, "agent": AGENT}
        async with serving(openai=FakeOpenAI(list(answers)), **(given | changes)) as world:
            yield world, rest
            assert world.violations == []


async def told(
    world: World, path: str, form: dict[str, str], signed: bool = True
) -> httpx.Response:
    """Ask as Twilio asks."""
    url = PUBLIC_URL + path
    signature = RequestValidator(AUTH_TOKEN if signed else "x").compute_signature(url, form)
    async with httpx.AsyncClient() as http:
        return await http.post(
            world.app.url + path, data=form, headers={"X-Twilio-Signature": signature}
        )


def turns(result: CallResult) -> list[dict[str, Any]]:
    assert result.transcript is not None
    # An answer that fails at once is followed by the next one as if they were one.
    assert [told for told in result.violations if " a gap of " not in told] == []
    found: list[dict[str, Any]] = result.transcript["turns"]
    return found


async def test_a_caller_is_put_through_and_the_one_called_is_briefed_once() -> None:
    async with served(TO_DESK) as (world, rest):
        result = await place_call(world.plan("The front desk, please."))
        assert turns(result)[0]["heard"] == "I am putting you through."
        assert result.transcript["reason"] == "put through to front desk"
        assert (result.ended_by, result.close_code) == ("server", 1000)
        [(path, _)] = rest.requests
        assert path.endswith(f"/Accounts/{ACCOUNT_SID}/Calls/{result.call_sid}.json")
        dial = ElementTree.fromstring(rest.calls[result.call_sid].twiml).find("Dial")
        assert dial is not None
        [number] = dial
        assert (number.tag, number.text) == ("Number", DESK)
        asks = number.get("url", "").removeprefix(PUBLIC_URL)
        child = {"CallSid": "CA0", "ParentCallSid": result.call_sid}
        assert (await told(world, asks, child, signed=False)).status_code == 403
        said = ElementTree.fromstring((await told(world, asks, child)).content)
        assert [verb.text for verb in said] == ["Bob & Ann ask for <you>."]
        assert len(ElementTree.fromstring((await told(world, asks, child)).content)) == 0
        after = urlsplit(dial.get("action", "")).path
        over = {"CallSid": result.call_sid, "DialCallStatus": "completed"}
        assert "<Response><Hangup /></Response>" in (await told(world, after, over)).text


@pytest.mark.parametrize("status", ["no-answer", "busy", "failed", "canceled", ""])
async def test_a_caller_whom_nobody_takes_comes_back(status: str) -> None:
    async with served() as (world, _):
        form = {"CallSid": "CA1", "DialCallStatus": status, "From": "+15550100001"}
        assert (await told(world, "/transfer/after", form, signed=False)).status_code == 403
        twiml = ElementTree.fromstring((await told(world, "/transfer/after", form)).content)
        assert [verb.tag for verb in twiml] == ["Say", "Connect"]
        world.app._admission.limit = 0
        assert (
            "lines are busy"
            in (await told(world, "/transfer/after", form | {"CallSid": "CA2"})).text
        )


@pytest.mark.parametrize(
    "failure",
    [
        (401, 20003, "Authenticate"),
        (400, 21220, "Call is not in-progress. Cannot redirect."),
    ],
)
async def test_what_twilio_refuses_is_told_and_the_call_goes_on(
    failure: tuple[int, int, str], caplog: pytest.LogCaptureFixture
) -> None:
    async with served(TO_DESK, "It did not work.") as (world, rest):
        rest.failures.append(failure)
        result = await place_call(world.plan("The front desk, please.", "Then goodbye."))
        assert turns(result)[0]["heard"] == "I am putting you through."
        last = turns(result)[-1]
        assert (last["caller"], last["heard"]) == (
            "Then goodbye.",
            "I heard: Then goodbye. Anything else?",
        )
        context = str(world.openai.requests)
        assert "could not be put through to front desk" in context
        assert str(failure[1]) not in context
    assert f"code {failure[1]}: {failure[2]}" in caplog.text
    assert AUTH_TOKEN not in caplog.text


@pytest.mark.parametrize("missing", ["twilio_account_sid", "twilio_auth_token"])
async def test_without_credentials_nobody_is_put_through(missing: str) -> None:
    plan = {} if missing == "twilio_account_sid" else {"auth_token": ""}
    async with served(TO_DESK, "I cannot.", **{missing: None}) as (world, rest):
        await place_call(world.plan("The front desk, please.", **plan))
        assert rest.requests == []
        names = [tool["name"] for tool in world.openai.requests[-1]["tools"]]
        assert names == ["hang_up"]


async def test_without_a_public_address_the_caller_is_put_through_cold() -> None:
    changes = {"public_url": None}
    async with served(TO_DESK, **changes) as (world, rest):
        plan = world.plan("The front desk, please.", public_url="")
        # Signatures are over the server's own address then.
        result = await place_call(plan)
        assert result.transcript is not None
        assert result.transcript["reason"] == "put through to front desk"
        dial = ElementTree.fromstring(rest.calls[result.call_sid].twiml).find("Dial")
        assert dial is not None
        assert dict(dial.attrib) == {}
        assert dict(dial[0].attrib) == {}
        tools = {tool["name"]: tool for tool in world.openai.requests[-1]["tools"]}
        assert [*tools["transfer_call"]["parameters"]["properties"]] == ["to"]
        assert DESK not in str(world.openai.requests)


async def test_a_caller_who_hangs_up_while_they_are_put_through() -> None:
    async with served(TO_DESK) as (world, rest):
        release: Callable[[], None] = rest.hold()
        result = await place_call(world.plan("The front desk, please.", quiet_ms=100.0))
        assert result.ended_by == "caller"
        assert result.transcript is not None
        assert result.transcript["reason"] == "ended while it was put through to front desk"
        release()
