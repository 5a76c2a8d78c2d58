"""Secrets, numbers and words put through every path at DEBUG; none comes out where it may not."""

import asyncio
import json
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from processes import Server, started
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from fakes.deepgram import FakeDeepgram
from fakes.openai_api import FakeOpenAI, FunctionCall
from voice_ai import ulaw_encode
from voice_ai.errors import PeerError
from voice_ai.phone import CallPlan, place_call, tones
from voice_ai.phone.webhook import ToStream, ask, client, signature

SECRETS = {
    "DEEPGRAM_API_KEY": "dg-canary-00-6f1c9a7be2",
    "OPENAI_API_KEY": "sk-canary-01-0a9b8c7d6e5f",
    "TWILIO_AUTH_TOKEN": "canary02deadbeefcafe0123456789ab",
    "API_TOKEN": "canary-03/api+token==",
    "METRICS_TOKEN": "canary-04-metrics-token",
    "CONSOLE_PASSWORD": "canary 05 console password",
}
TOKEN = SECRETS["TWILIO_AUTH_TOKEN"]
PUBLIC_URL = "https://phone.example.com"
CALLER, CALLED, DESK, OWNER = "+4915112340006", "+4930901820007", "+15550990008", "+15550990009"
CARDS = [f"41111111111100{n}" for n in range(10, 16)]
SPACED = [f"4222 2222 2222 00{n}" for n in range(16, 20)]
SPOKEN = ["Zebrafinch.", "Quetzalcoatl.", "Pangolin.", "Axolotl."]
REPLIED = ["Kookaburra.", "Wombatine."]
PAYLOADS = [f"canary-payload-{n}" for n in range(26, 36)]
ARGUMENTS = [f"canary-argument-{n}" for n in range(36, 42)]
SHOWN = [f"canary-shown-{n}" for n in range(42, 50)]
CANARIES = [
    *SECRETS.values(),
    *(CALLER, CALLED, DESK, OWNER, *CARDS, *SPACED),
    *(word.rstrip(".") for word in (*SPOKEN, *REPLIED)),
    *(*PAYLOADS, *ARGUMENTS, *SHOWN),
]

SHOP = f"""
import asyncio
from voice_ai import Agent, tool

@tool
def charge(card: str, name: str) -> str:
    '''Charge a card.'''
    try:
        raise KeyError(name)
    except KeyError as error:
        raise ValueError(f"card {{card}} of {{name}} is refused") from error

@tool
async def look(card: int) -> str:
    '''Look a card up.'''
    two = [LookupError(f"{{card}}"), TypeError("{ARGUMENTS[4]}")]
    raise ExceptionGroup(f"two of {{card}}", two)

@tool(timeout_s=0.2)
async def slow(name: str) -> str:
    '''Take long.'''
    import time
    time.sleep(0.3)  # asyncio's debug mode tells of it, with what comes back
    return "{ARGUMENTS[5]}"

agent = Agent(
    instructions="Be brief.", greeting="Hello.", tools=[charge, look, slow],
    transfers={{"front desk": "{DESK}"}},
)
"""

ANSWERS = [
    FunctionCall("charge", json.dumps({"card": CARDS[0], "name": ARGUMENTS[0]})),
    FunctionCall("look", json.dumps({"card": CARDS[1], "more": ARGUMENTS[1]})),
    REPLIED[0],
    FunctionCall("look", json.dumps({"card": CARDS[2]})),
    FunctionCall("slow", json.dumps({"name": ARGUMENTS[2]})),
    REPLIED[1],
    FunctionCall("transfer_call", json.dumps({"to": OWNER, "briefing": ARGUMENTS[3]})),
    f"{SPACED[0]} {CARDS[3]}",
]


def plan(server: Server, *words: str, **changes: str) -> CallPlan:
    fields = {"auth_token": TOKEN, "public_url": PUBLIC_URL, "caller": CALLER, "called": CALLED}
    return CallPlan(
        server_url=server.url,
        utterances=[ulaw_encode(tones.encode(text)) for text in words],
        quiet_ms=300.0,
        reply_wait_ms=3000.0,
        **(fields | changes),
    )


async def breaks_protocol(server: Server) -> None:
    """Break a stream's protocol in each way that carries a word of the sender's."""
    sid, media = "MZ1", {"track": PAYLOADS[1], "payload": "//8=", "timestamp": "0", "chunk": "1"}
    for message in (
        json.dumps({"event": PAYLOADS[0], "streamSid": sid}),
        json.dumps({"event": "media", "streamSid": sid, "media": media}),
        json.dumps({"event": "dtmf", "streamSid": sid, "dtmf": {"digit": PAYLOADS[2]}}),
        json.dumps({"event": "mark", "streamSid": PAYLOADS[3], "mark": {"name": "x"}}),
        json.dumps({"event": "start", "streamSid": sid, "start": {"callSid": PAYLOADS[4]}}),
        json.dumps({"event": "media", "media": {"timestamp": f"'{PAYLOADS[5]}\\'"}}),
        f'{{"event": "media", "{PAYLOADS[6]}',
        PAYLOADS[7].encode(),
        json.dumps({"event": "mark", "streamSid": sid, "mark": {"name": PAYLOADS[8]}}),
    ):
        call_sid = "CA" + uuid4().hex
        async with client() as http:
            stream = await ask(http, plan(server), call_sid)
        assert isinstance(stream, ToStream)
        start = {
            "streamSid": sid,
            "callSid": call_sid,
            "accountSid": "AC1",
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": stream.parameters | {PAYLOADS[9]: SPACED[1]},
        }
        signed = {"x-twilio-signature": signature(TOKEN, stream.url, {})}
        url = server.url.replace("http", "ws", 1) + "/ws/twilio"
        async with connect(url, additional_headers=signed, compression=None) as socket:
            about = {"event": "start", "streamSid": sid, "sequenceNumber": "1", "start": start}
            await socket.send(json.dumps(about))
            await socket.send(message)
            try:
                async with asyncio.timeout(0.5):
                    while True:
                        await socket.recv()
            except (TimeoutError, WebSocketException):
                continue


async def knocks(server: Server) -> list[str]:
    """Show what is wrong in each place of a request; returns what comes back."""
    secrets = list(SECRETS.values())
    asked = [
        ("GET", f"/{SHOWN[0]}", {}, b""),
        ("POST", f"/incoming-call?{SHOWN[1]}={secrets[0]}", {"X-Twilio-Signature": SHOWN[2]}, b""),
        ("POST", "/incoming-call", {}, f"From={CALLER}&CallSid={SHOWN[3]}".encode()),
        ("POST", "/login", {}, f"password={SHOWN[4]}".encode()),
        ("POST", "/login", {"Origin": f"https://{SHOWN[5]}"}, b""),
        ("GET", "/metrics", {"Authorization": f"Bearer {SHOWN[6]}", "Via": "x"}, b""),
        ("GET", "/api/calls", {"Cookie": f"console={secrets[2]}", "Via": "x"}, b""),
        ("POST", "/api/calls", {"Authorization": f"Bearer {SHOWN[7]}"}, CARDS[4].encode()),
        ("GET", "/ws/twilio", {"Upgrade": "websocket", "X-Secret": CARDS[5]}, b""),
        ("POST", "/incoming-call", {"Content-Type": secrets[1]}, SPACED[2].encode()),
        ("GET", "/readyz", {}, b""),
        ("GET", "/health", {"Authorization": f"Basic {secrets[3]}"}, SPACED[3].encode()),
        ("GET", "/metrics", {"Authorization": f"Bearer {secrets[4]}"}, b""),
    ]
    came = []
    async with httpx.AsyncClient(base_url=server.url, trust_env=False) as http:
        for method, path, headers, body in asked:
            answer = await http.request(method, path, headers=headers, content=body)
            came.append(f"{answer.status_code} {answer.headers} {answer.text}")
    return came


@pytest.mark.parametrize("log_format", ["text", "json"])
async def test_nothing_private_is_in_logs_metrics_or_answers(
    log_format: str, tmp_path: Path
) -> None:
    assert len(CANARIES) == len(set(CANARIES)) == 50
    (tmp_path / "shop.py").write_text(SHOP)
    about = {
        "LOG_FORMAT": log_format,
        "AGENT": "shop:agent",
        "DEBUG": "1",
        "PUBLIC_URL": PUBLIC_URL,
        "OUTBOUND": "1",
    }
    about |= SECRETS | {"TWILIO_ACCOUNT_SID": "AC" + "0" * 32, "TWILIO_NUMBER": CALLED}
    about |= {"TWILIO_API_URL": "http://127.0.0.1:9"}  # where nobody listens
    deepgram, openai = FakeDeepgram(key=None), FakeOpenAI(ANSWERS, api_key=None)
    async with deepgram, openai, started(tmp_path, deepgram, openai, **about) as server:
        await server.until("Ready.")
        result = await place_call(plan(server, *SPOKEN[:3]))
        assert len(result.turns) == 3, server.said
        for number in range(4):  # the model's service quotes what it was sent
            told = (CARDS[number], SECRETS["OPENAI_API_KEY"], SPACED[number], ARGUMENTS[0])[number]
            code = told if number < 3 else "invalid_prompt"
            openai.fail("status", status=400, code=code, param=SECRETS["OPENAI_API_KEY"])
        await place_call(plan(server, SPOKEN[3]))
        key = SECRETS["DEEPGRAM_API_KEY"]
        deepgram.flux.refuse = (401, f'{{"err_code":"INVALID_AUTH","err_msg":"Token {key}"}}')
        await place_call(plan(server, SPOKEN[3]))
        deepgram.flux.refuse = None
        try:
            await place_call(plan(server, SPOKEN[3], auth_token=SECRETS["API_TOKEN"]))
        except PeerError:
            pass
        await breaks_protocol(server)
        came = await knocks(server)
        for word in ("tool charge failed", "KeyError", "ValueError", "close code", "INVALID_AUTH"):
            assert word in server.said, word
    own_words = [canary for canary in CANARIES if canary in server.said]
    assert own_words == [], server.said
    lines = [json.loads(line) for line in server.said.splitlines() if line.startswith("{")]
    assert bool(lines) == (log_format == "json")
    # What a parser makes of a line is no dirtier than the line.
    parsed = [text for line in lines for text in line.values()]
    assert [canary for canary in CANARIES for text in parsed if canary in text] == []
    assert [canary for canary in CANARIES for answer in came if canary in answer] == []
    assert "DEBUG" in server.said or "asyncio" in server.said
