"""Calls as traces: what they hold is what the calls were, and they are sent by no call's time."""

import asyncio
import json
import logging
import sys
import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from fakes.handset import calling
from fakes.openai_api import FakeOpenAI
from rawhttp import until
from serving import AGENT, World, serving
from voice_ai.call.latency import Latency
from voice_ai.call.record import CallRecord
from voice_ai.phone import place_call
from voice_ai.providers.protocols import CallInfo
from voice_ai.server.redaction import Redaction
from voice_ai.server.settings import Settings
from voice_ai.server.spans import Named, Spans
from voice_ai.server.tracing import open_tracing, wanted

MODEL = "gpt-5.6-luna"
NAMED = Named("desk", "deepgram", "openai", MODEL, "deepgram")
STORY = "Once upon a time there was a telephone that nobody answered. " * 3
CARD = "4111 1111 1111 1111"


class Kept:
    """Spans that are over, in memory."""

    def __init__(self, *, with_texts: bool = False) -> None:
        self._exporter = InMemorySpanExporter()
        processor = SimpleSpanProcessor(self._exporter)
        self.spans = Spans(NAMED, processor, Redaction(), with_texts=with_texts)

    @property
    def all(self) -> list[ReadableSpan]:
        return list(self._exporter.get_finished_spans())

    def named(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.all if span.name == name]


def of(span: ReadableSpan) -> Mapping[str, Any]:
    return dict(span.attributes or {})


def ms(span: ReadableSpan) -> float:
    assert span.start_time and span.end_time
    return (span.end_time - span.start_time) / 1e6


def children(kept: Kept, parent: ReadableSpan) -> dict[str, ReadableSpan]:
    assert parent.context
    own = parent.context.span_id
    return {span.name: span for span in kept.all if span.parent and span.parent.span_id == own}


async def over(world: World) -> CallRecord:
    await until(lambda: world.app._calls.n_live == 0)
    return world.app._calls.records()[0]


def a_record() -> CallRecord:
    record = CallRecord(CallInfo("CA1"), started_at=1000.0)
    record.begin(lambda: 50.0)
    return record


def test_a_call_in_which_nobody_spoke_is_one_span_and_ends_once() -> None:
    kept, record = Kept(), a_record()
    record.watchers.append(kept.spans.watch(record))
    record.changed()
    assert kept.all == []
    record.end()
    record.changed()
    [call] = kept.all
    assert (call.name, call.start_time) == ("invoke_agent desk", 1000 * 10**9)
    assert of(call)["gen_ai.conversation.id"] == "CA1"
    assert call.parent is None


def test_a_turn_that_nobody_answered_has_what_it_came_to() -> None:
    kept, record = Kept(), a_record()
    record.watchers.append(kept.spans.watch(record))
    record.add_turn("Hello?", Latency(50.0, 50.25, 50.5))
    record.add_turn("typed", None)
    record.failures.append("llm")
    record.add_turn("Hello??", Latency(52.0, 52.25, 52.5))
    record.end()
    first, second = kept.named("turn")
    assert children(kept, first).keys() == children(kept, second).keys() == {"stt"}
    assert ms(first) == ms(second) == 500
    assert first.status.status_code is StatusCode.UNSET
    assert second.status.status_code is StatusCode.ERROR and of(second)["error.type"] == "llm"


async def test_the_spans_are_the_call_by_the_conventions() -> None:
    kept = Kept()
    async with serving() as world:
        world.app._calls.watched_by.append(kept.spans.watch)
        await place_call(world.plan("What time is it?", "And tomorrow?"))
        record = await over(world)
        usages = world.openai.usages
    [call] = kept.named("invoke_agent desk")
    assert of(call)["gen_ai.operation.name"] == "invoke_agent"
    assert of(call)["voice_ai.cost.output_tokens"] == record.call.cost.tokens.output_tokens
    assert ms(call) == pytest.approx(record.duration_ms, abs=1)
    assert call.context
    turns = kept.named("turn")
    assert len(turns) == 2 == len(record.turns)
    for span, turn, used in zip(turns, record.turns, usages, strict=True):
        assert span.parent and span.parent.span_id == call.context.span_id
        shown = turn.as_json()
        moments = shown["moments_ms"]
        inner = children(kept, span)
        assert inner.keys() == {"stt", f"chat {MODEL}", "tts", "playout"}
        assert {one.kind for one in inner.values()} == {SpanKind.CLIENT}
        assert {of(one)["gen_ai.conversation.id"] for one in inner.values()} == {
            record.call.call_sid
        }
        for one in inner.values():
            assert one.context and one.context.trace_id == call.context.trace_id
            assert span.start_time and span.end_time and one.start_time and one.end_time
            assert span.start_time <= one.start_time <= one.end_time <= span.end_time
        begins = {name: (one.start_time - span.start_time) / 1e6 for name, one in inner.items()}
        assert begins["stt"] == 0
        assert begins[f"chat {MODEL}"] == pytest.approx(moments["recognised"], abs=2)
        assert begins["tts"] == pytest.approx(moments["first_clause"], abs=2)
        assert begins["playout"] == pytest.approx(moments["first_frame"], abs=2)
        assert ms(inner["stt"]) == pytest.approx(moments["recognised"], abs=2)
        # The caller hears what the words take; a tone's is 60 ms a character.
        assert ms(inner["playout"]) == pytest.approx(60 * len(turn.reply), abs=500)
        chat = of(inner[f"chat {MODEL}"])
        assert chat["gen_ai.operation.name"] == "chat"
        assert (chat["gen_ai.provider.name"], chat["gen_ai.request.model"]) == ("openai", MODEL)
        assert chat["gen_ai.usage.input_tokens"] == used["input_tokens"]
        assert chat["gen_ai.usage.output_tokens"] == used["output_tokens"]
        cached = used["input_tokens_details"]["cached_tokens"]
        assert chat["gen_ai.usage.cache_read.input_tokens"] == cached
        thought_s = chat["gen_ai.response.time_to_first_chunk"]
        expected = moments["first_token"] - moments["recognised"]
        assert thought_s * 1000 == pytest.approx(expected, abs=2)
        assert of(inner["tts"])["gen_ai.output.type"] == "speech"
        assert of(span)["voice_ai.turn.first_heard_ms"] == moments["first_heard"]


async def test_a_turn_is_told_while_its_call_goes_on_and_a_barge_in_is_an_event() -> None:
    kept = Kept()
    async with serving(openai=FakeOpenAI([STORY])) as world:
        world.app._calls.watched_by.append(kept.spans.watch)
        async with calling(world) as phone:
            await phone.asks("Tell me a story.")
            await phone.until(lambda: phone.record.turns and phone.record.turns[0].latency.heard)
            await phone.asks("Stop it.")
            await phone.until(lambda: phone.record.turns[0].over)
            [cut] = kept.named("turn")
            assert of(cut)["voice_ai.turn.complete"] is False
            assert kept.named("invoke_agent desk") == []
        await over(world)
    [call] = kept.named("invoke_agent desk")
    assert "voice_ai.barge_in" in {event.name for event in call.events}
    stops = [dict(event.attributes or {}).get("voice_ai.stop_ms") for event in call.events]
    assert any(isinstance(stop, float) and stop < 1000 for stop in stops)


@pytest.mark.parametrize("with_texts", [False, True])
async def test_what_was_said_is_told_only_where_that_is_asked_for(with_texts: bool) -> None:
    kept = Kept(with_texts=with_texts)
    async with serving(openai=FakeOpenAI([f"Your card is {CARD}, Pangolin."])) as world:
        world.app._calls.watched_by.append(kept.spans.watch)
        await place_call(world.plan("Quetzalcoatl?"))
        await over(world)
    told = " ".join(span.to_json() for span in kept.all)
    assert ("Quetzalcoatl" in told) == ("Pangolin" in told) == with_texts
    assert CARD not in told and "+15550100001" not in told
    if with_texts:
        [chat] = kept.named(f"chat {MODEL}")
        [message] = json.loads(of(chat)["gen_ai.input.messages"])
        assert message == {
            "role": "user",
            "parts": [{"type": "text", "content": "Quetzalcoatl?"}],
        }


# The way out.


@asynccontextmanager
async def collector() -> AsyncIterator[tuple[str, list[Any]]]:
    """An OTLP/HTTP receiver on loopback; yields its URL and what came."""
    came: list[Any] = []

    async def traces(request: web.Request) -> web.Response:
        assert request.content_type == "application/x-protobuf"
        came.append(ExportTraceServiceRequest.FromString(await request.read()))
        return web.Response(body=b"", content_type="application/x-protobuf")

    app = web.Application()
    app.router.add_post("/v1/traces", traces)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}", came
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(
    ("environment", "asks"),
    [
        ({}, None),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": " "}, None),
        ({"OTEL_SERVICE_NAME": "phone"}, None),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"}, "OTEL_EXPORTER_OTLP_ENDPOINT"),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, "OTEL_TRACES_EXPORTER"),
        ({"OTEL_TRACES_EXPORTER": "console"}, "OTEL_TRACES_EXPORTER"),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"}, None),
        ({"OTEL_SDK_DISABLED": "True", "OTEL_TRACES_EXPORTER": "otlp"}, None),
    ],
)
def test_who_asks_for_spans(environment: dict[str, str], asks: str | None, caplog: Any) -> None:
    assert wanted(environment) == asks
    assert caplog.records == []


def test_an_exporter_that_is_not_here_is_named_once(caplog: pytest.LogCaptureFixture) -> None:
    assert wanted({"OTEL_TRACES_EXPORTER": "zipkin"}) is None
    assert len(caplog.records) == 1 and "OTEL_TRACES_EXPORTER" in caplog.text


async def test_spans_arrive_at_a_collector(monkeypatch: pytest.MonkeyPatch) -> None:
    async with collector() as (url, came):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
        monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
        async with serving() as world:
            await place_call(world.plan("What time is it?"))
            record = await over(world)
        spans = [
            (span, resource.resource)
            for request in came
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]
    names = sorted(span.name for span, _ in spans)
    assert names == sorted(
        ["stt", f"chat {MODEL}", "tts", "playout", "turn", "invoke_agent front desk"]
    )
    about = {one.key: one.value.string_value for one in spans[0][1].attributes}
    assert about["service.name"] == "voice_ai"
    assert about["deployment.environment.name"] == "test"
    call = next(span for span, _ in spans if span.name.startswith("invoke_agent"))
    assert call.start_time_unix_nano == pytest.approx(record.started_at * 1e9, abs=1e6)


async def test_the_service_has_the_name_that_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "reception")
    kept, record = Kept(), a_record()
    record.watchers.append(kept.spans.watch(record))
    record.end()
    assert kept.all[0].resource.attributes["service.name"] == "reception"


async def test_a_collector_that_is_gone_costs_no_call_and_a_bound_time_at_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("voice_ai.server.spans.FLUSH_S", 0.3)
    loop = asyncio.get_running_loop()
    async with serving() as world:
        result = await place_call(world.plan("What time is it?"))
        assert result.violations == []
        ended = loop.time()
    assert loop.time() - ended < 5
    assert not [one for one in threading.enumerate() if "span" in one.name.lower()]


async def test_a_package_that_is_missing_is_one_clear_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delitem(sys.modules, "voice_ai.server.spans")
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    caplog.set_level(logging.INFO)
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
    async with open_tracing(Settings(_env_file=None), AGENT, environment) as watch:  # type: ignore[call-arg]
        assert watch is None
    [line] = caplog.records
    assert line.levelno == logging.WARNING
    assert "OTEL_EXPORTER_OTLP_ENDPOINT is set" in line.getMessage()
    assert "pip install 'voice_ai[otel]'" in line.getMessage()


def test_no_watcher_without_a_variable() -> None:
    async def opened() -> object:
        async with open_tracing(Settings(_env_file=None), AGENT, {}) as watch:  # type: ignore[call-arg]
            return watch

    assert asyncio.run(opened()) is None
