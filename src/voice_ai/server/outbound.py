"""Calls that we place: asked for over HTTP, dialled by Twilio, held as those that come in.

Source: twilio.com/docs/voice/api/call-resource, .../docs/voice/answering-machine-detection.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from uuid import uuid4

import orjson
from pydantic import SecretStr

from voice_ai.agent import PHONE_NUMBER
from voice_ai.errors import PeerError, UsageError
from voice_ai.server.admission import Places
from voice_ai.server.browser import check_browser
from voice_ai.server.calls import Calls
from voice_ai.server.console import shows_bearer
from voice_ai.server.http import Request, Response, Routes, plain
from voice_ai.server.siblings import Siblings
from voice_ai.server.twilio_rest import TwilioRest
from voice_ai.server.webhook import Webhook, sdk, twiml

logger = logging.getLogger(__name__)

JSON_TYPE: Final = "application/json"
ANSWERED_PATH: Final = "/outbound/answered-by"
# Seconds that it rings. The place that is held for the call is given back after 60.
RING_S: Final = 45
# What Twilio takes an answering party for; a machine's beep is over when it says so.
MACHINES: Final = ("machine_end_beep", "machine_end_silence", "machine_end_other", "fax")


@dataclass(frozen=True, slots=True)
class Account:
    """Where calls are placed from, and who may ask for one.

    Args:
        number: the caller's, as the one called sees it.
        public_url: where Twilio finds this server.
        token: shown as `Authorization: Bearer` by who asks; None lets this machine ask only.
        voicemail: said to a machine that answers; None says nothing and hangs up.
    """

    number: str
    public_url: str
    token: SecretStr | None = None
    voicemail: str | None = None


class Outbound:
    """Places calls."""

    def __init__(
        self,
        account: Account,
        rest: TwilioRest,
        webhook: Webhook,
        admission: Places,
        calls: Calls,
        siblings: Siblings | None = None,
        clean: Callable[[str], str] = str,
    ) -> None:
        self._account = account
        self._clean = clean
        self._rest = rest
        self._webhook = webhook
        self._admission = admission
        self._calls = calls
        self._siblings = siblings or Siblings()

    def add_to(self, routes: Routes) -> None:
        """Add what Twilio tells us; `place` is added beside the list of calls."""
        vouches = self._webhook.vouches
        routes.add(ANSWERED_PATH, while_draining=True, vouches=vouches, POST=self.answered_by)

    async def place(self, request: Request) -> Response:
        """Call the number in `{"to": "+15550100001"}`; answers 201 with its `call_sid`."""
        refusal = self._refuse(request)
        if refusal:
            return refusal
        number = _number(request.body)
        if number is None:
            return plain(400, 'needed JSON of the form {"to": "+15550100001"}')
        # A place first: who picks up shall not hear that the lines are busy.
        place = f"outbound-{uuid4().hex}"
        if not self._admission.admit(place):
            return plain(503, "no line is free", Retry_After="10")
        try:
            call_sid = await self._call(number)
        except (UsageError, PeerError) as error:
            logger.warning("a call could not be placed: %s", error)
            return plain(502, self._clean(str(error)))
        finally:
            self._admission.release(place)
        self._admission.admit(call_sid)
        logger.info("call %s: placed", call_sid)
        return Response(201, orjson.dumps({"call_sid": call_sid}), JSON_TYPE)

    def _refuse(self, request: Request) -> Response | None:
        token = self._account.token
        if token is None:
            refusal = check_browser(request)
            if refusal:
                return refusal
        elif not shows_bearer(request, token.get_secret_value()):
            return plain(401, "a bearer token is needed", WWW_Authenticate="Bearer")
        # A page of another site can send other types without asking first.
        kind = request.headers.get("Content-Type").partition(";")[0].strip().lower()
        return None if kind == JSON_TYPE else plain(415, f"a call is asked for as {JSON_TYPE}")

    async def _call(self, number: str) -> str:
        account = self._account
        more = {
            "Timeout": str(RING_S),
            "MachineDetection": "DetectMessageEnd",
            # The conversation begins at once: detection takes four seconds, and people hang up.
            "AsyncAmd": "true",
            "AsyncAmdStatusCallback": account.public_url + ANSWERED_PATH,
            "AsyncAmdStatusCallbackMethod": "POST",
        }
        url = f"{account.public_url}/incoming-call"
        return await self._rest.create_call(number, account.number, url, more)

    async def answered_by(self, request: Request) -> Response:
        """Take Twilio's word on who has answered: a machine hears the voicemail, or nothing."""
        form = self._webhook.read(request)
        if isinstance(form, Response):
            return form
        call_sid, who = form["CallSid"], form.get("AnsweredBy", "")
        if who in MACHINES:
            logger.info("call %s: answered by %s", call_sid, who)
            if not await self._told(call_sid, who):
                await self._leave(call_sid, who)
        return twiml(sdk().say(""))

    async def _told(self, call_sid: str, who: str) -> bool:
        """Have the call's session leave the voicemail; False if no process has one that can."""
        it = (call_sid, who, self._speaks_to(who))
        return self._calls.answered_by(*it) or any(await self._siblings.ask(answered_by=it))

    def _speaks_to(self, who: str) -> bool:
        return bool(self._account.voicemail) and who != "fax"

    async def _leave(self, call_sid: str, who: str) -> None:
        """Have Twilio say it, there being no session that could, or end the call."""
        words = self._account.voicemail
        try:
            if words and self._speaks_to(who):
                said = sdk().say_and_hang_up(words)
                await self._rest.give_twiml(call_sid, said.decode())
            else:
                await self._rest.end_call(call_sid)
        except (UsageError, PeerError) as error:
            logger.warning("call %s: the machine is not left: %s", call_sid, error)


def _number(body: bytes) -> str | None:
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    match found:
        case {"to": str(number), **rest} if not rest and PHONE_NUMBER.fullmatch(number):
            return number
    return None
