"""Twilio's REST interface on loopback: strict about credentials and fields, failing when told."""

import asyncio
import base64
import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any
from uuid import uuid4
from xml.etree import ElementTree

from aiohttp import web

ACCOUNT_SID = "AC" + "5" * 32
AUTH_TOKEN = "0123456789abcdef0123456789abcdef"

NUMBER = re.compile(r"\+[1-9]\d{6,14}")
VERBS = {"Say", "Play", "Dial", "Hangup", "Connect", "Redirect", "Pause"}
CREATE = {"To", "From", "Url", "Method", "Twiml", "Timeout", "TimeLimit"} | {
    "MachineDetection",
    "AsyncAmd",
    "AsyncAmdStatusCallback",
    "AsyncAmdStatusCallbackMethod",
}
UPDATE = {"Status", "Url", "Method", "Twiml"}
UPDATE_NUMBER = {"VoiceUrl", "VoiceMethod", "VoiceApplicationSid"}


class Refusal(Exception):
    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


@dataclass
class Call:
    """A call as the service knows it; `twiml` is what it was last told to go on with."""

    sid: str
    status: str = "in-progress"
    fields: dict[str, str] = field(default_factory=dict)
    twiml: str = ""


@dataclass
class Number:
    """One of the account's numbers; an application stands above the URL."""

    number: str
    voice_url: str | None = "https://old.example.com/voice"
    voice_method: str = "GET"
    voice_application_sid: str | None = ""
    trunk_sid: str | None = None
    sid: str = field(default_factory=lambda: "PN" + uuid4().hex)

    @property
    def webhook(self) -> tuple[str, str, str]:
        return self.voice_url or "", self.voice_method, self.voice_application_sid or ""

    def as_json(self) -> dict[str, Any]:
        return {
            "sid": self.sid,
            "phone_number": self.number,
            "voice_url": self.voice_url,
            "voice_method": self.voice_method,
            "voice_application_sid": self.voice_application_sid,
            "trunk_sid": self.trunk_sid,
        }


class FakeTwilioRest:
    """`async with FakeTwilioRest() as fake`, then `fake.url`.

    `calls` are those that exist, by sid: `fake.rings(sid)` makes one. `failures` are answered
    first, in order: (status, code, message), or a body of octets with status 200. `on_update` is
    called with each call that was changed, as the network would act on it. With `knows_any` every
    call exists.
    """

    def __init__(self, on_update: Callable[[Call], Any] | None = None) -> None:
        self.calls: dict[str, Call] = {}
        self.numbers: dict[str, Number] = {}
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.failures: deque[tuple[int, int, str] | bytes] = deque()
        self.on_update = on_update
        self.knows_any = False
        self.url = ""
        self._free = asyncio.Event()
        self._free.set()

    def owns(self, number: str, **fields: Any) -> Number:
        """Give the account a number."""
        self.numbers[number] = Number(number, **fields)
        return self.numbers[number]

    def rings(self, sid: str) -> Call:
        self.calls[sid] = Call(sid)
        return self.calls[sid]

    def hold(self) -> Callable[[], None]:
        """Answer nothing until what this returns is called."""
        self._free.clear()
        return self._free.set

    async def __aenter__(self) -> "FakeTwilioRest":
        app = web.Application()
        base = "/2010-04-01/Accounts/{account}/Calls"
        app.router.add_post(base + ".json", self._answering(self._create))
        app.router.add_post(base + "/{sid}.json", self._answering(self._update))
        numbers = "/2010-04-01/Accounts/{account}/IncomingPhoneNumbers"
        app.router.add_get(numbers + ".json", self._answering(self._list_numbers))
        app.router.add_post(numbers + "/{sid}.json", self._answering(self._update_number))
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = "http://{}:{}".format(*self._runner.addresses[0][:2])
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._runner.cleanup()

    def _answering(self, endpoint: Callable[[web.Request, dict[str, str]], web.Response]) -> Any:
        async def answer(request: web.Request) -> web.Response:
            try:
                fields = await self._fields(request)
                self.requests.append((request.path, fields))
                await self._free.wait()
                if self.failures:
                    failure = self.failures.popleft()
                    if isinstance(failure, bytes):
                        return web.Response(body=failure, content_type="application/json")
                    raise Refusal(*failure)
                return endpoint(request, fields)
            except Refusal as refusal:
                told = {"code": refusal.code, "message": str(refusal), "status": refusal.status}
                return web.json_response(told, status=refusal.status)

        return answer

    async def _fields(self, request: web.Request) -> dict[str, str]:
        right = base64.b64encode(f"{ACCOUNT_SID}:{AUTH_TOKEN}".encode()).decode()
        if request.headers.get("Authorization") != f"Basic {right}":
            raise Refusal(401, 20003, "Authenticate")
        if request.match_info["account"] != ACCOUNT_SID:
            raise Refusal(404, 20404, f"The requested resource {request.path} was not found")
        if request.method == "GET":
            return dict(request.query)
        if request.content_type != "application/x-www-form-urlencoded":
            raise Refusal(400, 20001, f"Not a form: {request.content_type}")
        form = await request.post()
        if len(set(form)) != len(form):
            raise Refusal(400, 20001, "A field came twice")
        return {name: str(value) for name, value in form.items()}

    def _create(self, request: web.Request, fields: dict[str, str]) -> web.Response:
        _known(fields, CREATE)
        if "Url" not in fields and "Twiml" not in fields:
            raise Refusal(400, 21205, "Url parameter is required.")
        for name, code in (("To", 21211), ("From", 21212)):
            if not NUMBER.fullmatch(fields.get(name, "")):
                raise Refusal(400, code, f"'{name}' number {fields.get(name)} is not valid")
        call = self.rings("CA" + uuid4().hex)
        call.status, call.fields = "queued", fields
        return web.json_response({"sid": call.sid, "status": call.status}, status=201)

    def _update(self, request: web.Request, fields: dict[str, str]) -> web.Response:
        _known(fields, UPDATE)
        sid = request.match_info["sid"]
        if self.knows_any and sid not in self.calls:
            self.rings(sid)
        call = self.calls.get(sid)
        if call is None:
            raise Refusal(404, 20404, f"The requested resource {request.path} was not found")
        if call.status != "in-progress":
            raise Refusal(400, 21220, "Invalid call state: Call is not in-progress.")
        if "Twiml" in fields:
            _check_twiml(fields["Twiml"])
            call.twiml = fields["Twiml"]
        elif fields.get("Status") == "completed":
            call.status = "completed"
        else:
            raise Refusal(400, 20001, f"Nothing to change: {sorted(fields)}")
        if self.on_update:
            self.on_update(call)
        return web.json_response({"sid": call.sid, "status": call.status})

    def _list_numbers(self, request: web.Request, fields: dict[str, str]) -> web.Response:
        """Find by a part of the number, as the service does."""
        _known(fields, {"PhoneNumber"})
        wanted = fields.get("PhoneNumber", "")
        if not re.fullmatch(r"[+\d*]*", wanted):
            raise Refusal(400, 21450, f"Phone number pattern not valid: {wanted}")
        found = [one.as_json() for one in self.numbers.values() if wanted in one.number]
        return web.json_response({"incoming_phone_numbers": found})

    def _update_number(self, request: web.Request, fields: dict[str, str]) -> web.Response:
        _known(fields, UPDATE_NUMBER)
        by_sid = {one.sid: one for one in self.numbers.values()}
        number = by_sid.get(request.match_info["sid"])
        if number is None:
            raise Refusal(404, 20404, f"The requested resource {request.path} was not found")
        if fields.get("VoiceMethod", "POST") not in ("GET", "POST"):
            raise Refusal(400, 21403, "VoiceMethod is not valid")
        number.voice_url = fields.get("VoiceUrl", number.voice_url)
        number.voice_method = fields.get("VoiceMethod", number.voice_method)
        number.voice_application_sid = fields.get(
            "VoiceApplicationSid", number.voice_application_sid
        )
        return web.json_response(number.as_json())


def _known(fields: dict[str, str], known: set[str]) -> None:
    if unknown := set(fields) - known:
        raise Refusal(400, 20001, f"Unknown: {sorted(unknown)}")


def _check_twiml(twiml: str) -> None:
    try:
        root = ElementTree.fromstring(twiml)
    except ElementTree.ParseError as error:
        raise Refusal(400, 12100, f"Document parse failure: {error}") from None
    verbs = {verb.tag for verb in root}
    if root.tag != "Response" or not verbs or verbs - VERBS:
        raise Refusal(400, 12200, f"Schema validation warning: {root.tag} of {sorted(verbs)}")
    for number in root.iter("Number"):
        if not NUMBER.fullmatch((number.text or "").strip()):
            raise Refusal(400, 13223, f"Dial: Invalid phone number format: {number.text}")
