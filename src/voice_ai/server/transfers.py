"""Putting a caller through to a person: the dialling, the briefing, and what if nobody answers.

Twilio dials and connects. It asks us what to say to the one who answers before they are connected,
and once that call is over how to go on.

Source: twilio.com/docs/voice/twiml/dial (action), .../twiml/number (url).
"""

import logging
from typing import Final
from urllib.parse import parse_qs, urlencode

from voice_ai.call.transfer import TransferError
from voice_ai.errors import PeerError, UsageError
from voice_ai.providers.protocols import CallInfo
from voice_ai.server.http import Request, Response, Routes
from voice_ai.server.siblings import Siblings
from voice_ai.server.twilio_rest import TwilioRest
from voice_ai.server.webhook import Webhook, sdk, twiml

logger = logging.getLogger(__name__)

BRIEFING_PATH: Final = "/transfer/briefing"
AFTER_PATH: Final = "/transfer/after"
# Twilio's calls begin with this; a browser's cannot be put through.
PHONE_CALL: Final = "CA"
# Briefings that nobody has picked up the phone for; above it the oldest is forgotten, and its call
# is connected without one.
MAX_BRIEFINGS: Final = 1_000
# What Twilio says of a dialled call that came about.
CONNECTED: Final = ("completed", "answered")
NOBODY_SENTENCE: Final = "Nobody can take your call there at the moment. I am connecting you back."


class Transfers:
    """Puts callers through (a CallControl), and answers what Twilio asks about it.

    Args:
        rest: the account's calls.
        webhook: knows Twilio's requests, and connects a caller to the agent again.
        public_url: without it nobody can be briefed, and a call that nobody takes ends.
        siblings: asked for a briefing when Twilio asks another process than the call's.
    """

    def __init__(
        self,
        rest: TwilioRest,
        webhook: Webhook,
        public_url: str | None,
        siblings: Siblings | None = None,
    ) -> None:
        self._rest = rest
        self._webhook = webhook
        self._base = public_url
        self._siblings = siblings or Siblings()
        self._briefings: dict[str, str] = {}  # by the caller's CallSid, oldest first

    @property
    def briefs(self) -> bool:
        """Whether the one called can be told something first."""
        return self._base is not None

    def add_to(self, routes: Routes) -> None:
        """Add what Twilio asks us."""
        vouches = self._webhook.vouches
        routes.add(BRIEFING_PATH, while_draining=True, vouches=vouches, POST=self.briefing)
        routes.add(AFTER_PATH, while_draining=True, vouches=vouches, POST=self.after)

    async def transfer(self, call: CallInfo, number: str, briefing: str) -> None:
        """Have Twilio dial this number for the caller; the media stream ends.

        Raises:
            TransferError: Twilio does not do it, or the call has not come by phone.
        """
        if not call.call_sid.startswith(PHONE_CALL):
            raise TransferError("the call has not come by phone")
        if self._base and briefing:
            self._keep(call.call_sid, briefing)
            asks = f"{self._base}{BRIEFING_PATH}?{urlencode({'call': call.call_sid})}"
        else:
            asks = None
        after = f"{self._base}{AFTER_PATH}" if self._base else None
        try:
            dial = sdk().dial(number, briefing_url=asks, after_url=after)
            await self._rest.give_twiml(call.call_sid, dial.decode())
        except (UsageError, PeerError) as error:
            self._briefings.pop(call.call_sid, None)
            raise TransferError(str(error)) from error

    def _keep(self, call_sid: str, briefing: str) -> None:
        if len(self._briefings) >= MAX_BRIEFINGS:
            del self._briefings[next(iter(self._briefings))]
        self._briefings[call_sid] = briefing

    async def briefing(self, request: Request) -> Response:
        """Answer what is said to the one called, once, before the caller is connected."""
        form = self._webhook.read(request)
        if isinstance(form, Response):
            return form
        call_sid = parse_qs(request.query).get("call", [""])[0]
        words = self.take_briefing(call_sid)
        if not words:
            words = next(filter(None, await self._siblings.ask(briefing=call_sid)), "")
        return twiml(sdk().say(words))

    def take_briefing(self, call_sid: str) -> str:
        """Return what is said to the one whom this caller is put through to; only once."""
        return self._briefings.pop(call_sid, "")

    async def after(self, request: Request) -> Response:
        """End a call that was put through and is over; take back one that nobody answered."""
        form = self._webhook.read(request)
        if isinstance(form, Response):
            return form
        call_sid, status = form.get("CallSid", ""), form.get("DialCallStatus", "")
        self._briefings.pop(call_sid, None)
        if status in CONNECTED:
            return twiml(sdk().hang_up())
        logger.info("call %s: nobody took it (%s), it comes back", call_sid, status[:20])
        return await self._webhook.connect(form, NOBODY_SENTENCE)
