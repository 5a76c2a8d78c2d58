"""Twilio's account, and the public URL: a real server on the loopback stands for it."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime

import certificates
import pytest
from aiohttp import web

from doctor_world import AGENT, AUTH_TOKEN, PUBLIC_URL, attempt, free_port, hanging, situation
from fakes.twilio_account import NUMBER, FakeTwilioAccount, number
from fakes.twilio_rest import ACCOUNT_SID
from voice_ai.server.app import App
from voice_ai.server.doctor import checks_live_public as public
from voice_ai.server.doctor import checks_live_twilio as twilio
from voice_ai.server.doctor.situation import Situation
from voice_ai.server.settings import Settings

SIGNED = (public.webhook, public.handshake)
ALL = (public.reach, public.webhook, public.handshake, public.console)


def seen_at(url: str, token: str | None = AUTH_TOKEN) -> Situation:
    """A situation whose public URL is this one, which the settings would not take."""
    where = situation(twilio_auth_token=token)
    return replace(where, settings=where.settings.model_copy(update={"public_url": url}))


@asynccontextmanager
async def ours(token: str | None = AUTH_TOKEN, as_url: str = "", **more) -> AsyncIterator[str]:
    """A server of ours that believes in this URL, or in its own."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    made = Settings(_env_file=None, port=port, twilio_auth_token=token, **more)
    app = App(made.model_copy(update={"public_url": as_url or url}), AGENT)
    async with app.listen():
        yield url


@asynccontextmanager
async def answering(status: int) -> AsyncIterator[str]:
    """Somebody else's server."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=status, text="welcome")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield "http://{}:{}".format(*runner.addresses[0][:2])
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("check", ALL[:3], ids=lambda check: check.name)
async def test_a_public_url_that_reaches_us(check):
    async with ours() as url:
        outcome = await attempt(check, seen_at(url))
    assert outcome.state == "ok", outcome


async def test_a_public_url_that_reaches_nobody_is_told_once():
    where = seen_at(f"http://127.0.0.1:{free_port()}")
    outcomes = [await attempt(check, where) for check in ALL]
    assert [outcome.state for outcome in outcomes] == ["failed", *["skipped"] * 3]
    assert "Nobody listens there" in outcomes[0].do


@pytest.mark.parametrize("check", ALL, ids=lambda check: check.name)
async def test_without_a_public_url_nobody_is_asked(check):
    assert (await attempt(check, situation())).state == "skipped"


@pytest.mark.parametrize("check", ALL, ids=lambda check: check.name)
async def test_a_public_url_that_reaches_another_server(check):
    async with answering(200) as url:
        assert (await attempt(check, seen_at(url))).state == "failed"


async def test_a_public_url_whose_name_is_not_known():
    outcome = await attempt(public.reach, seen_at("https://phone.invalid"))
    assert outcome.state == "failed" and "name is not known" in outcome.do, outcome


@pytest.mark.skipif(not shutil.which("openssl"), reason="makes certificates")
async def test_a_public_url_whose_certificate_nobody_trusts(tmp_path):
    cert, key = certificates.make(tmp_path)
    async with ours(tls_cert=cert, tls_key=key) as url:
        outcome = await attempt(public.reach, seen_at(url.replace("http:", "https:")))
    assert outcome.state == "failed" and "not trusted" in outcome.do, outcome


async def test_a_server_that_hangs(monkeypatch):
    monkeypatch.setattr("voice_ai.server.doctor.knocking.ANSWER_S", 0.2)
    async with hanging() as port:
        outcome = await attempt(public.reach, seen_at(f"http://127.0.0.1:{port}"))
    assert outcome.state == "failed" and "Nobody answers" in outcome.do, outcome


@pytest.mark.parametrize("check", SIGNED, ids=lambda check: check.name)
@pytest.mark.parametrize(
    "other", [{"as_url": PUBLIC_URL}, {"token": "f" * 32}], ids=["another URL", "another token"]
)
async def test_a_server_that_takes_what_is_signed_for_wrong(check, other):
    async with ours(**other) as url:
        outcome = await attempt(check, seen_at(url))
    assert outcome.state == "failed" and "403" in outcome.found, outcome


async def test_a_server_without_a_token():
    async with ours(token=None) as url:
        assert (await attempt(public.webhook, seen_at(url))).state == "failed"
        assert (await attempt(public.webhook, seen_at(url, None))).state == "warning"
        assert (await attempt(public.handshake, seen_at(url, None))).state == "ok"


async def test_a_console_that_strangers_can_read():
    async with ours() as url:  # over the loopback we are no stranger
        outcome = await attempt(public.console, seen_at(url))
    assert outcome.state == "failed" and "answered to everybody" in outcome.found
    async with answering(403) as url:
        assert (await attempt(public.console, seen_at(url))).state == "ok"


@pytest.mark.parametrize(
    ("date", "state"),
    [
        ("Sun, 01 Nov 2026 12:00:20 GMT", "ok"),
        ("Sun, 01 Nov 2026 12:02:00 GMT", "failed"),
        ("Sun, 01 Nov 2026 11:58:00 GMT", "failed"),
        ("noon", "skipped"),
    ],
)
async def test_our_clock_against_another(date, state):
    async with FakeTwilioAccount() as fake:
        fake.date = date
        where = situation(twilio_api_url=fake.url, now=datetime(2026, 11, 1, 12, tzinfo=UTC))
        assert (await attempt(public.clock_drift, where)).state == state
    assert (await attempt(public.clock_drift, where)).state == "skipped"


def with_account(fake: FakeTwilioAccount, **changes) -> Situation:
    fields = {
        "twilio_api_url": fake.url,
        "twilio_account_sid": ACCOUNT_SID,
        "twilio_auth_token": AUTH_TOKEN,
        "public_url": PUBLIC_URL,
    }
    return situation(**(fields | changes))


@pytest.mark.parametrize(
    ("account", "state"),
    [
        ({"status": "active", "type": "Full"}, "ok"),
        ({"status": "active", "type": "Trial"}, "warning"),
        ({"status": "suspended"}, "failed"),
    ],
)
async def test_the_account(account, state):
    async with FakeTwilioAccount() as fake:
        fake.account = account
        assert (await attempt(twilio.account, with_account(fake))).state == state


@pytest.mark.parametrize("check", twilio.CHECKS, ids=lambda check: check.name)
async def test_twilio_that_refuses_and_that_is_gone(check):
    async with FakeTwilioAccount() as fake:
        outcome = await attempt(check, with_account(fake, twilio_auth_token="f" * 32))
        assert outcome.state == "failed" and "The key is wrong" in outcome.do
        fake.body = b"<html>"
        outcome = await attempt(check, with_account(fake))
        assert outcome.state == "failed" and "no JSON" in outcome.found
    outcome = await attempt(check, with_account(fake))
    assert outcome.state == "failed" and "Nobody listens" in outcome.do, outcome
    assert (await attempt(check, situation())).state == "skipped"


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (number("https://old.ngrok.app/incoming-call"), "another host than"),
        (number(f"{PUBLIC_URL}/voice"), "another address than"),
        (number(""), "has no webhook"),
        (number(voice_method="PUT"), "asks by PUT"),
        (number(trunk_sid="TK1"), "a SIP trunk"),
        (number(voice_application_sid="AP1"), "a TwiML app"),
    ],
)
async def test_a_number_that_points_elsewhere(one, words):
    async with FakeTwilioAccount() as fake:
        fake.numbers = [one]
        outcome = await attempt(twilio.number, with_account(fake))
    assert outcome.state == "failed" and words in outcome.found, outcome


async def test_a_number_that_is_not_there():
    async with FakeTwilioAccount() as fake:
        where = with_account(fake, twilio_number="+15550109999")
        assert "has no number" in (await attempt(twilio.number, where)).found
        fake.numbers = []
        assert "has no numbers" in (await attempt(twilio.number, with_account(fake))).found


async def test_numbers_that_point_here():
    async with FakeTwilioAccount() as fake:
        where = with_account(fake, twilio_number=NUMBER)
        assert (await attempt(twilio.number, where)).state == "ok"
        fake.numbers.insert(0, number("", phone_number="+15550109999"))
        outcome = await attempt(twilio.number, with_account(fake))
    assert outcome.state == "ok" and outcome.found == f"{NUMBER} sends calls here, by POST"
