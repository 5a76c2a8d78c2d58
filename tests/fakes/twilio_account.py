"""The part of Twilio's REST interface that tells of an account and its numbers, on loopback."""

import base64
from typing import Any

from aiohttp import web

from fakes.twilio_rest import ACCOUNT_SID, AUTH_TOKEN

NUMBER = "+15550100002"


class FakeTwilioAccount:
    """`async with FakeTwilioAccount() as fake`, then `fake.url`; change `account` and `numbers`."""

    def __init__(self) -> None:
        self.account: dict[str, Any] = {"sid": ACCOUNT_SID, "status": "active", "type": "Full"}
        self.numbers: list[dict[str, Any]] = [number()]
        self.body: bytes | None = None  # instead of an answer
        self.date: str | None = None  # instead of the time
        self.url = ""

    async def __aenter__(self) -> "FakeTwilioAccount":
        app = web.Application()
        base = f"/2010-04-01/Accounts/{ACCOUNT_SID}"
        app.router.add_get(f"{base}.json", self._account)
        app.router.add_get(f"{base}/IncomingPhoneNumbers.json", self._numbers)
        app.router.add_get("/", self._account)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = "http://{}:{}".format(*self._runner.addresses[0][:2])
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._runner.cleanup()

    def _answer(self, request: web.Request, found: dict[str, Any]) -> web.Response:
        right = base64.b64encode(f"{ACCOUNT_SID}:{AUTH_TOKEN}".encode()).decode()
        headers = {"Date": self.date} if self.date is not None else {}
        if self.body is not None:
            return web.Response(body=self.body, headers=headers)
        if request.headers.get("Authorization") != f"Basic {right}":
            told = {"code": 20003, "message": "Authenticate", "status": 401}
            return web.json_response(told, status=401, headers=headers)
        return web.json_response(found, headers=headers)

    async def _account(self, request: web.Request) -> web.Response:
        return self._answer(request, self.account)

    async def _numbers(self, request: web.Request) -> web.Response:
        wanted = request.query.get("PhoneNumber")
        found = [one for one in self.numbers if wanted in (None, one["phone_number"])]
        return self._answer(request, {"incoming_phone_numbers": found})


def number(url: str = "https://phone.example.com/incoming-call", **changes: Any) -> dict[str, Any]:
    """A number as the resource has it."""
    fields = {"phone_number": NUMBER, "voice_url": url, "voice_method": "POST"}
    return {**fields, "trunk_sid": None, "voice_application_sid": "", **changes}
