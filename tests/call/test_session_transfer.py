"""Putting a caller through and pressing keys, on virtual time."""

import asyncio
from collections.abc import Sequence

import pytest

from call_world import World, call
from fakes.inproc import Answer, FakeLlm
from voice_ai.call.built_in import BuiltIn
from voice_ai.call.dtmf import tones
from voice_ai.call.transfer import TransferError
from voice_ai.codec.g711 import ulaw_encode
from voice_ai.errors import ProviderError
from voice_ai.providers.protocols import CallInfo, ToolRequested
from voice_ai.turn.events import CallerSaid, Said, ToolAnswered

DESK = "+15550100009"
TO_DESK = ToolRequested("c1", "transfer_call", '{"to":"front desk","briefing":"It is Bob."}')
SAID = "I am putting you through."


class FakeControl:
    """Carries the call: ends its stream when it was put through, as Twilio does."""

    briefs = True

    def __init__(self, world: World) -> None:
        self.world = world
        self.asked: list[tuple[str, str, str]] = []
        self.played: list[str] = []
        self.failure: TransferError | None = None
        self.takes_s = 0.1
        self.ends_first = False

    async def transfer(self, call: CallInfo, number: str, briefing: str) -> None:
        line = self.world.line
        self.asked.append((call.call_sid, number, briefing))
        self.played.append(line.played())
        assert line.loop.time() >= line.played_until - 1e-6
        if self.ends_first:
            line.caller_hangs_up()
        await asyncio.sleep(self.takes_s)
        if self.failure:
            raise self.failure
        line.caller_hangs_up()


def prepare(world: World) -> None:
    world.control = FakeControl(world)
    world.built_in = BuiltIn({"front desk": DESK}, briefs=True, sends_digits=True)


def control_of(world: World) -> FakeControl:
    assert isinstance(world.control, FakeControl)
    return world.control


def answers(*parts: Answer) -> FakeLlm:
    """Answers in this order, then the echo."""
    left = list(parts)
    fallback = FakeLlm()

    def answer(said: Sequence[Said]) -> Answer:
        return left.pop(0) if left else fallback.answer(said)

    return FakeLlm(answer)


def outputs(world: World) -> list[str]:
    """What the model has been told of its tools, in its last request."""
    return [item.output for item in world.llm.requests[-1] if isinstance(item, ToolAnswered)]


async def ask(world: World) -> None:
    await world.listening()
    world.stt.hear("The front desk, please.")


def test_somebody_who_is_not_in_the_list_is_spoken_about() -> None:
    wrong = ToolRequested("c1", "transfer_call", '{"to":"the moon"}')

    async def script(world: World) -> None:
        await ask(world)
        await world.quiet()

    world = call(script, lambda: answers(["One moment. ", wrong], "They cannot."), prepare)
    assert control_of(world).asked == []
    assert "Those who can: front desk." in outputs(world)[0]
    assert world.record.turns[0].heard == "One moment. They cannot."


def test_without_credentials_there_is_no_such_tool() -> None:
    async def script(world: World) -> None:
        await ask(world)
        await world.quiet()

    world = call(script, lambda: answers(["Well. ", TO_DESK], "I cannot."))
    assert "transfer_call" not in [spec.name for spec in world.llm.specs]
    assert outputs(world) == ["There is no tool called 'transfer_call'."]


def test_an_agent_that_nobody_carries_calls_for() -> None:
    def prepare(world: World) -> None:
        world.built_in = BuiltIn({"front desk": DESK})

    async def script(world: World) -> None:
        await ask(world)
        await world.until(lambda: "It did not" in world.line.played())

    world = call(script, lambda: answers([SAID, TO_DESK], "It did not work."), prepare)
    assert "is still here" in outputs(world)[-1]


@pytest.mark.parametrize("ends_first", [False, True])
def test_a_caller_is_put_through_once_our_last_word_was_heard(ends_first: bool) -> None:
    async def script(world: World) -> None:
        control_of(world).ends_first = ends_first
        await ask(world)
        await world.until(lambda: world.record.ended)

    world = call(script, lambda: answers([SAID, TO_DESK]), prepare)
    assert control_of(world).asked == [("CA1", DESK, "It is Bob.")]
    assert control_of(world).played == ["Hello." + SAID + " "]
    assert world.record.turns[0].heard == SAID
    was = "ended while it was put" if ends_first else "put"
    assert world.record.reason == f"{was} through to front desk"
    assert "hang up" not in world.line.kinds()


def test_a_transfer_that_fails_is_spoken_about_at_once_and_the_call_goes_on() -> None:
    async def script(world: World) -> None:
        control_of(world).failure = TransferError("Twilio answered 401, code 20003: Authenticate")
        await ask(world)
        await world.until(lambda: "It did not work." in world.line.played())
        await world.quiet()
        world.stt.hear("Never mind.")
        await world.listening()

    world = call(script, lambda: answers([SAID, TO_DESK], "It did not work."), prepare)
    assert "could not be put through to front desk, and is still here" in outputs(world)[-1]
    assert "20003" not in str(world.llm.requests)
    assert world.line.played().endswith("It did not work. You said: Never mind..")
    assert world.record.reason == "the caller hung up"


@pytest.mark.parametrize("delay_s", [0.0, 0.5])
def test_a_caller_who_speaks_into_the_last_words_has_withdrawn_the_wish(delay_s: float) -> None:
    async def script(world: World) -> None:
        await ask(world)
        await world.until(lambda: "I am" in world.line.played())
        world.tts.delay_s = 0.0
        await asyncio.sleep(0.3)
        world.stt.hear("No, wait.")
        await world.quiet()

    def prepare_slow(world: World) -> None:
        prepare(world)
        world.tts.delay_s = delay_s

    # With a slow voice its second sentence is not made yet when the caller speaks.
    said = [f"{SAID} Until then, goodbye.", TO_DESK]
    world = call(script, lambda: answers(said), prepare_slow)
    assert control_of(world).asked == []
    assert "so they were not put through to front desk" in outputs(world)[-1]
    assert world.record.turns[1].heard == "You said: No, wait.."


def test_a_cough_into_the_last_words_changes_nothing() -> None:
    async def script(world: World) -> None:
        await ask(world)
        await world.until(lambda: "I am" in world.line.played())
        await asyncio.sleep(0.3)
        world.stt.start()
        await world.until(lambda: world.record.ended)

    world = call(script, lambda: answers([SAID, TO_DESK]), prepare)
    assert control_of(world).asked == [("CA1", DESK, "It is Bob.")]
    assert world.record.turns[0].heard == SAID


def test_a_caller_who_speaks_while_they_are_put_through() -> None:
    async def script(world: World) -> None:
        control_of(world).takes_s = 2.0
        control_of(world).failure = TransferError("busy")
        await ask(world)
        await world.until(lambda: bool(control_of(world).asked))
        world.stt.start()
        world.stt.update("Are you")
        await asyncio.sleep(3)
        world.stt.end("Are you there?")
        await world.listening()

    world = call(script, lambda: answers([SAID, TO_DESK]), prepare)
    assert len(world.llm.requests) == 2
    assert CallerSaid in {type(item) for item in world.llm.requests[-1]}
    assert "is still here" in outputs(world)[-1]
    assert world.record.turns[1].heard == "You said: Are you there?."


def test_a_caller_who_hangs_up_while_they_are_put_through() -> None:
    async def script(world: World) -> None:
        control_of(world).takes_s = 4.0
        await ask(world)
        await world.until(lambda: bool(control_of(world).asked))
        world.line.caller_hangs_up()
        await world.until(lambda: world.record.ended, 1.0)

    world = call(script, lambda: answers([SAID, TO_DESK]), prepare)
    assert world.record.reason == "ended while it was put through to front desk"


def test_a_model_that_says_nothing_with_it_is_asked_for_words() -> None:
    async def script(world: World) -> None:
        await ask(world)
        await world.until(lambda: world.record.ended)

    world = call(script, lambda: answers(TO_DESK, SAID), prepare)
    assert control_of(world).asked == [("CA1", DESK, "It is Bob.")]
    assert world.record.turns[0].heard == SAID


def test_a_model_that_has_no_words_for_it_at_all() -> None:
    async def script(world: World) -> None:
        await ask(world)
        await world.until(lambda: world.record.ended)

    world = call(script, lambda: answers(TO_DESK, ""), prepare)
    assert world.record.reason == "put through to front desk"
    assert world.line.played() == "Hello."


def test_a_transfer_beats_a_hang_up() -> None:
    async def script(world: World) -> None:
        await ask(world)
        await world.until(lambda: world.record.ended)

    both = [SAID, ToolRequested("c0", "hang_up", "{}"), TO_DESK]
    world = call(script, lambda: answers(both), prepare)
    assert world.record.reason == "put through to front desk"


def test_a_model_that_fails_after_its_wish_puts_nobody_through() -> None:
    async def script(world: World) -> None:
        await ask(world)
        await world.quiet()

    world = call(script, lambda: answers(TO_DESK, ProviderError("llm", "503")), prepare)
    assert control_of(world).asked == []
    assert world.record.turns[0].heard == world.agent.apology


# Keys.


def sent(world: World) -> bytes:
    return b"".join(data for kind, data, _ in world.line.sent if kind == "audio")


@pytest.mark.parametrize("words", ["", "One moment."])
def test_keys_are_pressed_after_what_was_said_and_then_we_listen(words: str) -> None:
    keys = ToolRequested("c1", "send_digits", '{"digits":"1#"}')

    async def script(world: World) -> None:
        await ask(world)
        await world.quiet()
        world.stt.hear("You pressed one.")
        await world.listening()

    world = call(script, lambda: answers([words, keys] if words else keys), prepare)
    parts = sent(world).split(ulaw_encode(tones("1#")))
    assert len(parts) == 2
    assert len(world.llm.requests) == 2
    assert world.record.turns[0].heard == words
    assert world.record.turns[-1].heard == "You said: You pressed one.."


def test_keys_that_somebody_spoke_into_may_have_to_be_pressed_again() -> None:
    keys = ToolRequested("c1", "send_digits", '{"digits":"0123456789"}')

    async def script(world: World) -> None:
        await ask(world)
        await world.until(lambda: len(sent(world)) > 8 * 500)
        await asyncio.sleep(0.5)
        world.stt.hear("For sales, press two.")
        await world.listening()

    world = call(script, lambda: answers(keys), prepare)
    assert outputs(world)[-1] == "The other side spoke meanwhile: the keys were not all heard."
