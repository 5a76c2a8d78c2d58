"""Where Twilio is to find us: the public URL, the port, TLS, proxies, and who else gets in."""

import ipaddress
import re
import ssl
from typing import Final
from urllib.parse import urlsplit

from voice_ai.server.doctor.certificate import presented
from voice_ai.server.doctor.outcome import Check, Outcome, check, failed, ok, skipped, warning
from voice_ai.server.doctor.situation import Situation
from voice_ai.server.limits import LOOPBACK

# Names that only a machine or a local network resolves (RFC 6761, RFC 6762, RFC 8375).
PRIVATE_NAMES: Final = re.compile(r"localhost|.*\.(localhost|local|internal|lan|home\.arpa|test)")
# Authorities renew 30 days before the end; what is left then has been forgotten.
RENEW_DAYS: Final = 14.0
S_PER_DAY: Final = 86_400.0


@check(
    "public-url",
    "It rings and nothing comes, or “an application error has occurred”; Twilio's log has 11200.",
    "Set PUBLIC_URL to `https://` and the host that Twilio reaches, with nothing behind it, e.g. "
    "what `ngrok http 8000` or `cloudflared tunnel` prints.",
)
def public_url(situation: Situation) -> Outcome:
    """Judge the address that Twilio is given."""
    written = situation.given("PUBLIC_URL")
    if not written:
        return warning("PUBLIC_URL is not set: this machine can call the server, Twilio cannot")
    try:
        parts = urlsplit(written)
        host = (parts.hostname or "").lower()
    except ValueError:
        return failed("PUBLIC_URL cannot be used: it is no URL")
    if parts.scheme != "https":
        return failed(f"PUBLIC_URL begins with {parts.scheme or 'no scheme'}; Twilio needs https")
    if parts.path.rstrip("/") or parts.query:
        return failed("PUBLIC_URL has a path; give the host alone, /incoming-call is added to it")
    if _is_private(host):
        return failed(f"nobody outside this network can reach {host}")
    if situation.settings.public_url is None:
        return failed("PUBLIC_URL cannot be used as it is")
    return ok(f"{situation.settings.public_url}, the webhook is at /incoming-call")


def _is_private(host: str) -> bool:
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return "." not in host or PRIVATE_NAMES.fullmatch(host) is not None


@check(
    "port",
    "The server does not start: the port is in use; or another program answers Twilio.",
    "Stop the other program, or set PORT to another port and point the tunnel or proxy there.",
)
def port(situation: Situation) -> Outcome:
    """Say who has the port."""
    found, where = situation.port, f"port {situation.settings.port} on {situation.settings.host}"
    match found.who:
        case "nobody":
            return ok(f"{where} is free")
        case "ours":
            who = f", {found.detail}" if found.detail else ""
            return ok(f"{where}: this server is running{who}")
        case "forbidden":
            return failed(
                f"{where} cannot be listened on: {found.detail}",
                "Take a PORT from 1024 on, and as HOST an address of this machine, or 0.0.0.0.",
            )
    return failed(f"{where} is taken: {found.detail}")


@check(
    "tls",
    "Twilio's log has 31910 or 11237, or browsers warn of the certificate.",
    "Renew the certificate for the host of PUBLIC_URL, name its chain (fullchain.pem) as TLS_CERT "
    "and its key as TLS_KEY, and restart.",
)
def tls(situation: Situation) -> Outcome:
    """Shake hands with our own certificate, as whoever dials the public URL would."""
    settings = situation.settings
    if settings.tls_cert is None or settings.tls_key is None:
        return skipped("no TLS_CERT: the tunnel or the proxy speaks TLS")
    host = urlsplit(settings.public_url or "").hostname or settings.host
    try:
        shown = presented(settings.tls_cert, settings.tls_key, host)
    except ssl.SSLCertVerificationError as error:
        return failed(f"{settings.tls_cert}: {error.verify_message}")
    ends_s = ssl.cert_time_to_seconds(str(shown["notAfter"]))
    days = (ends_s - situation.now.timestamp()) / S_PER_DAY
    if days < RENEW_DAYS:
        return warning(f"{settings.tls_cert} for {host} ends in {max(0.0, days):.0f} days")
    try:
        presented(settings.tls_cert, settings.tls_key, host, to_the_public=True)
    except ssl.SSLCertVerificationError as error:
        why = f"Twilio will not trust {settings.tls_cert}: {error.verify_message}"
        return warning(f"{why}; a proxy before us may")
    return ok(f"{settings.tls_cert} is valid for {host}, {days:.0f} days more")


@check(
    "open-door",
    "Strangers call, and the services' bills grow.",
    "Set TWILIO_AUTH_TOKEN, and unset INSECURE: then only what Twilio has signed is a call.",
)
def open_door(situation: Situation) -> Outcome:
    """Look whether somebody else than Twilio can make calls."""
    settings = situation.settings
    reachable = settings.is_public or settings.public_url is not None
    if settings.twilio_auth_token is not None:
        return ok("only what Twilio has signed is a call")
    if reachable:
        insecure = "INSECURE=1 and " if settings.insecure else ""
        return warning(f"{insecure}no TWILIO_AUTH_TOKEN: whoever knows the address may call")
    return ok("signatures are not checked; only this machine reaches the server")


@check(
    "console",
    "The console answers 401 or 403 from another machine; or anybody can read the calls.",
    "Set CONSOLE_PASSWORD (8 characters or more), and reach the console by https.",
)
def console(situation: Situation) -> Outcome:
    """Say who can see the console."""
    settings = situation.settings
    if settings.console_password is None:
        where = "; from elsewhere it is refused" if settings.is_public else ""
        return ok(f"for this machine only, CONSOLE_PASSWORD is not set{where}")
    if settings.is_public and not settings.is_secure:
        return warning("the password for the console goes over the network in clear text")
    return ok("for this machine, and for who gives the password")


@check(
    "trusted-proxies",
    "Under load everybody gets 429 at once, or one client's limits do not hold.",
    "Set TRUSTED_PROXIES to the addresses of your proxies, and to nothing else.",
)
def trusted_proxies(situation: Situation) -> Outcome:
    """Judge whose word is taken for who asks."""
    settings = situation.settings
    networks = ", ".join(map(str, settings.trusted_proxies)) or "none"
    if any(network.prefixlen == 0 for network in settings.trusted_proxies):
        return warning(f"{networks}: anybody may say that they are somebody else")
    behind = settings.public_url is not None and settings.tls_cert is None and settings.is_public
    if behind and tuple(settings.trusted_proxies) == LOOPBACK:
        return warning(
            f"HOST={settings.host} and no certificate, so a proxy stands before us; if it is "
            "another machine, all its clients count as one"
        )
    return ok(networks)


CHECKS: Final[tuple[Check, ...]] = (
    public_url,
    port,
    tls,
    open_door,
    console,
    trusted_proxies,
)
