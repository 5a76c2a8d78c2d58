"""Who may see the console, and what the probes say."""

from importlib.metadata import version

import orjson
import pytest

from voice_ai.call.record import CallRecord, TurnRecord
from voice_ai.providers.protocols import CallInfo
from voice_ai.server.http import Headers, Request
from voice_ai.server.loopback import from_this_machine
from voice_ai.server.metrics import Metrics
from voice_ai.server.pages import Face, Pages
from voice_ai.server.readiness import Readiness

LOCAL = {"Host": "127.0.0.1:8000"}


def request(path: str = "/", peer: str = "127.0.0.1", query: str = "", **headers: str) -> Request:
    named = {name.replace("_", "-"): value for name, value in (LOCAL | headers).items()}
    return Request("GET", path, query, Headers(named.items()), peer=peer)


class Calls:
    """The calls that a page shows."""

    n_live = 1

    def __init__(self) -> None:
        record = CallRecord(CallInfo("CA1", caller="+15550100001"), started_at=1.0)
        record.turns.append(TurnRecord("<b>Hello?</b>", None, reply="Yes.", heard="Yes."))
        self._records = [record]

    def records(self) -> list[CallRecord]:
        return self._records

    def find(self, call_sid: str) -> CallRecord | None:
        return next((r for r in self._records if r.call.call_sid == call_sid), None)


def pages(ready: bool = True) -> Pages:
    readiness: Readiness[object] = Readiness()
    if ready:
        readiness.set(object())
    else:
        readiness.unset("loading <models>")
    face = Face("http://127.0.0.1:8000/incoming-call", "hearing: local Whisper")
    return Pages(face, Calls(), readiness, Metrics())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "host", ["", "evil.example", "evil.example:8000", "127.0.0.1.evil.example"]
)
def test_a_page_of_another_site_is_not_from_this_machine(host: str) -> None:
    assert not from_this_machine(request(Host=host))


@pytest.mark.parametrize("peer", ["", "192.0.2.1", "::ffff:192.0.2.1", "2001:db8::1"])
def test_another_machine_is_not_this_one(peer: str) -> None:
    assert not from_this_machine(request(peer=peer))


@pytest.mark.parametrize("name", ["Forwarded", "X_Forwarded_For", "X_Real_IP", "Via"])
def test_a_tunnel_on_this_machine_speaks_for_another(name: str) -> None:
    assert not from_this_machine(request(**{name: "203.0.113.9"}))


@pytest.mark.parametrize(
    ("host", "peer"),
    [("localhost:8000", "127.0.0.1"), ("127.0.0.1", "127.0.0.1"), ("[::1]:8000", "::1")],
)
def test_this_machine(host: str, peer: str) -> None:
    assert from_this_machine(request(Host=host, peer=peer))


async def test_what_callers_said_is_for_this_machine_only() -> None:
    made = pages()
    for page in (made.calls, made.about):
        assert (await page(request(peer="192.0.2.1"))).status == 403
        assert (await page(request())).status == 200


async def test_a_call_that_is_not_kept() -> None:
    answer = await pages().calls(request(query="call_sid=CA2"))
    assert answer.status == 404
    assert b"Hello" in (await pages().calls(request(query="call_sid=CA1"))).body


async def test_a_server_that_is_not_ready_says_what_it_waits_for() -> None:
    made = pages(ready=False)
    answer = await made.readyz(request())
    assert (answer.status, answer.body) == (503, b"loading <models>\n")
    assert (await made.livez(request())).status == 200
    assert b'"ready":false' in (await made.health(request())).body
    about = orjson.loads((await made.about(request())).body)
    assert (about["ready"], about["waiting_for"]) == (False, "loading <models>")


async def test_a_server_that_is_ready() -> None:
    made = pages()
    assert (await made.readyz(request())).status == 200
    assert b'"calls_now":1' in (await made.health(request())).body
    assert b"voice_ai_calls" in (await made.metrics(request())).body


async def test_what_the_page_is_told_of_the_server() -> None:
    about = orjson.loads((await pages().about(request())).body)
    assert about == {
        "version": version("voice_ai"),
        "ready": True,
        "waiting_for": "",
        "providers": "hearing: local Whisper",
        "webhook": "http://127.0.0.1:8000/incoming-call",
        "agent": "",
        "recording": False,
        "keeps_calls": False,
        "retention_s": 0.0,
    }


async def test_a_list_has_no_words_of_a_call_and_its_page_has() -> None:
    (shown,) = orjson.loads((await pages().calls(request())).body)
    assert (shown["caller"], shown["n_turns"], shown["worst_ms"]) == ("+15550100001", 1, None)
    assert "turns" not in shown
    (turn,) = orjson.loads((await pages().calls(request(query="call_sid=CA1"))).body)["turns"]
    assert turn["caller"] == "<b>Hello?</b>"


async def test_a_list_that_cannot_be_had() -> None:
    answer = await pages().calls(request(query="limit=1000"))
    assert (answer.status, answer.body) == (
        400,
        b"limit is '1000'; needed a whole number from 1 to 200\n",
    )
    assert (await pages().calls(request(query="before=0"))).body == b"[]"
