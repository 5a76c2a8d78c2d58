"""Keys and addresses of the services, as far as their looks tell: shapes, clear text, proxies."""

import re
from typing import Final
from urllib.parse import urlsplit

from pydantic import SecretStr

from voice_ai.server.doctor.outcome import Check, Outcome, check, failed, ok, skipped, warning
from voice_ai.server.doctor.situation import Situation
from voice_ai.server.loopback import is_loopback

# As the vendors' consoles give them out in 2026.
SHAPES: Final = {
    "Deepgram key": re.compile(r"[0-9a-f]{40}"),
    "OpenAI key": re.compile(r"sk-[\w-]{20,}"),
    "Twilio auth token": re.compile(r"[0-9a-f]{32}"),
}
ACCOUNT_SID: Final = re.compile(r"AC[0-9a-f]{32}")
OPENAI: Final = "https://api.openai.com"


def _shape(name: str, key: SecretStr) -> Outcome:
    """Judge a key by its looks; none of it is told."""
    text = key.get_secret_value()
    if SHAPES[name].fullmatch(text):
        return ok(f"it looks like one ({len(text)} characters); --live tries it")
    taken_for = [other for other, shape in SHAPES.items() if shape.fullmatch(text)]
    if taken_for:
        return failed(f"this is {_a(taken_for[0])}, not {_a(name)}")
    return warning(f"{len(text)} characters that do not look like {_a(name)}")


def _a(name: str) -> str:
    return f"an {name}" if name[0] in "AEIOU" else f"a {name}"


@check(
    "deepgram-key",
    "The server ends at start with “the key is unknown” (401), or calls are silent.",
    "Copy the key from console.deepgram.com once more: 40 hexadecimal digits, without quotes.",
)
def deepgram_key(situation: Situation) -> Outcome:
    """Judge Deepgram's key by its looks."""
    settings = situation.settings
    if settings.deepgram_api_key is not None:
        return _shape("Deepgram key", settings.deepgram_api_key)
    if "deepgram" in (settings.stt, settings.tts):
        return failed("STT or TTS is deepgram, and DEEPGRAM_API_KEY cannot be used or is not set")
    return skipped("no DEEPGRAM_API_KEY: local models hear and speak")


@check(
    "openai-key",
    "The server ends at start with 401 and `invalid_api_key`, or the agent only apologises.",
    "Make a key at platform.openai.com; it begins with `sk-`. With OPENAI_BASE_URL it is that "
    "server's.",
)
def openai_key(situation: Situation) -> Outcome:
    """Judge OpenAI's key by its looks."""
    settings = situation.settings
    if settings.openai_api_key is None:
        if settings.llm == "openai":
            return failed("LLM is openai, and OPENAI_API_KEY cannot be used or is not set")
        return skipped("no OPENAI_API_KEY: the agent's own answers are spoken")
    if not (settings.openai_base_url or OPENAI).startswith(OPENAI):
        return skipped(f"the key is for {settings.openai_base_url}, which knows its own")
    return _shape("OpenAI key", settings.openai_api_key)


@check(
    "twilio-credentials",
    "All calls are refused with 403, or callers cannot be put through (401, code 20003).",
    "Copy Account SID (AC...) and Auth Token from console.twilio.com; an API key (SK...) and its "
    "secret do not sign webhooks.",
)
def twilio_credentials(situation: Situation) -> Outcome:
    """Judge the account's sid and token by their looks."""
    token, sid = situation.settings.twilio_auth_token, situation.settings.twilio_account_sid
    if situation.given("TWILIO_ACCOUNT_SID").startswith("SK"):
        return failed("TWILIO_ACCOUNT_SID is an API key's (SK...), needed the account's (AC...)")
    if token is None:
        if sid is None:
            return skipped("no TWILIO_AUTH_TOKEN, no TWILIO_ACCOUNT_SID")
        return failed("TWILIO_ACCOUNT_SID without a TWILIO_AUTH_TOKEN that can be used")
    shape = _shape("Twilio auth token", token)
    if shape.state == "ok" and sid is not None and not ACCOUNT_SID.fullmatch(sid):
        return warning("TWILIO_ACCOUNT_SID is not AC and 32 hexadecimal digits")
    return shape


@check(
    "clear-text",
    "Keys and what callers say can be read on the way; or a service is not reached through a "
    "firewall.",
    "Write `https://` (or `wss://`) in the URL, unless the server is this machine.",
)
def clear_text(situation: Situation) -> Outcome:
    """Look for services that are asked without TLS over a network."""
    names = ("deepgram_url", "openai_base_url", "openai_fallback_base_url", "twilio_api_url")
    clear = []
    for name in names:
        parts = urlsplit(getattr(situation.settings, name) or "")
        if parts.scheme in ("http", "ws") and not is_loopback(parts.hostname or ""):
            clear.append(f"{name.upper()} is {parts.scheme}://{parts.hostname}")
    if clear:
        return warning("; ".join(clear))
    return ok("every service is asked by TLS, or is on this machine")


@check(
    "proxy-variables",
    "OpenAI is slow or out of reach, while Deepgram works; or the other way round.",
    "Unset HTTPS_PROXY, HTTP_PROXY and ALL_PROXY for the server, or name the service's host in "
    "NO_PROXY. Deepgram and Twilio are always reached directly.",
)
def proxy_variables(situation: Situation) -> Outcome:
    """Say which of the services a proxy of the environment stands before: OpenAI's SDK takes it."""
    variables = {
        name.lower().removesuffix("_proxy"): value
        for name, value in situation.environ.items()
        if name.lower().endswith("_proxy") and value
    }
    target = urlsplit(situation.settings.openai_base_url or OPENAI)
    proxy = variables.get(target.scheme) or variables.get("all")
    if not proxy:
        return ok("no proxy in the environment concerns us")
    if situation.settings.llm != "openai":
        return skipped("a proxy is set, and no service that is used would take it")
    if _is_exempt(target.hostname or "", variables.get("no", "")):
        return ok(f"{target.hostname} is in NO_PROXY")
    # Its user and password stand before the host.
    where = urlsplit(proxy if "//" in proxy else f"//{proxy}").netloc.rpartition("@")[2]
    return warning(f"{target.hostname} is asked through {where}, every turn of every call")


def _is_exempt(host: str, no_proxy: str) -> bool:
    """Whether NO_PROXY names a host: itself, a domain above it, or everything."""
    names = [name.strip().lstrip(".") for name in no_proxy.split(",") if name.strip()]
    return "*" in names or any(f".{host}".endswith(f".{name}") for name in names)


CHECKS: Final[tuple[Check, ...]] = (
    deepgram_key,
    openai_key,
    twilio_credentials,
    clear_text,
    proxy_variables,
)
