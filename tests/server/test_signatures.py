"""Ten thousand forged and replayed requests and tokens begin nothing; every right one is taken."""

import random
import string
from urllib.parse import urlencode

import pytest
from pydantic import SecretStr
from twilio.request_validator import HMAC_SHA256, RequestValidator

from voice_ai.server.admission import Admission, Tokens
from voice_ai.server.http import Headers, Request
from voice_ai.server.settings import load_settings
from voice_ai.server.shared import Shared, SharedTokens
from voice_ai.server.webhook import STREAM_PATH, WEBHOOK_PATH, Webhook

PUBLIC = "https://voice.example.org"
SECRET = "a" * 32
N_FORGED = 10_000
FORM = {"CallSid": "CA" + "0" * 32, "From": "+15550100001", "To": "+15550100002"}
SHA256 = "key=webhooks_sharedkey_1,algorithm=HMAC_SHA256"


def webhook(public_url=PUBLIC, tokens=None, limit=100_000):
    door = Webhook(
        Tokens() if tokens is None else tokens,
        Admission(limit),
        public_url=public_url,
        auth_token=SecretStr(SECRET),
    )
    return door


def sign(url, form=None, secret=SECRET, algorithm=None):
    return RequestValidator(secret).compute_signature(url, form or {}, algorithm)


def post(form, signature, path=WEBHOOK_PATH, query="", **fields):
    named = {"X-Twilio-Signature": signature, "Host": "127.0.0.1:8000"} | fields
    body = urlencode(form).encode()
    return Request("POST", path, query, Headers(named.items()), body, peer="127.0.0.1")


def get(path, query, signature, **fields):
    named = {"X-Twilio-Signature": signature, "Host": "127.0.0.1:8000"} | fields
    return Request("GET", path, query, Headers(named.items()), peer="127.0.0.1")


def changed(random_, text):
    """The text with one character in it another one."""
    at = random_.randrange(len(text))
    others = [char for char in string.ascii_letters + string.digits if char != text[at]]
    return text[:at] + random_.choice(others) + text[at + 1 :]


def forged(random_, form, right):
    """A request that is like the right one but in one thing."""
    url = PUBLIC + WEBHOOK_PATH
    kind = random_.randrange(8)
    match kind:
        case 0:
            return post(form, changed(random_, right.rstrip("=")) + "=")
        case 1:
            return post(form, sign(url, form, secret=changed(random_, SECRET)))
        case 2:
            name = random_.choice(list(form))
            return post(form | {name: changed(random_, form[name])}, right)
        case 3:
            return post(form | {"Extra": random_.random()}, right)
        case 4:
            return post({name: form[name] for name in ("CallSid", "To")}, right)
        case 5:
            return post(form, right, query=f"a={random_.random()}")
        case 6:
            return get(WEBHOOK_PATH, urlencode(form), right)
        case _:
            algorithm = random_.choice([SHA256, "algorithm=NONE", "algorithm=", "HMAC_SHA1"])
            wrong = right if algorithm == SHA256 else random_.choice(["", right[:-2], "=" * 28])
            return post(form, wrong, **{"X-Twilio-Webhooks-Signature-Settings": algorithm})


async def test_ten_thousand_forged_requests_and_handshakes() -> None:
    random_, door = random.Random(6), webhook()
    right = sign(PUBLIC + WEBHOOK_PATH, FORM)
    assert (await door.incoming_call(post(FORM, right))).status == 200
    wss = PUBLIC.replace("https", "wss") + STREAM_PATH
    n_refused = 0
    for _ in range(N_FORGED // 2):
        request = forged(random_, FORM, right)
        assert not door.vouches(request)
        n_refused += (await door.incoming_call(request)).status == 403
        wrong = random_.choice(
            [changed(random_, sign(wss)), sign(PUBLIC + STREAM_PATH), right, sign(wss + "?a=b")]
        )
        shake = get(STREAM_PATH, "", wrong, Upgrade="websocket")
        refused = door.check_stream(shake)
        n_refused += refused is not None and refused.status == 403 and not door.vouches(shake)
    assert n_refused == N_FORGED


def test_ten_thousand_forged_and_replayed_tokens() -> None:
    random_, tokens = random.Random(7), Tokens()
    door = webhook(tokens=tokens)
    n_begun = 0
    for n in range(N_FORGED // 5):
        call_sid, other = f"CA{n}", f"CB{n}"
        token, others = tokens.issue(call_sid), tokens.issue(other)
        for shown, shown_for in (
            (changed(random_, token), call_sid),
            (token, other),
            (others, call_sid),
            ("", call_sid),
        ):
            n_begun += door.redeem(shown, shown_for)
        assert door.redeem(token, call_sid)
        n_begun += door.redeem(token, call_sid)
    assert n_begun == 0


async def replayed(door):
    """Whether a call that has had its stream can be had again with what was signed for it."""
    right = post(FORM, sign(PUBLIC + WEBHOOK_PATH, FORM))
    for _ in range(2):  # Twilio may ask twice, before the stream
        body = (await door.incoming_call(right)).body.decode()
    token = body.partition('name="token" value="')[2].partition('"')[0]
    assert door.redeem(token, FORM["CallSid"])
    during = await door.incoming_call(right)
    door._admission.release(FORM["CallSid"])
    after = await door.incoming_call(right)
    assert b"token" not in during.body + after.body
    assert (await door.connect(FORM)).status == 200  # it comes back from a transfer
    return during.status, after.status


async def test_a_request_that_was_signed_for_a_call_that_was_is_refused(tmp_path) -> None:
    assert await replayed(webhook()) == (409, 409)
    with Shared(8000, parent=tmp_path) as shared:
        assert await replayed(webhook(tokens=SharedTokens(shared))) == (409, 409)


@pytest.mark.parametrize("public_url", [PUBLIC, PUBLIC + "/", PUBLIC + ":8443", PUBLIC + ":443/"])
@pytest.mark.parametrize("port", ["", ":443"])
@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize("settings", ["", SHA256])
async def test_every_right_request_is_taken(monkeypatch, public_url, port, slash, settings) -> None:
    for name in ("HOST", "TWILIO_AUTH_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    door = webhook(load_settings(None, public_url=public_url).public_url)
    base = (PUBLIC + ":8443") if "8443" in public_url else PUBLIC + port
    algorithm = HMAC_SHA256 if settings else None
    fields = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "http"}
    if settings:
        fields["X-Twilio-Webhooks-Signature-Settings"] = settings
    path, query = WEBHOOK_PATH + slash, urlencode(FORM)
    requests = [
        post(FORM, sign(base + path, FORM, algorithm=algorithm), path, **fields),
        post(FORM, sign(f"{base}{path}?a=b", FORM, algorithm=algorithm), path, "a=b", **fields),
        get(path, query, sign(f"{base}{path}?{query}", algorithm=algorithm), **fields),
    ]
    for request in requests:
        assert (await door.incoming_call(request)).status == 200
        assert door.vouches(request)
    url = base.replace("https", "wss") + STREAM_PATH
    for signed in (url, url + "/"):
        shake = get(STREAM_PATH + slash, "", sign(signed, algorithm=algorithm), **fields)
        if slash and signed == url:
            continue  # Twilio signs what it asks for, or that with a slash
        assert door.check_stream(shake) is None
