"""Twilio's REST interface: is the account alive, and does its number point here.

Source: twilio.com/docs/iam/api/account, .../docs/phone-numbers/api/incomingphonenumber-resource.
"""

from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import orjson

from voice_ai.server.doctor.outcome import Check, Outcome, failed, live, ok, skipped, warning
from voice_ai.server.doctor.reasons import out_of_reach, words_of
from voice_ai.server.doctor.situation import Situation
from voice_ai.server.twilio_rest import TIMEOUT_S, VERSION
from voice_ai.server.webhook import WEBHOOK_PATH

METHODS: Final = ("POST", "GET")
# Numbers of an account that are looked through; one page of Twilio's.
PAGE: Final = 100


async def _get(situation: Situation, path: str, **query: str) -> dict[str, Any] | Outcome:
    """Ask for a resource of the account; what it is, or why it cannot be had."""
    settings = situation.settings
    sid, token = settings.twilio_account_sid, settings.twilio_auth_token
    if sid is None or token is None:
        return skipped("it takes TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN")
    url = f"{settings.twilio_api_url}/{VERSION}/Accounts/{sid}{path}.json"
    auth = httpx.BasicAuth(sid, token.get_secret_value())
    try:
        async with httpx.AsyncClient(auth=auth, timeout=TIMEOUT_S, trust_env=False) as http:
            answer = await http.get(url, params=query)
    except httpx.HTTPError as error:
        return out_of_reach(f"Twilio: {words_of(error)}")
    try:
        found = orjson.loads(answer.content)
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, dict):
        return failed(f"Twilio answered {answer.status_code} with something that is no JSON")
    if not answer.is_success:
        why = f"code {found.get('code')}: {found.get('message')}"
        return out_of_reach(f"Twilio answered {answer.status_code}, {why}")
    return found


@live(
    "live-account",
    "Calls end at once, or nobody can be put through: the account is suspended, or it is another.",
    "Look at console.twilio.com: is the account active, is there credit, are these its SID and "
    "token?",
)
async def account(situation: Situation) -> Outcome:
    """Ask Twilio about the account."""
    found = await _get(situation, "")
    if isinstance(found, Outcome):
        return found
    status, kind = found.get("status"), found.get("type")
    if status != "active":
        return failed(f"the account is {status}")
    if kind == "Trial":
        return warning(
            "the account is a trial: callers hear a notice first, and only verified numbers can "
            "be called",
            "Upgrade the account before real people call.",
        )
    return ok("the account is active")


@live(
    "live-number",
    "It rings and somebody else's greeting comes, or 11200: the number points elsewhere.",
    "In Twilio's console: Phone Numbers, the number, *A call comes in*: Webhook, PUBLIC_URL with "
    "/incoming-call, HTTP POST.",
)
async def number(situation: Situation) -> Outcome:
    """Look where the account's numbers, or the one of TWILIO_NUMBER, send their calls."""
    public = situation.settings.public_url
    if public is None:
        return skipped("there is no PUBLIC_URL that can be used")
    wanted = situation.settings.twilio_number
    query = {"PhoneNumber": wanted} if wanted else {}
    found = await _get(situation, "/IncomingPhoneNumbers", PageSize=str(PAGE), **query)
    if isinstance(found, Outcome):
        return found
    numbers = [one for one in found.get("incoming_phone_numbers", []) if isinstance(one, dict)]
    if not numbers:
        return failed(f"the account has {f'no number {wanted}' if wanted else 'no numbers'}")
    judged = [_judge(one, public + WEBHOOK_PATH) for one in numbers]
    right = [outcome for outcome in judged if outcome.state == "ok"]
    if wanted or not right:
        return judged[0]
    return ok("; ".join(outcome.found for outcome in right))


def _judge(one: dict[str, Any], webhook: str) -> Outcome:
    """Say where a number sends its calls."""
    name, url = str(one.get("phone_number")), str(one.get("voice_url") or "")
    for field, what in (("trunk_sid", "a SIP trunk"), ("voice_application_sid", "a TwiML app")):
        if one.get(field):
            return failed(f"{name} belongs to {what}, which decides instead of its webhook")
    if not url:
        return failed(f"{name} has no webhook for calls")
    if url.rstrip("/") != webhook:
        ours, theirs = urlsplit(webhook), urlsplit(url)
        what = "host" if ours.netloc != theirs.netloc else "address"
        return failed(f"{name} sends calls to {url}, another {what} than {webhook}")
    method = str(one.get("voice_method") or "POST")
    if method not in METHODS:
        return failed(f"{name} asks by {method}, needed POST")
    return ok(f"{name} sends calls here, by {method}")


CHECKS: Final[tuple[Check, ...]] = (account, number)
