"""Calls that we place, from the request to the end: a person answers, or a machine."""

import asyncio
from xml.etree import ElementTree

import httpx
import pytest
from twilio.request_validator import RequestValidator
from websockets.asyncio.client import connect

from fakes.twilio_rest import ACCOUNT_SID, FakeTwilioRest
from rawhttp import until
from serving import AUTH_TOKEN, PUBLIC_URL, World, serving
from voice_ai import Agent
from voice_ai.phone.webhook import parse_twiml
from voice_ai.wire import twilio

TO, FROM = "+15550100001", "+15550100002"
AGENT = Agent(instructions="x", greeting="Hello.", voicemail="Please call us back.")


def sign(url: str, form: dict[str, str]) -> dict[str, str]:
    return {"X-Twilio-Signature": RequestValidator(AUTH_TOKEN).compute_signature(url, form)}


async def told(world: World, path: str, **form: str) -> httpx.Response:
    """Ask as Twilio asks."""
    async with httpx.AsyncClient() as http:
        headers = sign(PUBLIC_URL + path, form)
        return await http.post(world.app.url + path, data=form, headers=headers)


@pytest.mark.parametrize("who", ["human", "machine_end_beep"])
async def test_a_call_is_placed_answered_and_over(who: str) -> None:
    async with (
        FakeTwilioRest() as rest,
        serving(
            agent=AGENT,
            outbound=True,
            twilio_number=FROM,
            twilio_account_sid=ACCOUNT_SID,
            twilio_api_url=rest.url,
        ) as world,
        httpx.AsyncClient() as http,
    ):
        asked = await http.post(f"{world.app.url}/api/calls", json={"to": TO})
        call_sid = asked.json()["call_sid"]
        call = rest.calls[call_sid]
        call.status = "in-progress"
        form = {"CallSid": call_sid, "From": FROM, "To": TO, "Direction": "outbound-api"}
        stream = parse_twiml((await told(world, "/incoming-call", **form)).content)
        url = world.app.url.replace("http://", "ws://") + "/ws/twilio"
        async with connect(url, additional_headers=sign(stream.url, {})) as socket:
            await socket.send(twilio.connected())
            await socket.send(twilio.start("MZ1", call_sid, ACCOUNT_SID, stream.parameters))
            await socket.recv()
            await told(world, "/outbound/answered-by", CallSid=call_sid, AnsweredBy=who)
            if who == "human":
                assert len(rest.requests) == 1
            else:
                said, _ = ElementTree.fromstring(call.twiml)
                assert said.text == "Please call us back."
            await socket.send(twilio.stop("MZ1", 3, ACCOUNT_SID, call_sid))
            async with asyncio.timeout(5):
                await until(lambda: world.app._calls.records()[0].ended)
        record = world.app._calls.records()[0]
        assert record.call.parameters["direction"] == "outbound"
        over = {"human": "the caller hung up", "machine_end_beep": "a machine answered"}
        async with asyncio.timeout(5):
            await until(lambda: record.reason == over[who])
