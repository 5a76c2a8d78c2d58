"""The console's door: this machine, or who gives the password; `/metrics` has a key of its own."""

import hmac
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qs

from pydantic import SecretStr

from voice_ai.server.http import Request, Response, Routes, plain
from voice_ai.server.limits import LOOPBACK, Network, Rate, Throttle, client_of
from voice_ai.server.loopback import from_this_machine
from voice_ai.server.passes import HOLDS_S, Passes

LOGIN_PATH: Final = "/login"
# Five at once and one every twelve seconds; of everybody together one a second.
ATTEMPTS: Final = Rate(1 / 12, 5)
ALL_ATTEMPTS: Final = Rate(1, 30)
MAX_FIELDS: Final = 8
PRIVATE: Final = {"Cache-Control": "no-store"}
HTML_TYPE: Final = "text/html; charset=utf-8"

LOGIN_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Log in - voice_ai</title>
<link rel="icon" href="/page/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/page/style.css">
</head>
<body>
<main class="login">
<h1>voice_ai</h1>
<p role="status">{told}</p>
<form method="post" action="/login">
<label>Password <input type="password" name="password" autocomplete="current-password" required
autofocus></label>
<button class="main">Log in</button>
</form>
</main>
</body>
</html>
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """What opens the console to other machines; without a password nothing does.

    Args:
        password: asked for by `/login`.
        metrics_token: shown as `Authorization: Bearer` by what reads `/metrics`.
        public_url: the origin of our own pages as browsers see it.
        is_secure: whether browsers come by TLS, so that they keep the pass to it.
        proxies: whose word on who asks is taken.
    """

    password: SecretStr | None = None
    metrics_token: SecretStr | None = None
    public_url: str | None = None
    is_secure: bool = False
    proxies: Sequence[Network] = LOOPBACK


class Console:
    """Lets in who may see the console."""

    def __init__(
        self,
        keys: Keys | None = None,
        *,
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._keys = keys = keys or Keys()
        self._now = now
        self._clock = clock
        self._passes = Passes(keys.password.get_secret_value()) if keys.password else None
        self._attempts = Throttle(ATTEMPTS, ALL_ATTEMPTS)
        self._cookie = "__Host-console" if keys.is_secure else "console"

    def add_to(self, routes: Routes) -> None:
        """Add the page that asks for the password, if there is one."""
        if self._passes:
            routes.add(LOGIN_PATH, GET=self.login_page, POST=self.login)

    def refuse(self, request: Request) -> Response | None:
        """Return the answer to who may not see the console."""
        if from_this_machine(request) or self._has_pass(request):
            return None
        if self._passes:
            return plain(403, f"log in at {LOGIN_PATH} first", **NO_STORE)
        return plain(403, "the console is for this machine only")

    def refuse_page(self, request: Request) -> Response | None:
        """Return, likewise, what a person gets: the way to the password."""
        refusal = self.refuse(request)
        if refusal is None or not self._passes:
            return refusal
        return plain(303, "log in first", Location=LOGIN_PATH, **NO_STORE)

    def refuse_browser(self, request: Request) -> Response | None:
        """Return the answer to a websocket of who may not, or of another site's page."""
        if not self._is_own(request):
            return plain(403, "this page is not the console's")
        return self.refuse(request)

    def refuse_metrics(self, request: Request) -> Response | None:
        """Return the answer to who may not read the metrics."""
        token = self._keys.metrics_token
        if token is not None and shows_bearer(request, token.get_secret_value()):
            return None
        refusal = self.refuse(request)
        if refusal is None or token is None:
            return refusal
        return plain(401, "a bearer token is needed", WWW_Authenticate="Bearer")

    async def login_page(self, request: Request) -> Response:
        """Answer the page that asks for the password."""
        return _page(200, "The console needs its password.")

    async def login(self, request: Request) -> Response:
        """Take the password; answer a pass for it."""
        if not self._is_own(request):
            return plain(403, "this page is not the console's")
        forwarded = request.headers.get("X-Forwarded-For")
        client = client_of(request.peer, forwarded, self._keys.proxies)
        refused = self._attempts.refuse(client, self._clock())
        if refused:
            wait = str(math.ceil(refused.wait_s))
            return plain(429, f"try again in {wait} s", Retry_After=wait)
        try:
            form = parse_qs(request.body.decode(errors="replace"), max_num_fields=MAX_FIELDS)
        except ValueError:
            return plain(400, f"the form has more than {MAX_FIELDS} fields")
        assert self._passes is not None, "without a password there is no such page"
        if not self._passes.opens(form.get("password", [""])[0]):
            return _page(401, "That was not the password.")
        kept = {"Set-Cookie": self._set(self._passes.issue(self._now())), "Location": "/"}
        return Response(303, b"", headers={**PRIVATE, **kept})

    def _set(self, value: str) -> str:
        fields = f"{self._cookie}={value}; Path=/; Max-Age={HOLDS_S}; HttpOnly; SameSite=Strict"
        return f"{fields}; Secure" if self._keys.is_secure else fields

    def _has_pass(self, request: Request) -> bool:
        if self._passes is None:
            return False
        pairs = (pair.strip().partition("=") for pair in request.headers.get("Cookie").split(";"))
        shown = (value for name, _, value in pairs if name == self._cookie)
        return any(self._passes.holds(value, self._now()) for value in shown)

    def _is_own(self, request: Request) -> bool:
        """Whether no page asks, or one of ours; a page without a site has the origin `null`."""
        if "Origin" not in request.headers:
            return True
        origin = request.headers.get("Origin")
        own = origin.partition("://")[2] == request.headers.get("Host")
        return own or origin == self._keys.public_url


NO_STORE: Final = {"Cache_Control": "no-store"}


def shows_bearer(request: Request, token: str) -> bool:
    """Whether a request shows this token (RFC 6750 section 2.1)."""
    scheme, _, shown = request.headers.get("Authorization").partition(" ")
    same = hmac.compare_digest(shown.strip().encode("utf-8", "surrogatepass"), token.encode())
    return same and scheme.lower() == "bearer"


def _page(status: int, told: str) -> Response:
    return Response(status, LOGIN_PAGE.format(told=told).encode(), HTML_TYPE, PRIVATE)
