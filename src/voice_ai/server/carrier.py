"""What Twilio does for us beside the media stream, put together: callers put through, calls placed.

Imported when the account's credentials are known: an HTTP client takes longer to load than the rest
of the server takes to listen.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from voice_ai.agent import Agent
from voice_ai.server.admission import Places
from voice_ai.server.calls import Calls
from voice_ai.server.http import Routes
from voice_ai.server.logs import redaction
from voice_ai.server.outbound import Account, Outbound
from voice_ai.server.settings import Settings
from voice_ai.server.siblings import Siblings
from voice_ai.server.transfers import Transfers
from voice_ai.server.twilio_rest import open_rest
from voice_ai.server.webhook import Webhook


@dataclass(frozen=True, slots=True)
class Carrier:
    """The account that carries our calls; `outbound` is None unless the settings ask for it."""

    transfers: Transfers
    outbound: Outbound | None

    def add_to(self, routes: Routes) -> None:
        """Add what Twilio asks and tells us."""
        self.transfers.add_to(routes)
        if self.outbound:
            self.outbound.add_to(routes)


@asynccontextmanager
async def open_carrier(
    settings: Settings,
    agent: Agent,
    webhook: Webhook,
    admission: Places,
    calls: Calls,
    siblings: Siblings,
) -> AsyncIterator[Carrier]:
    """Open the way to Twilio; the settings have the credentials."""
    sid, token = settings.twilio_account_sid, settings.twilio_auth_token
    assert sid is not None and token is not None
    async with open_rest(sid, token, settings.twilio_api_url) as rest:
        account = _account(settings, agent)
        yield Carrier(
            Transfers(rest, webhook, settings.public_url, siblings),
            Outbound(account, rest, webhook, admission, calls, siblings, redaction(settings))
            if account
            else None,
        )


def _account(settings: Settings, agent: Agent) -> Account | None:
    number, public_url = settings.twilio_number, settings.public_url
    if not settings.outbound or number is None or public_url is None:
        return None
    return Account(number, public_url, settings.api_token, agent.voicemail)
