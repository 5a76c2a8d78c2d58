"""Having the running server call somebody, from the command line."""

import httpx

from voice_ai.agent import PHONE_NUMBER
from voice_ai.errors import PeerError, UsageError
from voice_ai.server.settings import Settings
from voice_ai.server.webhook import local_url

# The server waits five seconds for Twilio.
TIMEOUT_S = 10.0
MAX_QUOTED_CHARS = 300


def dial(settings: Settings, number: str, *, server: str) -> int:
    """Have a server call this number and print the call's sid; returns the exit code.

    Raises:
        UsageError: this is no number, or the settings do not allow it.
        PeerError: there is no server, or it does not place the call.
    """
    if not PHONE_NUMBER.fullmatch(number):
        raise UsageError(f"cannot call {number!r}, needed a number such as +15550100001")
    url = server.rstrip("/") or local_url(
        settings.host, settings.port, is_secure=settings.tls_cert is not None
    )
    headers = {}
    if settings.api_token:
        headers["Authorization"] = f"Bearer {settings.api_token.get_secret_value()}"
    try:
        with httpx.Client(trust_env=False, timeout=TIMEOUT_S) as http:
            answer = http.post(f"{url}/api/calls", json={"to": number}, headers=headers)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        text = f"no server answers at {url} ({error}); `python -m server` starts one"
        raise PeerError(text) from error
    if answer.status_code == httpx.codes.METHOD_NOT_ALLOWED:
        raise UsageError(f"the server at {url} places no calls: it was started without OUTBOUND=1")
    if answer.status_code != httpx.codes.CREATED:
        why = " ".join(answer.text.split())[:MAX_QUOTED_CHARS]
        raise PeerError(f"the server at {url} answered {answer.status_code}: {why}")
    print(f"Calling {number}: {answer.json()['call_sid']}")
    return 0
