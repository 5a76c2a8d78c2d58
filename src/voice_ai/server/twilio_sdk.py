"""What the server takes from twilio's package: TwiML and signatures. Imported when first needed."""

from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

from twilio.request_validator import (  # type: ignore[import-untyped]  # twilio 9 ships no types
    HMAC_SHA1,
    HMAC_SHA256,
    SIGNATURE_HEADER,
    SIGNATURE_SETTINGS_HEADER,
    RequestValidator,
    get_signature_algorithm,
)
from twilio.twiml.voice_response import Connect, VoiceResponse  # type: ignore[import-untyped]  # likewise

from voice_ai.server.http import Request

# Twilio takes 500 with the name: twilio.com/docs/voice/twiml/stream.
MAX_PARAMETER_CHARS: Final = 400
# Of a sentence to be spoken: Twilio takes 4,096 (twilio.com/docs/voice/twiml/say).
MAX_SAID_CHARS: Final = 2_000


class Form(dict[str, str]):
    """A form's first values by name; `getlist`, which twilio's validator asks for, gives all."""

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        super().__init__()
        self._all: dict[str, list[str]] = {}
        for name, value in pairs:
            self.setdefault(name, value)
            self._all.setdefault(name, []).append(value)

    def getlist(self, name: str) -> list[str]:
        """Return all values of this name."""
        return self._all.get(name, [])


class Signatures:
    """Checks that a request was signed with the account's token, by SHA-1 or SHA-256."""

    def __init__(self, auth_token: str) -> None:
        self._validator = RequestValidator(auth_token)

    def right(self, base: str, request: Request, form: Form) -> bool:
        """Return whether the signature is that of the URL as Twilio called it, with this form.

        Reports differ on whether Twilio ends a websocket's path with a slash, so both are tried.
        So are, by twilio's own validator, the URL with the scheme's port and without any; but it
        knows no port of `wss`.
        """
        signature = request.headers.get(SIGNATURE_HEADER)
        settings = request.headers.get(SIGNATURE_SETTINGS_HEADER)
        algorithm = get_signature_algorithm(settings).upper()
        if not signature or algorithm not in (HMAC_SHA1, HMAC_SHA256):
            return False
        rest = f"?{request.query}" if request.query else ""
        bases = [base, f"{base}:443"] if base.startswith("wss:") and _is_bare(base) else [base]
        paths = (request.path + rest, request.path + "/" + rest)
        urls = (base + path for base in bases for path in paths)
        return any(self._validator.validate(url, form, signature, algorithm) for url in urls)


def _is_bare(base: str) -> bool:
    """Whether a URL of scheme and host names no port."""
    return urlsplit(base).port is None


def connect_stream(url: str, parameters: dict[str, str], sentence: str = "") -> bytes:
    """Return the TwiML that connects a call to the websocket at `url`, after a sentence if any."""
    response, connect = VoiceResponse(), Connect()
    if sentence:
        response.say(sentence)
    stream = connect.stream(url=url)
    for name, value in parameters.items():
        stream.parameter(name=name, value=_clean(value, MAX_PARAMETER_CHARS))
    response.append(connect)
    return str(response).encode()


def dial(number: str, *, briefing_url: str | None, after_url: str | None) -> bytes:
    """Return the TwiML that connects a call to a number.

    Args:
        number: as E.164 writes it.
        briefing_url: asked for what the one called is to hear before.
        after_url: asked how the call goes on; without it the call ends.
    """
    response = VoiceResponse()
    dialled = response.dial(action=after_url) if after_url else response.dial()
    dialled.number(number, url=briefing_url) if briefing_url else dialled.number(number)
    return str(response).encode()


def say(sentence: str) -> bytes:
    """Return the TwiML that speaks a sentence with Twilio's own voice, and does nothing else."""
    response = VoiceResponse()
    if sentence:
        response.say(_clean(sentence, MAX_SAID_CHARS))
    return str(response).encode()


def hang_up() -> bytes:
    """Return the TwiML that ends the call."""
    response = VoiceResponse()
    response.hangup()
    return str(response).encode()


def redirect(url: str) -> bytes:
    """Return the TwiML that has Twilio ask somebody else what to do with the call."""
    response = VoiceResponse()
    response.redirect(url, method="POST")
    return str(response).encode()


def say_and_hang_up(sentence: str) -> bytes:
    """Return the TwiML that speaks a sentence with Twilio's own voice and ends the call."""
    response = VoiceResponse()
    response.say(_clean(sentence, MAX_SAID_CHARS))
    response.hangup()
    return str(response).encode()


def _clean(value: str, limit: int) -> str:
    """Leave out what XML cannot carry, and what is too long."""
    return "".join(char for char in value if char.isprintable())[:limit]
