import subprocess
import sys
from urllib.parse import urlencode
from xml.etree import ElementTree

import pytest
from pydantic import SecretStr
from twilio.request_validator import HMAC_SHA256, RequestValidator
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from rawhttp import ask, on_both_loops
from voice_ai.server.admission import Admission, Tokens
from voice_ai.server.front import Front, serve
from voice_ai.server.http import Headers, Request, Routes
from voice_ai.server.metrics import Metrics
from voice_ai.server.webhook import STREAM_PATH, Busy, Webhook, local_url

PUBLIC = "https://voice.example.org"
SECRET = "a" * 32
PATH = "/incoming-call"
CALL = {"CallSid": "CA" + "0" * 32, "From": "+15550100", "To": "+15550199", "Blank": ""}
SHA256 = "key=webhooks_sharedkey_1,algorithm=HMAC_SHA256"


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


class Door:
    """A webhook with what it is made of."""

    def __init__(self, *, public_url=PUBLIC, secret=SECRET, limit=2, busy=None):
        self.clock = Clock()
        self.metrics = Metrics()
        self.admission = Admission(limit, clock=self.clock)
        self.webhook = Webhook(
            Tokens(clock=self.clock),
            self.admission,
            public_url=public_url,
            auth_token=SecretStr(secret) if secret else None,
            metrics=self.metrics,
            busy=busy,
        )

    async def call(self, form=CALL, **sid):
        answer = await self.webhook.incoming_call(post({**form, **sid}))
        return answer.status, twiml(answer.body)

    def refused(self, why):
        return self.metrics.registry.get_sample_value("voice_ai_calls_refused_total", {"why": why})


def sign(url, form=None, algorithm=None, secret=SECRET):
    return RequestValidator(secret).compute_signature(url, form or {}, algorithm)


def post(form, *, url=PUBLIC + PATH, signature=None, query="", settings="", **fields):
    url += f"?{query}" if query else ""
    algorithm = HMAC_SHA256 if settings == SHA256 else None
    headers = {
        "Host": "evil.example",
        "X-Twilio-Signature": sign(url, form, algorithm) if signature is None else signature,
        "X-Twilio-Webhooks-Signature-Settings": settings,
        "Content-Type": "application/x-www-form-urlencoded; charset=utf-8",
        **{name.replace("_", "-"): value for name, value in fields.items()},
    }
    present = Headers((name, value) for name, value in headers.items() if value)
    return Request("POST", PATH, query, present, urlencode(form, doseq=True).encode())


def get(form, *, signature=None):
    query = urlencode(form)
    signed = sign(f"{PUBLIC}{PATH}?{query}") if signature is None else signature
    return Request("GET", PATH, query, Headers([("x-twilio-signature", signed)]))


def handshake(url, *, path=STREAM_PATH, query="", algorithm=None, settings=""):
    fields = [("x-twilio-signature", sign(url, algorithm=algorithm))]
    if settings:
        fields.append(("x-twilio-webhooks-signature-settings", settings))
    return Request("GET", path, query, Headers(fields))


def twiml(body):
    """Return the verbs, or the stream's URL and its parameters."""
    root = ElementTree.fromstring(body)
    stream = root.find("Connect/Stream")
    if stream is None:
        return [verb.tag for verb in root]
    return stream.get("url"), {one.get("name"): one.get("value") for one in stream}


async def test_before_the_address_is_known_there_is_no_answer():
    door = Door(public_url=None, secret=None)
    assert (await door.webhook.incoming_call(post(CALL))).status == 503
    assert door.webhook.check_stream(Request("GET", STREAM_PATH)).status == 403


@pytest.mark.parametrize("call_sid", ["", " ", "CA\n1", "CA 1", "é", "C" * 65, "<x>"])
async def test_a_call_without_a_callsid_is_no_call(call_sid):
    door = Door(secret=None)
    answer = await door.webhook.incoming_call(post({"CallSid": call_sid}))
    assert answer.status == 400 and len(door.admission) == 0
    assert (await door.webhook.incoming_call(post({"From": "x"}))).status == 400


async def test_a_form_that_is_none():
    webhook = Door(secret=None).webhook
    assert (await webhook.incoming_call(post(CALL, Content_Type="application/json"))).status == 415
    many = {"CallSid": "CA1", **{f"f{i}": "" for i in range(300)}}
    assert (await webhook.incoming_call(post(many))).status == 400
    octets = Request("POST", PATH, headers=Headers(), body=b"\xff=\xfe")
    assert (await webhook.incoming_call(octets)).status == 400


@pytest.mark.parametrize("request_", [post(CALL), get(CALL), post(CALL, query="a=b")])
async def test_a_signed_call_is_connected_to_its_stream(request_):
    door = Door()
    answer = await door.webhook.incoming_call(request_)
    url, parameters = twiml(answer.body)
    assert answer.status == 200 and answer.content_type.startswith("text/xml")
    assert url == "wss://voice.example.org/ws/twilio"
    assert (parameters["caller"], parameters["called"]) == ("+15550100", "+15550199")
    assert door.webhook.redeem(parameters["token"], CALL["CallSid"])


async def test_sha256_is_taken_when_the_header_names_it():
    door = Door()
    assert (await door.webhook.incoming_call(post(CALL, settings=SHA256))).status == 200


async def test_all_values_of_a_repeated_parameter_are_signed():
    form = {**CALL, "Media": ["b", "a"]}
    answer = await Door().webhook.incoming_call(
        post(form, signature=sign(PUBLIC + PATH + "CallSid" + CALL["CallSid"], {}))
    )
    assert answer.status == 403

    class Multi(dict):
        def getlist(self, name):
            value = self[name]
            return value if isinstance(value, list) else [value]

    answer = await Door().webhook.incoming_call(
        post(form, signature=sign(PUBLIC + PATH, Multi(form)))
    )
    assert answer.status == 200


FORGED = [
    post(CALL, signature=""),
    post(CALL, signature="forged"),
    post(CALL, signature="é"),
    post(CALL, signature=sign(PUBLIC + PATH, CALL, secret="b" * 32)),
    post(CALL, signature=sign(PUBLIC + PATH, {**CALL, "From": "+1"})),
    post(CALL, signature=sign("https://evil.example" + PATH, CALL)),
    post(CALL, signature=sign(PUBLIC + "/other", CALL)),
    post(CALL, query="a=b", signature=sign(PUBLIC + PATH, CALL)),
    post(CALL, settings=SHA256, signature=sign(PUBLIC + PATH, CALL)),
    post(CALL, settings="algorithm=NONE", signature=sign(PUBLIC + PATH, CALL)),
    get(CALL, signature=sign(PUBLIC + PATH)),
    get(CALL, signature=sign(PUBLIC + PATH, CALL)),
]


@pytest.mark.parametrize("request_", FORGED)
async def test_a_forged_call_is_refused_with_one_line_that_tells_no_values(request_, caplog):
    door = Door()
    answer = await door.webhook.incoming_call(request_)
    assert answer.status == 403 and len(door.admission) == 0 and door.refused("signature") == 1
    assert caplog.messages == ["/incoming-call: refused, its signature is wrong or missing"]


async def test_without_a_secret_nothing_is_checked():
    door = Door(secret=None)
    assert (await door.webhook.incoming_call(post(CALL, signature=""))).status == 200
    assert door.webhook.check_stream(Request("GET", STREAM_PATH)) is None


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "ws://127.0.0.1:8001/ws/twilio"),
        ("0.0.0.0", "ws://127.0.0.1:8001/ws/twilio"),
        ("::1", "ws://[::1]:8001/ws/twilio"),
        ("::", "ws://[::1]:8001/ws/twilio"),
    ],
)
async def test_without_a_public_url_the_stream_is_at_the_bound_address(host, url):
    door = Door(public_url=None, secret=None)
    door.webhook.bind(host, 8001)
    assert (await door.call())[1][0] == url


async def test_without_a_public_url_the_bound_address_is_what_is_signed():
    door = Door(public_url=None)
    door.webhook.bind("127.0.0.1", 8001)
    url = local_url("127.0.0.1", 8001) + PATH
    assert (await door.webhook.incoming_call(post(CALL, url=url))).status == 200
    assert (await door.webhook.incoming_call(post(CALL))).status == 403


async def test_a_public_url_is_not_replaced_by_the_bound_address():
    door = Door(secret=None)
    door.webhook.bind("127.0.0.1", 8001)
    assert (await door.call())[1][0] == "wss://voice.example.org/ws/twilio"


async def test_what_xml_cannot_carry_is_left_out():
    _, (_, parameters) = await Door(secret=None).call(From="<&\"'\x00\x1b+1", To="9" * 999)
    assert parameters["caller"] == "<&\"'+1" and len(parameters["called"]) == 400


async def test_when_all_lines_are_busy_the_caller_is_told_so_and_it_ends():
    door = Door(limit=1)
    assert (await door.call(CallSid="CA1"))[0] == 200
    assert await door.call(CallSid="CA2") == (200, ["Say", "Hangup"])
    assert door.refused("full") == 1 and len(door.admission) == 1
    door.admission.release("CA1")
    assert (await door.call(CallSid="CA2"))[1][0] == "wss://voice.example.org/ws/twilio"


async def test_who_has_no_place_hears_the_operators_sentence():
    webhook = Door(limit=0, busy=Busy("We are full & sorry.\x00")).webhook
    answer = await webhook.incoming_call(post(CALL))
    root = ElementTree.fromstring(answer.body)
    assert [verb.tag for verb in root] == ["Say", "Hangup"]
    assert root[0].text == "We are full & sorry." and answer.status == 200


async def test_who_has_no_place_is_sent_elsewhere():
    url = "https://other.example.com/call?a=1&b=2"
    webhook = Door(limit=0, busy=Busy(redirect_url=url)).webhook
    root = ElementTree.fromstring((await webhook.incoming_call(post(CALL))).body)
    assert [verb.tag for verb in root] == ["Redirect"]
    assert root[0].text == url and root[0].get("method") == "POST"


async def test_who_calls_while_it_drains_is_counted_as_such():
    door = Door(limit=0)
    door.webhook.draining = True
    await door.call()
    assert door.refused("draining") == 1 and not door.webhook.expects_stream


async def test_a_call_that_was_connected_has_its_stream_expected():
    door = Door()
    assert not door.webhook.expects_stream
    await door.call()
    assert door.webhook.expects_stream


async def test_a_call_whose_stream_does_not_come_gives_its_place_back():
    door = Door(limit=1)
    await door.call(CallSid="CA1")
    door.clock.now = 60.0
    assert "token" in (await door.call(CallSid="CA2"))[1][1]


async def token_of(door, call_sid):
    return (await door.call(CallSid=call_sid))[1][1]["token"]


async def test_a_token_that_is_replayed_expired_or_of_another_call_begins_nothing():
    door = Door()
    redeem = door.webhook.redeem
    first, second = await token_of(door, "CA1"), await token_of(door, "CA2")
    assert not redeem("", "CA1") and not redeem(second, "CA1") and not redeem(first, "CA3")
    assert redeem(first, "CA1") and not redeem(first, "CA1")
    door.clock.now = 60.0
    assert not redeem(second, "CA2")
    assert door.refused("token") == 5 and door.admission.n_calls == 1


@pytest.mark.parametrize(
    "request_",
    [
        handshake("wss://voice.example.org/ws/twilio"),
        handshake("wss://voice.example.org/ws/twilio/"),
        handshake("wss://voice.example.org/ws/twilio?a=b", query="a=b"),
        handshake("wss://voice.example.org/ws/twilio", algorithm=HMAC_SHA256, settings=SHA256),
    ],
)
def test_a_signed_handshake_passes(request_):
    assert Door().webhook.check_stream(request_) is None


@pytest.mark.parametrize(
    "request_",
    [
        Request("GET", STREAM_PATH),
        handshake("https://voice.example.org/ws/twilio"),
        handshake("wss://evil.example/ws/twilio"),
        handshake("wss://voice.example.org/ws/twilio", query="a=b"),
        handshake("wss://voice.example.org/ws/twilio", settings=SHA256),
    ],
)
def test_an_unsigned_handshake_is_refused(request_, caplog):
    door = Door()
    assert door.webhook.check_stream(request_).status == 403 and door.refused("signature") == 1
    assert caplog.messages == ["/ws/twilio: refused, its signature is wrong or missing"]


def test_nothing_of_twilio_is_imported_to_listen():
    code = (
        "import sys, voice_ai.server.webhook as w; from voice_ai.server.admission import *\n"
        "webhook = w.Webhook(Tokens(), Admission(1)); print('twilio' in sys.modules)\n"
        "webhook.warm_up(); print('twilio' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["False", "True"], done.stderr


@on_both_loops
async def test_on_one_port_from_the_webhook_to_the_stream(caplog):
    door = Door()
    routes = Routes()
    routes.add(PATH, GET=door.webhook.incoming_call, POST=door.webhook.incoming_call)

    async def stream(websocket, request):
        token, call_sid = (await websocket.recv()).split()
        await websocket.send(str(door.webhook.redeem(token, call_sid)))

    routes.add_websocket(STREAM_PATH, stream, check=door.webhook.check_stream)
    async with serve(Front(routes), "127.0.0.1", 0) as bound:
        request = post(CALL)
        lines = [f"POST {PATH} HTTP/1.1", f"Content-Length: {len(request.body)}"]
        lines += [f"{name}: {value}" for name, value in request.headers.fields]
        head = "\r\n".join([*lines, "Connection: close", "", ""]).encode()
        (answer,) = await ask(bound.port, head, request.body)
        token = twiml(answer.body)[1]["token"]
        signed = {"x-twilio-signature": sign("wss://voice.example.org/ws/twilio")}
        url = f"ws://127.0.0.1:{bound.port}{STREAM_PATH}"
        async with connect(url, additional_headers=signed) as client:
            await client.send(f"{token} {CALL['CallSid']}")
            assert await client.recv() == "True"
        with pytest.raises(InvalidStatus, match="403"):
            async with connect(url):
                pytest.fail("an unsigned stream was let in")
    assert SECRET not in caplog.text and token not in caplog.text
