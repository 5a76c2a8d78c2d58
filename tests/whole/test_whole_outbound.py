"""Calls that we place, from the request to the end: a person answers, or a machine."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from fakes.aura import FakeAura
from fakes.deepgram import FakeDeepgram
from fakes.flux import FakeFlux
from fakes.handset import Handset, calling, letters, sign
from fakes.twilio_rest import ACCOUNT_SID, FakeTwilioRest
from serving import PUBLIC_URL, World, serving
from voice_ai import Agent

TO, FROM = "+15550100001", "+15550100002"
MESSAGE = "Please call us back."
AGENT = Agent(instructions="x", greeting="Hello.", fillers=[], voicemail=MESSAGE)


async def answered_by(phone: Handset, who: str) -> httpx.Response:
    """Tell as Twilio tells."""
    path, form = "/outbound/answered-by", {"CallSid": phone.call_sid, "AnsweredBy": who}
    async with httpx.AsyncClient(base_url=phone.world.app.url) as http:
        return await http.post(path, data=form, headers=sign(PUBLIC_URL + path, form))


@asynccontextmanager
async def placed(agent: Agent = AGENT) -> AsyncIterator[tuple[Handset, FakeTwilioRest]]:
    """A call that the server was asked for, and that somebody has answered."""
    async with (
        FakeTwilioRest() as rest,
        serving(
            agent=agent,
            deepgram=FakeDeepgram(FakeFlux(silence_ms=60_000), FakeAura(letters)),
            tts_audio="mulaw/8000",
            outbound=True,
            twilio_number=FROM,
            twilio_account_sid=ACCOUNT_SID,
            twilio_api_url=rest.url,
        ) as world,
    ):
        call_sid = await asked(world)
        rest.calls[call_sid].status = "in-progress"
        form = {"From": FROM, "To": TO, "Direction": "outbound-api"}
        async with calling(world, call_sid, **form) as phone:
            await phone.hears("Hello.")
            yield phone, rest


async def asked(world: World) -> str:
    async with httpx.AsyncClient() as http:
        answer = await http.post(f"{world.app.url}/api/calls", json={"to": TO})
    call_sid: str = answer.json()["call_sid"]
    return call_sid


async def test_a_person_is_talked_to() -> None:
    async with placed() as (phone, rest):
        assert (await answered_by(phone, "human")).status_code == 200
        await phone.asks("Who is there?")
        await phone.hears("Anything else?")
        await phone.hang_up()
        assert len(rest.requests) == 1
        await phone.until(lambda: phone.record.reason == "the caller hung up")
        assert phone.record.call.parameters["direction"] == "outbound"


async def test_a_machine_hears_the_message_in_the_agents_own_voice_and_the_call_ends() -> None:
    async with placed() as (phone, rest):
        assert (await answered_by(phone, "machine_end_beep")).status_code == 200
        await phone.until(lambda: phone.over)
        assert phone.text == f"Hello.{MESSAGE}"
        await phone.until(lambda: phone.record.reason == "a machine answered")
        assert phone.record.as_json()["voicemail"] == MESSAGE
        assert len(rest.requests) == 1


async def test_a_beep_in_the_middle_of_what_we_say() -> None:
    async with placed() as (phone, _):
        await phone.asks("The person you have called is not available.")
        await phone.until(lambda: phone.n_chars > len("Hello.") + 8)
        await answered_by(phone, "machine_end_beep")
        await phone.until(lambda: phone.over)
        assert phone.text.endswith(MESSAGE)
        assert "Anything else?" not in phone.text
        assert "clear" in phone.kinds


@pytest.mark.parametrize(
    "who,voicemail", [("fax", MESSAGE), ("machine_end_beep", None)], ids=["fax", "no-message"]
)
async def test_what_has_nothing_to_hear_is_hung_up_on(who: str, voicemail: str | None) -> None:
    agent = Agent(instructions="x", greeting="Hello.", fillers=[], voicemail=voicemail)
    async with placed(agent) as (phone, rest):
        await answered_by(phone, who)
        assert rest.calls[phone.call_sid].status == "completed"
