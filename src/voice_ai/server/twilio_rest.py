"""Twilio's REST interface, as far as we need it: a call placed, changed, ended; a number's webhook.

Source: twilio.com/docs/voice/api/call-resource; .../docs/api/errors for the codes;
twilio.com/docs/phone-numbers/api/incomingphonenumber-resource.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, Literal

import httpx
import orjson
from pydantic import SecretStr

from voice_ai.errors import PeerError, UsageError
from voice_ai.server.webhook import CALL_SID

# Seconds for one request and its answer, connecting included. Nobody says anything to the caller
# meanwhile, and after six seconds of silence we would ask whether they are still there.
TIMEOUT_S: Final = 5.0
# Only connecting is tried again: a call that was asked for twice would ring twice.
RETRIES: Final = 1
VERSION: Final = "2010-04-01"
MAX_ANSWER_OCTETS: Final = 64 * 1024
MAX_QUOTED_CHARS: Final = 200
# What we sent is wrong: its fields, or our credentials.
OUR_FAULT: Final = (400, 401, 403)
# "Call is not in-progress. Cannot redirect.": the other side has hung up, which is nobody's fault.
NOT_IN_PROGRESS: Final = 21220
# It becomes a part of a path.
NUMBER_SID: Final = re.compile(r"PN[0-9A-Za-z]{1,62}")


class TwilioRest:
    """One account's calls. Every method makes one request, which takes `TIMEOUT_S` at most.

    Raises, whichever is called:
        UsageError: Twilio refuses what was asked or the credentials, with its code and text.
        PeerError: the call is not there any more, Twilio has trouble, or cannot be reached.
    """

    def __init__(self, http: httpx.AsyncClient, account_sid: str) -> None:
        """Speak for this account; `http` has the base URL and the credentials (see `open_rest`)."""
        self._http = http
        self._calls = f"/{VERSION}/Accounts/{account_sid}/Calls"
        self._numbers = f"/{VERSION}/Accounts/{account_sid}/IncomingPhoneNumbers"

    async def create_call(
        self, to: str, from_: str, url: str, more: Mapping[str, str] | None = None
    ) -> str:
        """Have a number called; who answers is connected as the TwiML at `url` says.

        Args:
            to, from_: numbers as E.164 writes them; `from_` is the account's.
            url: fetched by POST when the call is answered.
            more: other fields of the request, by Twilio's names.

        Returns:
            The CallSid.
        """
        fields = {"To": to, "From": from_, "Url": url, "Method": "POST", **(more or {})}
        answer = await self._post(f"{self._calls}.json", fields)
        sid = answer.get("sid")
        if not isinstance(sid, str) or not CALL_SID.fullmatch(sid):
            raise PeerError("Twilio placed a call and gave no sid for it")
        return sid

    async def give_twiml(self, call_sid: str, twiml: str) -> None:
        """Have a call under way go on with this TwiML; its media stream ends."""
        await self._update(call_sid, {"Twiml": twiml})

    async def end_call(self, call_sid: str) -> None:
        """Hang up."""
        await self._update(call_sid, {"Status": "completed"})

    async def find_number(self, number: str) -> dict[str, Any] | None:
        """Return what Twilio has of one of the account's numbers; None if it has no such one."""
        answer = await self._ask("GET", f"{self._numbers}.json", {"PhoneNumber": number})
        found = answer.get("incoming_phone_numbers")
        for one in found if isinstance(found, list) else ():
            if isinstance(one, dict) and one.get("phone_number") == number:
                return one
        return None

    async def update_number(self, sid: str, fields: Mapping[str, str]) -> None:
        """Change a number of the account, by Twilio's names."""
        if not NUMBER_SID.fullmatch(sid):
            raise PeerError("Twilio gave no sid for the number")
        await self._post(f"{self._numbers}/{sid}.json", fields)

    async def _update(self, call_sid: str, fields: Mapping[str, str]) -> None:
        if not CALL_SID.fullmatch(call_sid):  # it becomes a part of the path
            raise UsageError(f"{call_sid[:40]!r} is no CallSid")
        await self._post(f"{self._calls}/{call_sid}.json", fields)

    async def _post(self, path: str, fields: Mapping[str, str]) -> dict[str, Any]:
        return await self._ask("POST", path, fields)

    async def _ask(
        self, method: Literal["GET", "POST"], path: str, fields: Mapping[str, str]
    ) -> dict[str, Any]:
        sent: dict[str, Any] = {"data" if method == "POST" else "params": dict(fields)}
        try:
            async with asyncio.timeout(TIMEOUT_S):
                answer = await self._http.request(method, path, **sent)
        except TimeoutError:
            raise PeerError(f"Twilio has not answered within {TIMEOUT_S:g} s") from None
        except httpx.HTTPError as error:
            name = type(error).__name__
            raise PeerError(f"Twilio cannot be reached: {str(error) or name}") from error
        found = _read(answer.content)
        if not answer.is_success:
            raise _refusal(answer.status_code, found)
        return found


@asynccontextmanager
async def open_rest(
    account_sid: str, auth_token: SecretStr, base_url: str
) -> AsyncIterator[TwilioRest]:
    """Open the connections to Twilio, or to what stands at `base_url`; nothing is sent yet."""
    async with httpx.AsyncClient(
        base_url=base_url,
        auth=httpx.BasicAuth(account_sid, auth_token.get_secret_value()),
        timeout=TIMEOUT_S,
        transport=httpx.AsyncHTTPTransport(retries=RETRIES),
        trust_env=False,
    ) as http:
        yield TwilioRest(http, account_sid)


def _read(content: bytes) -> dict[str, Any]:
    """Return the object in an answer; an empty one for what is none."""
    if len(content) > MAX_ANSWER_OCTETS:
        return {}
    try:
        found = orjson.loads(content)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def _refusal(status: int, found: Mapping[str, Any]) -> UsageError | PeerError:
    code = found.get("code")
    text = "".join(filter(str.isprintable, str(found.get("message") or "no reason given")))
    told = f"Twilio answered {status}, code {code}: {text[:MAX_QUOTED_CHARS]}"
    if status in OUR_FAULT and code != NOT_IN_PROGRESS:
        return UsageError(told)
    return PeerError(told)
