"""Processes of one port ask each other; two servers in one process stand for them."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from twilio.request_validator import RequestValidator

from fakes.deepgram import FakeDeepgram
from fakes.openai_api import FakeOpenAI
from fakes.twilio_rest import ACCOUNT_SID, FakeTwilioRest
from rawhttp import on_both_loops
from serving import AGENT, AUTH_TOKEN, PUBLIC_URL, settings
from voice_ai.call.record import CallRecord
from voice_ai.providers.protocols import CallInfo
from voice_ai.server import siblings as module
from voice_ai.server.app import App
from voice_ai.server.shared import Shared
from voice_ai.server.siblings import Siblings


@on_both_loops
async def test_nobody_is_asked_where_nobody_is(tmp_path):
    assert await Siblings().ask(calls="") == []
    async with Siblings().answering(lambda question: 1):
        pass
    with Shared(1, parent=tmp_path) as shared:
        assert await Siblings(shared).ask(calls="") == []


@on_both_loops
async def test_everybody_else_answers(tmp_path):
    with (
        Shared(1, parent=tmp_path) as one,
        Shared(1, parent=tmp_path) as two,
        Shared(1, parent=tmp_path) as three,
    ):
        async with (
            Siblings(two).answering(lambda question: ["two", question]),
            Siblings(three).answering(lambda question: "x" * 1_000_000),
        ):
            answers = await Siblings(one).ask(calls="CA1")
            assert sorted(answers, key=len) == [["two", {"calls": "CA1"}], "x" * 1_000_000]
        assert list(one.directory.glob("*.sock")) == []


@on_both_loops
async def test_who_does_not_answer_is_done_without(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "TIMEOUT_S", 0.1)
    with (
        Shared(1, parent=tmp_path) as one,
        Shared(1, parent=tmp_path),  # is on its way in, or out
        Shared(1, parent=tmp_path) as stuck,
        Shared(1, parent=tmp_path) as well,
    ):

        async def says_nothing(reader, writer):
            await reader.read()
            writer.close()

        path = str(stuck.directory / f"{stuck.owner}.sock")
        async with await asyncio.start_unix_server(says_nothing, path):
            async with Siblings(well).answering(lambda question: 1):
                assert await Siblings(one).ask(n_live=True) == [1]


@asynccontextmanager
async def pair(port: int, **changes: Any) -> AsyncIterator[list[App]]:
    """Two servers on a port."""
    async with FakeDeepgram() as deepgram, FakeOpenAI() as openai, FakeTwilioRest() as rest:
        given = {
            "port": port,
            "reuse_port": True,
            "twilio_account_sid": ACCOUNT_SID,
            "twilio_api_url": rest.url,
            "twilio_number": "+15550100002",
            "outbound": True,
        }
        made = [App(settings(deepgram, openai, **(given | changes)), AGENT) for _ in range(2)]
        async with AsyncExitStack() as stack:
            for app in made:
                await stack.enter_async_context(app.listen())
                await app.load(stack)
            yield made


async def signed(app: App, path: str, form: dict[str, str]) -> str:
    """Post as Twilio does, over a connection of its own: the kernel says who gets it."""
    signature = RequestValidator(AUTH_TOKEN).compute_signature(PUBLIC_URL + path, form)
    async with httpx.AsyncClient(base_url=app.url) as http:
        answer = await http.post(path, data=form, headers={"X-Twilio-Signature": signature})
    assert answer.status_code == 200
    return answer.text


async def test_twilio_may_ask_any_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    async with pair(unused_tcp_port) as apps:
        one = apps[0]
        assert one._carrier
        for number in range(8):
            call_sid = f"CA{number}"
            one._carrier.transfers._keep(call_sid, f"It is {call_sid}.")
            path = f"/transfer/briefing?call={call_sid}"
            assert f"It is {call_sid}." in await signed(one, path, {"CallSid": "CAx"})
            assert "It is" not in await signed(one, path, {"CallSid": "CAx"})
            record = CallRecord(CallInfo(call_sid), started_at=number)
            one._calls._records.append(record)
            form = {"CallSid": call_sid, "AnsweredBy": "machine_end_beep"}
            await signed(one, "/outbound/answered-by", form)
            assert record.answered_by == "machine_end_beep"


async def test_the_console_shows_the_calls_of_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    async with pair(unused_tcp_port) as apps:
        for number, app in enumerate([*apps, *apps]):
            record = CallRecord(CallInfo(f"CA{number}"), started_at=float(number))
            app._calls._records.append(record)
            app._calls.n_live += 1
        for _ in range(4):
            async with httpx.AsyncClient(base_url=apps[0].url) as http:
                found = (await http.get("/api/calls")).json()
                assert [record["call_sid"] for record in found] == ["CA3", "CA2", "CA1", "CA0"]
                one = (await http.get("/api/calls?call_sid=CA2")).json()
                assert one["started_at"] == 2
                assert (await http.get("/health")).json()["calls_now"] == 4


async def test_who_drains_gives_the_port_up_to_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    open_to_all = {"public_url": None, "twilio_auth_token": None, "outbound": False}
    async with pair(unused_tcp_port, **open_to_all) as (one, two):
        await one.drain()
        for number in range(10):
            async with httpx.AsyncClient(base_url=one.url) as http:
                answer = await http.post("/incoming-call", data={"CallSid": f"CA{number}"})
                assert "<Connect>" in answer.text
        # Nobody is left to take over: the port stays, for what Twilio asks about calls under way.
        monkeypatch.setattr("voice_ai.server.webhook.STREAM_WITHIN_S", 0.1)
        await two.drain()
        async with httpx.AsyncClient(base_url=one.url) as http:
            answer = await http.post("/incoming-call", data={"CallSid": "CAx"})
            assert "lines are busy" in answer.text
