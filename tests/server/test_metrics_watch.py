"""What `/metrics` says of calls is what those calls were, while they run and when they are over."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from fakes.handset import calling, stream
from fakes.openai_api import FakeOpenAI
from rawhttp import until
from serving import World, serving
from voice_ai.call.latency import Latency
from voice_ai.call.record import CallRecord
from voice_ai.phone import place_call
from voice_ai.providers.protocols import CallInfo
from voice_ai.server.metrics import STAGES, Metrics
from voice_ai.server.metrics_watch import MetricsWatch
from voice_ai.wire import twilio

Samples = dict[tuple[str, ...], float]
STORY = "Once upon a time there was a telephone that nobody answered. " * 3


def read(text: str) -> Samples:
    return {
        (sample.name.removeprefix("voice_ai_"), *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def scraped(world: World) -> Samples:
    async with httpx.AsyncClient(base_url=world.app.url, trust_env=False) as http:
        return read((await http.get("/metrics")).text)


def of_stages(got: Samples, what: str) -> dict[str, float]:
    return {stage: got[f"turn_latency_seconds_{what}", stage] for stage in STAGES}


class Line:
    n_frames_in = n_frames_out = 0


class Told:
    """One call's record, with a watcher on it."""

    def __init__(self) -> None:
        self.metrics = Metrics()
        self.record = CallRecord(CallInfo("CA1"), started_at=0.0)
        self.record.begin(lambda: 100.0)
        self.record.watchers.append(MetricsWatch(self.metrics, Line()))

    @property
    def got(self) -> Samples:
        return read(self.metrics.render().decode())


def latency(**moments: float) -> Latency:
    return Latency(speech_end=100.0, decided=100.25, recognised=100.375, **moments)


def test_a_call_in_which_nobody_spoke() -> None:
    told = Told()
    told.record.end()
    assert set(of_stages(told.got, "count").values()) == {0}
    assert told.got["frames_in_total",] == told.got["stt_audio_seconds_total",] == 0


def test_a_turn_that_nobody_answered_has_the_stages_that_it_came_through() -> None:
    told = Told()
    told.record.add_turn("Hello?", latency())
    assert of_stages(told.got, "count")["stt"] == 0  # an answer may come
    told.record.end()
    counts = of_stages(told.got, "count")
    assert {stage for stage, n in counts.items() if n} == {"endpointing", "stt"}
    assert of_stages(told.got, "sum")["stt"] == 0.125
    told.record.changed()
    assert of_stages(told.got, "count") == counts


def test_a_turn_whose_answer_failed_before_its_sound_waits_for_the_apology() -> None:
    told = Told()
    turn = told.record.add_turn("Hello?", latency())
    turn.over = True
    told.record.turn_changed(turn)
    assert of_stages(told.got, "count")["total"] == 0
    assert turn.latency
    turn.latency.sent = 101.0
    told.record.turn_changed(turn)
    told.record.turn_changed(turn)
    told.record.end()
    counts = of_stages(told.got, "count")
    assert {stage for stage, n in counts.items() if n} == {
        "endpointing",
        "stt",
        "first_frame",
        "total",
    }
    assert counts["total"] == 1 and of_stages(told.got, "sum")["total"] == 1.0


def test_a_typed_turn_has_no_latency() -> None:
    told = Told()
    told.record.add_turn("Hello?", None)
    told.record.end()
    assert set(of_stages(told.got, "count").values()) == {0}


def test_failures_are_counted_once() -> None:
    told = Told()
    told.record.failures.append("llm")
    told.record.add_turn("Hello?", latency())
    told.record.add_turn("Hello?", latency())
    assert told.got["provider_failures_total", "llm"] == 1
    told.record.failures.append("llm")
    told.record.end()
    assert told.got["provider_failures_total", "llm"] == 2


async def test_the_numbers_are_those_of_the_call() -> None:
    async with serving() as world:
        n_texts = len(world.deepgram.aura.texts)
        result = await place_call(world.plan("What time is it?", "And tomorrow?"))
        await until(lambda: world.app._calls.n_live == 0)
        got = await scraped(world)
        record = world.app._calls.records()[0]
        shown = [turn.as_json() for turn in record.turns]
        assert len(shown) == 2
        # Stages, as shown on the record.
        counts, sums = of_stages(got, "count"), of_stages(got, "sum")
        assert set(counts.values()) == {2}
        for stage in ("endpointing", "stt", "llm", "tts", "first_frame", "total"):
            expected = sum(turn["latency_ms"][stage] for turn in shown)
            assert sums[stage] * 1000 == pytest.approx(expected, abs=5), stage
        moments = [turn["moments_ms"] for turn in shown]
        thought = sum(one["first_token"] - one["recognised"] for one in moments)
        assert sums["first_token"] * 1000 == pytest.approx(thought, abs=5)
        heard = sum(one["first_heard"] for one in moments)
        assert got["voice_to_voice_seconds_count",] == 2
        assert got["voice_to_voice_seconds_sum",] * 1000 == pytest.approx(heard, abs=5)
        played = sum(one["first_heard"] - one["first_frame"] for one in moments)
        assert sums["first_heard"] * 1000 == pytest.approx(played, abs=5)
        # Calls and places.
        assert got["calls_started_total",] == got["calls_ended_total", "the caller hung up"] == 1
        assert got["calls",] == got["places_taken",] == 0
        assert got["places_limit",] == 40
        # Frames, as the phone counted them.
        assert got["frames_in_total",] == pytest.approx(len(result.said) / 160, abs=2)
        assert got["frames_lost_total",] == 0
        # What the services were asked for, by their own books.
        flux, aura = world.deepgram.flux.last, world.deepgram.aura
        heard_s = sum(flux.chunks) / 32_000
        assert got["stt_audio_seconds_total",] == pytest.approx(heard_s, abs=0.001)
        assert got["stt_audio_seconds_total",] == pytest.approx(result.duration_ms / 1000, abs=0.2)
        texts = aura.texts[n_texts:]
        assert " ".join(map(str.strip, texts)) == " ".join(turn["reply"] for turn in shown)
        assert got["tts_characters_total",] == sum(map(len, texts))
        usages = world.openai.usages
        model = "gpt-5.6-luna"
        assert len(usages) == 2
        assert got["llm_input_tokens_total", model] == sum(one["input_tokens"] for one in usages)
        assert got["llm_output_tokens_total", model] == sum(one["output_tokens"] for one in usages)
        cached = sum(one["input_tokens_details"]["cached_tokens"] for one in usages)
        assert got["llm_cached_tokens_total", model] == cached > 0
        # Greeting and answers, each frame of 20 ms.
        sent_s = got["frames_out_total",] / 50
        assert got["voice_sent_seconds_total",] == pytest.approx(sent_s, abs=0.2) and sent_s > 2
        # The same on the record.
        cost = record.summary()["cost"]
        assert cost["input_tokens"] == got["llm_input_tokens_total", model]
        assert cost["tts_chars"] == got["tts_characters_total",]
        assert cost["stt_s"] == pytest.approx(got["stt_audio_seconds_total",], abs=0.01)


async def test_a_turn_is_counted_while_its_call_goes_on() -> None:
    async with serving() as world, calling(world) as phone:
        assert (await scraped(world))["calls",] == 1
        assert (await scraped(world))["places_taken",] == 1
        turns = phone.record.turns
        for n in (1, 2):
            await phone.asks(f"Say {n}.")
            await phone.until(lambda n=n: sum(turn.over for turn in turns) == n)
            got = await scraped(world)
            assert of_stages(got, "count") == dict.fromkeys(STAGES, n)
            assert got["voice_to_voice_seconds_count",] == n
            assert got["llm_output_tokens_total", "gpt-5.6-luna"] > 0 < got["frames_in_total",]


async def test_a_barge_in_and_how_long_it_took_to_stop() -> None:
    async with serving(openai=FakeOpenAI([STORY])) as world:
        plan = world.plan("Tell me a story.", "Stop it.")
        await place_call(replace(plan, barge_in_ms=1500.0))
        await until(lambda: world.app._calls.n_live == 0)
        got = await scraped(world)
        notes = world.app._calls.records()[0].notes
        stops = [note.ms for note in notes if note.ms is not None]
        assert got["barge_ins_total",] == sum(note.kind == "barge_in" for note in notes) == 1
        assert got["barge_in_stop_seconds_count",] == len(stops) >= 1
        assert got["barge_in_stop_seconds_sum",] * 1000 == pytest.approx(sum(stops))
        assert got["barge_in_stop_seconds_bucket", "0.1"] == len(stops)


async def test_a_key_stops_our_sound_at_once() -> None:
    async with serving(openai=FakeOpenAI([STORY])) as world, calling(world) as phone:
        await phone.asks("Tell me a story.")
        await phone.until(lambda: phone.record.turns and phone.record.turns[0].latency.heard)
        before = await scraped(world)
        await phone.press("5")
        await phone.until(lambda: phone.record.turns[0].over)
        note = phone.record.notes[-1]
        assert note.kind == "barge_in"
        got = await scraped(world)
        assert got["barge_ins_total",] - before["barge_ins_total",] == 1
        stopped = "barge_in_stop_seconds_count", "barge_in_stop_seconds_sum"
        n, total_s = (got[name,] - before[name,] for name in stopped)
        assert n == 1 and note.ms and 0 < note.ms < 100
        assert total_s * 1000 == pytest.approx(note.ms)


async def test_frames_that_never_came_and_frames_that_came_late(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    frames = count()
    made = twilio.caller_media

    def leaves_out(sid: str, number: int, chunk: int, at_ms: int, payload: bytes) -> str:
        return made(sid, number, chunk, at_ms + 140 * (next(frames) >= 25), payload)

    monkeypatch.setattr(twilio, "caller_media", leaves_out)
    async with serving() as world:
        async with calling(world) as phone:
            await until(lambda: next(frames) > 60)
            send, held = phone._send, [0.6]

            async def late(message: Callable[[int], Any]) -> None:
                if held:
                    await asyncio.sleep(held.pop())
                await send(message)

            phone._send = late  # type: ignore[method-assign]
            n_sent = phone._n_sent
            await phone.until(lambda: phone._n_sent > n_sent + 60)
        got = await scraped(world)
        assert got["frames_lost_total",] == 7
        assert 15 <= got["frames_late_total",] <= 32


async def test_a_caller_without_a_place_and_one_without_a_token_are_counted() -> None:
    async with serving() as world:
        world.app._admission.limit = 0
        result = await place_call(world.plan("Hello?"))
        assert "busy" in result.refused
        async with connect(f"{world.app.url}/ws/browser".replace("http", "ws", 1)) as socket:
            await socket.recv()
            with pytest.raises(ConnectionClosed):
                await socket.recv()
        async with stream(world) as socket:
            await socket.send(twilio.start("MZ1", "CA1", "AC0", {"token": "made up"}))
            with pytest.raises(ConnectionClosed):
                await socket.recv()
        got = await scraped(world)
        assert (got["calls_refused_total", "full"], got["calls_refused_total", "token"]) == (2, 1)
        assert got["calls_started_total",] == 0
