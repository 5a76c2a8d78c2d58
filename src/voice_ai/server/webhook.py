"""Twilio's way in: the webhook that a call begins with, and what its media stream must show."""

import importlib
import logging
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl

from pydantic import SecretStr

from voice_ai.server.admission import Places, TokenStore
from voice_ai.server.http import Request, Response, plain
from voice_ai.server.metrics import Metrics, Refusal
from voice_ai.server.settings import BUSY_SENTENCE

logger = logging.getLogger(__name__)

UntilReady = Callable[[], Awaitable[object]]

WEBHOOK_PATH: Final = "/incoming-call"
STREAM_PATH: Final = "/ws/twilio"
# Twilio's are `CA` and 32 hexadecimal digits; other callers of this protocol may use shorter ones.
# It is written into logs, so nothing else may be in it.
CALL_SID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
# Twilio sends about 30 fields; more than this is nobody's form.
MAX_FIELDS: Final = 256
FORM_TYPE: Final = "application/x-www-form-urlencoded"
TWIML_TYPE: Final = "text/xml; charset=utf-8"
# Seconds in which a call that was just connected opens its stream; Twilio takes one or two.
STREAM_WITHIN_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Busy:
    """What a caller gets who has no place: a sentence, or somebody else's answer."""

    sentence: str = BUSY_SENTENCE
    redirect_url: str | None = None

    def answer(self) -> bytes:
        """Return the TwiML."""
        made: bytes = (
            sdk().redirect(self.redirect_url)
            if self.redirect_url
            else sdk().say_and_hang_up(self.sentence)
        )
        return made


class Webhook:
    """Answers `/incoming-call` and checks the handshakes of `/ws/twilio`.

    Args:
        tokens, admission: what each call is given; the media stream shows and uses them by
            `redeem`.
        public_url: `https://host` as Twilio calls it. Without it the address of `bind` stands
            for it; a header never does.
        auth_token: with it, every request must be signed; without it none is checked.
        metrics: told about refusals.
        until_ready: awaited before a call that may come is answered.
        busy: what a caller gets who has no place.
    """

    def __init__(
        self,
        tokens: TokenStore,
        admission: Places,
        *,
        public_url: str | None = None,
        auth_token: SecretStr | None = None,
        metrics: Metrics | None = None,
        until_ready: UntilReady | None = None,
        busy: Busy | None = None,
    ) -> None:
        self.draining = False  # why a caller has no place
        self._tokens = tokens
        self._admission = admission
        self._base = public_url
        self._auth_token = auth_token
        self._metrics = metrics
        self._until_ready = until_ready
        self._busy = busy or Busy()
        self._connected_at = -STREAM_WITHIN_S
        self._signatures: Any = None

    @property
    def expects_stream(self) -> bool:
        """Whether a call was connected so lately that its stream may still come."""
        return time.monotonic() - self._connected_at < STREAM_WITHIN_S

    def bind(self, host: str, port: int, *, is_secure: bool = False) -> None:
        """Take the address that is listened on, for want of a public one."""
        if self._base is None:
            self._base = local_url(host, port, is_secure=is_secure)

    def warm_up(self) -> None:
        """Import twilio's package and make a first answer: the first call need not wait for it."""
        sdk().connect_stream("wss://localhost/", {})

    async def incoming_call(self, request: Request) -> Response:
        """Answer TwiML that connects the call to the media stream, or says that lines are busy."""
        form = self.read(request)
        if isinstance(form, Response):
            return form
        return self._refuse_replay(form["CallSid"]) or await self.connect(form)

    def read(self, request: Request) -> Any:
        """Return the parameters of a request of Twilio's about a call, or the answer that it gets.

        Those are a Form, by name; an answer is a Response: nobody signed it, or it is none.
        """
        if self._base is None:
            return plain(503, "the server is starting", Retry_After="1")
        try:
            form = self._form(request)
        except ValueError:
            return plain(400, f"the form cannot be read, or has more than {MAX_FIELDS} fields")
        if form is None:
            return plain(415, f"parameters come as {FORM_TYPE}")
        signed = form if request.method == "POST" else sdk().Form()
        if not self._signed(self._base, request, signed):
            return self._refuse_signature(request.path)
        if not CALL_SID.fullmatch(form.get("CallSid", "")):
            return plain(400, "the parameter CallSid is missing or is none")
        return form

    def _refuse_replay(self, call_sid: str) -> Response | None:
        """Refuse what was signed for a call that has had its stream: Twilio asks before it."""
        if not self._tokens.was_used(call_sid):
            return None
        logger.warning("call %s: refused, it has had its stream", call_sid)
        self._count_refusal("replay")
        return plain(409, "this call has had its stream")

    async def connect(self, form: dict[str, str], sentence: str = "") -> Response:
        """Answer TwiML that connects the call of this form, after a sentence if there is one."""
        if self._until_ready is not None:
            await self._until_ready()
        return self._connect(self._base or "", form["CallSid"], form, sentence)

    def check_stream(self, request: Request) -> Response | None:
        """Refuse the handshake of a media stream that Twilio has not signed by its `wss://` URL."""
        base = _websocket_url(self._base or "")
        if base and self._signed(base, request, sdk().Form()):
            return None
        return self._refuse_signature(STREAM_PATH)

    def vouches(self, request: Request) -> bool:
        """Whether Twilio has signed a request, be it a webhook or a stream's handshake."""
        if self._auth_token is None or self._base is None:
            return False
        if "Upgrade" in request.headers:
            return self._signed(_websocket_url(self._base), request, sdk().Form())
        try:
            form = self._form(request) if request.method == "POST" else sdk().Form()
        except ValueError:
            return False
        return form is not None and self._signed(self._base, request, form)

    def redeem(self, token: str, call_sid: str) -> bool:
        """Let a media stream begin: use up its token, and make its place last."""
        if self._tokens.redeem(token, call_sid) and self._admission.begin(call_sid):
            return True
        self._count_refusal("token")
        return False

    def _connect(self, base: str, call_sid: str, form: dict[str, str], sentence: str) -> Response:
        if not self._admission.admit(call_sid):
            why: Refusal = "draining" if self.draining else "full"
            logger.warning("call %s: refused, %s (%d lines)", call_sid, why, self._admission.limit)
            self._count_refusal(why)
            return twiml(self._busy.answer())
        self._connected_at = time.monotonic()
        parameters = {
            "token": self._tokens.issue(call_sid),
            "caller": form.get("From", ""),
            "called": form.get("To", ""),
        }
        if form.get("Direction", "").startswith("outbound"):
            parameters["direction"] = "outbound"
        return twiml(sdk().connect_stream(_websocket_url(base) + STREAM_PATH, parameters, sentence))

    def _form(self, request: Request) -> Any:
        """Return the parameters, or None if they come in another form than a form."""
        if request.method != "POST":
            return sdk().Form(_pairs(request.query))
        kind = request.headers.get("Content-Type", FORM_TYPE).partition(";")[0].strip().lower()
        return sdk().Form(_pairs(request.body.decode("utf-8"))) if kind == FORM_TYPE else None

    def _signed(self, base: str, request: Request, form: Any) -> bool:
        if self._auth_token is None:
            return True
        if self._signatures is None:
            self._signatures = sdk().Signatures(self._auth_token.get_secret_value())
        right: bool = self._signatures.right(base, request, form)
        return right

    def _refuse_signature(self, path: str) -> Response:
        logger.warning("%s: refused, its signature is wrong or missing", path)
        self._count_refusal("signature")
        return plain(403, "the signature is wrong or missing")

    def _count_refusal(self, why: Refusal) -> None:
        if self._metrics is not None:
            self._metrics.call_refused(why)


def local_url(host: str, port: int, *, is_secure: bool = False) -> str:
    """Return the `http://` URL of an address, or `https://`; of all addresses, the loopback's."""
    reached = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)
    scheme = "https" if is_secure else "http"
    return f"{scheme}://[{reached}]:{port}" if ":" in reached else f"{scheme}://{reached}:{port}"


def _websocket_url(base: str) -> str:
    return re.sub("^http", "ws", base)


def _pairs(text: str) -> list[tuple[str, str]]:
    return parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_FIELDS)


def twiml(octets: bytes) -> Response:
    """Return an answer to Twilio, which is for this call and no other."""
    return Response(200, octets, TWIML_TYPE, {"Cache-Control": "no-store"})


def sdk() -> Any:
    """Return Twilio's part, which is imported late: nothing of it is needed to listen."""
    return importlib.import_module("voice_ai.server.twilio_sdk")
