"""Whole calls on virtual time: the real session, machine and ledger, with providers in the
process."""

import asyncio
from collections.abc import Awaitable

import pytest

import clock
from call_world import World, call
from fakes.inproc import MS_PER_CHAR, FakeLlm, last_words
from voice_ai import tool
from voice_ai.codec.formats import PCM16_16K
from voice_ai.errors import PeerError, ProtocolError, ProviderError
from voice_ai.providers.protocols import ToolRequested
from voice_ai.turn.events import AgentSaid, CallerSaid, ToolAnswered, ToolCalled

OPENING = {"monday": "nine to six"}


@tool
async def opening_hours(day: str) -> str:
    """Say when we are open on a day of the week."""
    return OPENING[day]


def test_a_caller_who_hangs_up_at_once_leaves_nothing_behind() -> None:
    async def script(world: World) -> None:
        await asyncio.sleep(0)

    world = call(script)
    assert world.record.reason == "the caller hung up"
    assert world.record.turns == []


def test_a_caller_who_hangs_up_while_the_recogniser_is_dialled() -> None:
    async def script(world: World) -> None:
        world.stt.dial.clear()
        await asyncio.sleep(1.0)

    assert call(script).stt.received == b""


def test_greets_before_the_recogniser_is_up_and_loses_nothing_said_meanwhile() -> None:
    async def script(world: World) -> None:
        world.stt.dial.clear()
        await asyncio.sleep(2.0)
        assert world.line.kinds()[0] == "audio"
        world.stt.dial.set()
        await asyncio.sleep(1.0)

    world = call(script)
    assert (world.record.greeting, world.record.greeting_ms) == ("Hello.", 0)
    # 3 s of PCM16 at 8 kHz, but for what is younger than a message of 80 ms
    assert 16 * 2900 <= len(world.stt.received) <= 16 * 3020


def test_answers_sentence_by_sentence_and_keeps_what_was_heard() -> None:
    async def script(world: World) -> None:
        await world.listening()
        world.stt.start()
        await asyncio.sleep(0.5)
        world.stt.end("What time is it?", speech_end_ms=200.0, decided_ms=400.0)
        await world.listening()

    def llm() -> FakeLlm:
        return FakeLlm(lambda said: "It is noon. Anything else?")

    world = call(script, llm)
    assert world.tts.spoken == ["It is noon. ", "Anything else? "]
    [turn] = world.record.turns
    assert (turn.caller, turn.reply) == ("What time is it?", "It is noon. Anything else?")
    assert turn.heard == turn.reply
    assert world.llm.settled[-1] == (
        AgentSaid(1, "Hello.", True),
        CallerSaid(2, "What time is it?"),
        AgentSaid(3, "It is noon. Anything else?", True),
    )


def test_the_last_samples_in_the_resampler_are_heard_too() -> None:
    async def script(world: World) -> None:
        world.tts.output_format = PCM16_16K
        await world.listening()

    # The greeting is made at 8 kHz, so at 16 kHz it lasts half as long, and 13 samples more.
    world = call(script)
    assert world.line.audio_octets() == 8 * MS_PER_CHAR * len("Hello.") // 2 + 13


def test_by_soxr_all_of_both_sides_is_heard_7_ms_later() -> None:
    async def script(world: World) -> None:
        await world.listening()

    def by_soxr(world: World) -> None:
        world.resampler = "soxr"
        world.stt.input_format = world.tts.output_format = PCM16_16K

    world = call(script, prepare=by_soxr)
    heard_ms = world.line.played_until * 1000
    # libsoxr gives exactly what there is; what it still held when the caller hung up is not heard.
    assert world.line.audio_octets() == 8 * MS_PER_CHAR * len("Hello.") // 2
    assert heard_ms - 80 - 20 - 7 <= len(world.stt.received) / 32 <= heard_ms + 80


def test_the_first_sentence_is_on_the_wire_while_the_second_is_being_written() -> None:
    async def script(world: World) -> None:
        await world.listening()
        world.llm.delay_s = 5.0
        asked = world.line.loop.time()
        world.stt.hear("Go on.")
        await world.until(lambda: world.line.audio_octets(asked) > 0)
        assert world.line.loop.time() - asked < 6.0
        assert world.tts.spoken == ["First. "]
        await world.until(lambda: len(world.tts.spoken) == 2)

    call(script, lambda: FakeLlm(lambda said: ["First. Then ", "second."]))


def test_stages_of_a_turn_add_up_to_its_total() -> None:
    async def script(world: World) -> None:
        await world.listening()
        world.llm.delay_s = 0.3
        world.tts.delay_s = 0.2
        received = world.line.loop.time() * 1000
        world.stt.start()
        world.stt.end("Hello?", speech_end_ms=received - 700, decided_ms=received - 100)
        await world.listening()

    [turn] = call(script).record.turns
    assert turn.latency is not None
    stages = turn.latency.stages_ms()
    total = stages.pop("total")
    assert sum(stages.values()) == total
    # the line's clock ticks every 20 ms
    expected = {"endpointing": 600, "stt": 100, "llm": 300, "tts": 200, "first_frame": 0}
    assert {name: pytest.approx(ms, abs=21) for name, ms in expected.items()} == stages


def test_barge_in_clears_cancels_and_keeps_only_what_was_heard() -> None:
    story = "one two three four five six seven eight nine ten."

    async def script(world: World) -> None:
        await world.listening()
        world.stt.hear("Count.")
        await world.until(lambda: world.line.audio_octets() > 8 * MS_PER_CHAR * (len(story) - 1))
        await asyncio.sleep(len("one two three four ") * MS_PER_CHAR / 1000)
        world.stt.start()
        world.stt.update("Stop")
        await world.until(lambda: ("clear") in world.line.kinds())
        cleared = next(at for kind, _, at in world.line.sent if kind == "clear")
        await asyncio.sleep(3)
        assert world.line.audio_octets(cleared) == 0
        world.stt.end("Stop.")
        await world.listening()

    world = call(
        script, lambda: FakeLlm(lambda said: story if "Count" in last_words(said) else "Yes.")
    )
    said = world.llm.requests[-1]
    heard = next(item for item in said if isinstance(item, AgentSaid) and item.turn == 3)
    assert not heard.complete
    assert heard.text in ("one two three", "one two three four", "one two three four five")
    assert world.record.turns[0].heard == heard.text
    assert world.record.turns[0].reply == story
    assert world.record.turns[1].heard == "Yes."


def test_an_utterance_is_left_before_the_next_begins() -> None:
    async def script(world: World) -> None:
        await world.listening()
        world.tts.delay_s = 1.0
        world.tts.leave_s = 0.5
        world.stt.hear("First.")
        await world.until(lambda: world.tts.live == 1)
        await asyncio.sleep(0.5)
        world.stt.turns += 1
        world.stt.end("Second, without its start.")
        await world.until(lambda: len(world.tts.spoken) == 1)
        world.tts.leave_s = 0.0
        await world.listening()

    world = call(script)
    assert [turn.heard for turn in world.record.turns] == [
        "",
        "You said: Second, without its start..",
    ]


def test_barge_in_while_the_model_writes_aborts_its_request() -> None:
    async def script(world: World) -> None:
        await world.listening()
        world.llm.delay_s = 5.0
        world.stt.hear("One moment.")
        await world.until(lambda: world.llm.live == 1)
        world.stt.start()
        world.stt.update("Now")
        await world.until(lambda: world.llm.live == 0)
        world.llm.delay_s = 0.0
        world.stt.end("Now.")
        await world.listening()

    world = call(script)
    assert [item.text for item in world.llm.requests[-1] if isinstance(item, CallerSaid)] == [
        "One moment.",
        "Now.",
    ]
    assert "clear" not in world.line.kinds()


def test_a_cough_while_the_model_writes_does_not_lose_the_question() -> None:
    async def script(world: World) -> None:
        await world.listening()
        world.llm.delay_s = 5.0
        world.stt.hear("What time is it?")
        await world.until(lambda: world.llm.live == 1)
        world.llm.delay_s = 0.0
        world.stt.hear("")
        await world.listening()

    world = call(script)
    [turn] = world.record.turns
    assert (turn.caller, turn.heard) == ("What time is it?", "You said: What time is it?.")
    assert [type(item) for item in world.llm.requests[-1]] == [AgentSaid, CallerSaid]


def test_an_answer_with_a_tool() -> None:
    def answer(said: object) -> object:
        items = list(said)  # type: ignore[call-overload]
        if isinstance(items[-1], ToolAnswered):
            return f"We are open {items[-1].output}."
        return ["Let me see. ", ToolRequested("c1", "opening_hours", '{"day":"monday"}')]

    async def script(world: World) -> None:
        await world.listening()
        world.stt.hear("When are you open?")
        await world.listening()

    world = call(script, lambda: FakeLlm(answer))  # type: ignore[arg-type]
    assert world.record.turns[0].heard == "Let me see. We are open nine to six."
    assert world.llm.requests[1][-2:] == (
        ToolCalled(3, "c1", "opening_hours", '{"day":"monday"}'),
        ToolAnswered(3, "c1", "nine to six"),
    )
    assert [spec.name for spec in world.llm.specs] == ["opening_hours", "hang_up"]


def test_the_agent_hangs_up_once_its_goodbye_was_heard() -> None:
    async def script(world: World) -> None:
        await world.listening()
        world.stt.hear("Goodbye.")
        await world.until(lambda: world.line.hung_up)
        assert world.line.loop.time() >= world.line.played_until

    def llm() -> FakeLlm:
        return FakeLlm(lambda said: ["Goodbye.", ToolRequested("c1", "hang_up", "{}")])

    world = call(script, llm)
    assert world.record.turns[0].heard == "Goodbye."
    assert world.line.kinds()[-1] == "hang up"


@pytest.mark.parametrize("stage", ["llm", "tts"])
def test_a_failed_answer_becomes_an_apology_and_the_call_goes_on(stage: str) -> None:
    failure = ProviderError(stage, "503")  # type: ignore[arg-type]

    async def script(world: World) -> None:
        await world.listening()
        if stage == "tts":
            world.tts.fail = failure
        world.stt.hear("Hello?")
        await world.listening()
        assert world.record.turns[0].heard == world.agent.apology
        world.tts.fail = None
        world.llm.answer = lambda said: "Here I am."
        world.stt.hear("Again?")
        await world.listening()
        assert world.record.turns[1].heard == "Here I am."

    call(script, lambda: FakeLlm(lambda said: failure if stage == "llm" else "Yes."))


def answered(*parts: str | ToolRequested | ProviderError, n_requests: int = 1) -> World:
    """A call in which this is all that the model says; the requests after the first fail."""

    async def script(world: World) -> None:
        await world.listening()
        world.stt.hear("Hello?")
        await world.until(lambda: len(world.llm.requests) == n_requests)
        await world.quiet()

    answers = [list(parts), *[GONE] * n_requests]
    return call(script, lambda: FakeLlm(lambda said: answers.pop(0)))


GONE = ProviderError("llm", "the connection is gone")


@pytest.mark.parametrize(
    ("text", "heard"),
    [
        ("This far. And no ", "This far. "),
        ("This far. And so far. And no", "This far. And so far. "),
        ("This far! Really?", "This far! Really? "),
        ("It is open at 9 a.m.", "It is open at 9 a.m. "),
        ("Wait.", "Wait. "),
    ],
)
def test_a_model_that_fails_in_mid_answer_ends_at_the_sentence(text: str, heard: str) -> None:
    world = answered(text, GONE)
    assert world.line.played() == f"Hello.{heard}"
    assert AgentSaid(3, heard.strip(), False) in world.llm.settled[-1]
    assert world.record.failures == ["llm"]


@pytest.mark.parametrize(
    ("text", "heard"),
    [
        ("And no", ""),
        ("As far as I can see from here, there is n", "As far as I can see from here, "),
    ],
)
def test_half_a_sentence_is_apologised_for(text: str, heard: str) -> None:
    world = answered(text, GONE)
    assert world.line.played() == f"Hello.{heard}{world.agent.apology}"


def test_a_promise_before_a_tool_is_no_answer() -> None:
    request = ToolRequested("c1", "opening_hours", '{"day": "monday"}')
    world = answered("Let me see.", request, n_requests=2)
    assert world.line.played() == f"Hello.Let me see. {world.agent.apology}"


@pytest.mark.parametrize("text", ["", "Well. "])
def test_a_refusal_is_told_as_one(text: str) -> None:
    world = answered(text, ProviderError("llm", "refused", kind="refused"))
    assert world.line.played() == f"Hello.{text}{world.agent.refusal}"


def test_an_empty_answer_is_no_silence() -> None:
    async def script(world: World) -> None:
        await world.listening()
        world.stt.hear("Hello?")
        await world.listening()

    world = call(script, lambda: FakeLlm(lambda said: ""))
    assert world.record.turns[0].heard == world.agent.apology


def test_without_a_recogniser_the_call_says_goodbye_and_ends() -> None:
    async def script(world: World) -> None:
        await world.listening()
        world.stt.events.put_nowait(ProviderError("stt", "gone"))
        await world.until(lambda: world.line.hung_up)

    world = call(script)
    goodbye_ms = MS_PER_CHAR * len(world.agent.goodbye)
    assert world.line.audio_octets() == 8 * (goodbye_ms + MS_PER_CHAR * len("Hello."))


def test_a_recogniser_that_refuses_the_call() -> None:
    async def script(world: World) -> None:
        world.stt.refuse = ProviderError("stt", "401", retryable=False)
        await world.until(lambda: world.line.hung_up)

    call(script)


@pytest.mark.parametrize("who", ["llm", "tts"])
def test_a_provider_that_cannot_be_opened_costs_an_apology_a_turn(who: str) -> None:
    async def script(world: World) -> None:
        getattr(world, who).refuse = ProviderError(who, "401")  # type: ignore[arg-type]
        await world.listening()
        world.stt.hear("Hello?")
        await world.listening()
        assert world.record.turns[0].heard == world.agent.apology

    call(script)


def test_marks_that_never_come_back_do_not_hang_the_call() -> None:
    async def script(world: World) -> None:
        world.line.echo_marks = False
        await world.listening()
        await asyncio.sleep(3)
        world.stt.hear("Hello?")
        await world.listening()

    world = call(script)
    assert [turn.reply for turn in world.record.turns] == ["You said: Hello?."]
    assert AgentSaid(1, "Hello.", False) in world.llm.requests[-1]


def test_a_line_that_breaks_its_protocol_ends_the_call_with_its_fault() -> None:
    async def main() -> None:
        world = World()
        async with asyncio.TaskGroup() as group:
            talking = group.create_task(world.line.talk())
            session = group.create_task(_raises(world.session().run(), ProtocolError))
            await world.listening()
            world.line.inbox.put_nowait(ProtocolError("bad JSON", 1007))
            fault = await session
            talking.cancel()
        assert (str(fault), fault.close_code) == ("bad JSON", 1007)  # type: ignore[attr-defined]
        assert world.record.reason == "bad JSON"

    clock.run(main())


async def _raises(work: Awaitable[None], kind: type[PeerError]) -> PeerError:
    with pytest.raises(kind) as caught:
        await work
    return caught.value
