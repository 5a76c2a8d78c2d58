"""TwiML and addresses: answers that Twilio would refuse first."""

import pytest

from voice_ai.errors import PeerError
from voice_ai.phone.dial import Dial, dial_for
from voice_ai.phone.plan import CallPlan
from voice_ai.phone.webhook import MAX_TWIML_OCTETS, Refused, ToStream, parse_twiml

STREAM = (
    '<Connect><Stream url="wss://h/ws"><Parameter name="k" value="v&amp;w"/></Stream></Connect>'
)


@pytest.mark.parametrize(
    ("octets", "why"),
    [
        (b"", "is not TwiML"),
        (b'{"error":1}', "is not TwiML"),
        (b"<Response>", "is not TwiML"),
        (b"<html/>", "is <html>; needed <Response>"),
        (b"<Response/>".ljust(MAX_TWIML_OCTETS + 1), "65537 octets of TwiML; Twilio takes 65536"),
        (b"<Response><Connect><Stream/></Connect></Response>", "url=''>; needed a wss:// URL"),
        (
            b'<Response><Connect><Stream url="https://h/ws"/></Connect></Response>',
            "needed a wss:// URL",
        ),
        (b'<Response><Connect><Stream url="wss://["/></Connect></Response>', "needed a wss:// URL"),
    ],
)
def test_what_is_no_twiml(octets, why):
    with pytest.raises(PeerError) as caught:
        parse_twiml(octets)
    assert why in str(caught.value)


@pytest.mark.parametrize(
    ("verbs", "words"),
    [
        ("", "no words were given"),
        ("<Hangup/>", "no words were given"),
        ("<Reject/>", "no words were given"),
        ("<Say> We are closed. </Say><Say>Goodbye.</Say><Hangup/>", "We are closed. Goodbye."),
        ("<Say>No.</Say><Hangup/>" + STREAM, "No."),
        ("<Connect><Room>x</Room></Connect>", "no words were given"),
    ],
)
def test_what_refuses_a_call(verbs, words):
    assert parse_twiml(f"<Response>{verbs}</Response>".encode()) == Refused(words)


@pytest.mark.parametrize("before", ["", "<Say>One moment.</Say>", "<Pause/>"])
def test_a_stream_and_its_parameters(before):
    answer = parse_twiml(f"<Response>{before}{STREAM}<Hangup/></Response>".encode())
    assert answer == ToStream("wss://h/ws", {"k": "v&w"})
    assert "v&w" not in repr(answer)


@pytest.mark.parametrize(
    ("server", "public", "url", "dialled"),
    [
        (
            "http://127.0.0.1:8000",
            "",
            "ws://127.0.0.1:8000/ws",
            ("ws://127.0.0.1:8000/ws", "127.0.0.1", 8000),
        ),
        ("http://127.0.0.1:8000", "https://h", "wss://h/ws/1", ("ws://h/ws/1", "127.0.0.1", 8000)),
        ("http://127.0.0.1", "https://h", "wss://h/ws", ("ws://h/ws", "127.0.0.1", 80)),
        ("https://h", "https://h", "wss://h/ws", ("wss://h/ws", "h", 443)),
        ("http://127.0.0.1:8000", "https://h", "wss://other/ws", ("wss://other/ws", "other", 443)),
        ("http://[::1]:8000", "https://h", "wss://h:443/ws", ("ws://h:443/ws", "::1", 8000)),
    ],
)
def test_where_a_stream_is_dialled(server, public, url, dialled):
    plan = CallPlan(server_url=server, public_url=public, utterances=[])
    assert dial_for(plan, url) == Dial(*dialled)
