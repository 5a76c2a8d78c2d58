"""Calls whose voice breaks off: the real session over the real SDK, and what the caller heard."""

import asyncio
from collections.abc import Awaitable, Callable
from difflib import SequenceMatcher

import pytest

import clock
from call_world import World
from fakes.aura import Cut, FakeAura
from fakes.deepgram import KEY, FakeDeepgram
from fakes.inproc import MS_PER_CHAR, FakeLlm
from voice_ai.call.services import Spoken
from voice_ai.codec.formats import ULAW_8K
from voice_ai.providers.deepgram.aura import AuraTextToSpeech
from voice_ai.providers.fallback.speech import ResilientTextToSpeech
from voice_ai.providers.faults import Fault
from voice_ai.turn.events import AgentSaid

N_OCTETS = 8 * MS_PER_CHAR
ANSWER = "We are open today, from nine in the morning. We close at six. Shall I book you a table?"


def spelled(text: str, encoding: str = "mulaw", rate_hz: int = 8000) -> bytes:
    """Every character a level of its own, as `FakeLine.played` reads it."""
    return b"".join(bytes([ord(letter)]) * N_OCTETS for letter in text)


class Call:
    """A call under way, its voice's service and the faults that were told."""

    def __init__(self, world: World, deepgram: FakeDeepgram) -> None:
        self.world, self.aura = world, deepgram.aura
        self.deepgram = deepgram
        self.faults: list[Fault] = []

    def cut(self, cut: Cut) -> None:
        """Have this befall the connection that the call has now."""
        self.aura.last.cut = cut

    async def ask(self, words: str = "When?") -> None:
        n_sent = len(self.world.line.sent)
        self.world.stt.hear(words)
        await self.world.until(lambda: len(self.world.line.sent) > n_sent)
        await self.world.quiet()

    @property
    def said(self) -> list[tuple[str, bool]]:
        """What the history has of ours after the greeting."""
        settled = self.world.llm.settled[-1]
        ours = [item for item in settled if isinstance(item, AgentSaid)]
        return [(item.text, item.complete) for item in ours[1:]]


def call(script: Callable[[Call], Awaitable[None]]) -> Call:
    """Run a whole call on virtual time; nothing of it may be left afterwards."""

    async def main() -> Call:
        async with FakeDeepgram(aura=FakeAura(spelled, rate=4.0)) as deepgram:
            world = World(FakeLlm(lambda said: ANSWER))
            made = Call(world, deepgram)
            voice = AuraTextToSpeech(KEY, deepgram.url, audio=ULAW_8K)
            now = asyncio.get_running_loop().time
            tts = ResilientTextToSpeech([("Aura", voice)], made.faults.append, now)
            world.tts = tts  # type: ignore[assignment]
            world.spoken = lambda text: Spoken(text, spelled(text))  # type: ignore[method-assign]
            async with asyncio.TaskGroup() as group:
                talking = group.create_task(world.line.talk())
                session = group.create_task(world.session().run())
                await world.listening()
                await script(made)
                world.line.caller_hangs_up()
                async with asyncio.timeout(5):
                    await session
                talking.cancel()
            async with asyncio.timeout(2):
                while deepgram.n_open:
                    await asyncio.sleep(0.01)
            assert deepgram.violations == []
            return made

    return clock.run(main())


def differs_by(heard: str, text: str) -> list[str]:
    """The words that are not in both, in their order."""
    a, b = heard.split(), text.split()
    steps = SequenceMatcher(None, a, b, autojunk=False).get_opcodes()
    return [word for kind, i, j, k, m in steps if kind != "equal" for word in (a[i:j] or b[k:m])]


@pytest.mark.parametrize("how", [1011, "abort", "stall"])
@pytest.mark.parametrize("n_chars", [0.0, 0.5, 19.0, 24.3, 45.0, 47.5, 61.0, 80.6])
def test_a_reply_that_was_mended_is_heard_and_kept_whole(n_chars: float, how: int | str) -> None:
    async def script(call: Call) -> None:
        call.cut(Cut(int(n_chars * N_OCTETS), how))
        await call.ask()

    made = call(script)
    assert [fault.action for fault in made.faults] == ["replaced"]
    assert made.faults[0].call_sid == "CA1"
    assert made.said == [(ANSWER, True)]
    assert made.world.record.turns[0].heard == ANSWER
    heard = made.world.line.played()
    assert len(differs_by(heard[len("Hello.") :], ANSWER)) <= 2, heard


@pytest.mark.parametrize("after_s", [1.0, 1.8, 2.6, 3.4])
def test_what_was_heard_of_a_mended_reply_that_is_cut_off(after_s: float) -> None:
    async def script(call: Call) -> None:
        call.cut(Cut(24 * N_OCTETS + 100))
        call.world.stt.hear("When?")
        await asyncio.sleep(after_s)
        call.world.stt.start()
        call.world.stt.update("Wait, what")
        await asyncio.sleep(0.5)

    made = call(script)
    heard = made.world.line.played()[len("Hello.") :].split()
    [(kept, complete)] = made.said
    assert not complete
    assert abs(len(kept.split()) - len(heard)) <= 1
    assert ANSWER.startswith(kept)


def test_the_caller_hears_no_more_than_a_breath_of_a_stall() -> None:
    async def script(call: Call) -> None:
        call.cut(Cut(24 * N_OCTETS, "stall"))
        await call.ask()

    line = call(script).world.line
    until, gaps = 0.0, []
    for kind, data, at in line.sent:
        if kind == "audio":
            gaps.append(at - until)
            until = max(at, until) + len(data) / 8000  # type: ignore[arg-type]
    assert max(gaps[3:]) < 2.5


def test_a_barge_in_while_the_voice_is_dialled_anew_is_answered() -> None:
    async def script(call: Call) -> None:
        call.cut(Cut(5 * N_OCTETS, "stall"))
        call.world.stt.hear("When?")
        await asyncio.sleep(1.6)  # the stall is about to be noticed
        call.world.stt.start()
        call.world.stt.update("Wait, what")
        call.world.stt.end("Wait, what?")
        await call.world.quiet()

    made = call(script)
    assert made.said[-1] == (ANSWER, True)
    assert made.world.line.played().rstrip().endswith(ANSWER)


def test_a_voice_that_is_lost() -> None:
    """An apology, then a goodbye that nobody can interrupt."""

    async def script(call: Call) -> None:
        call.aura.refuse = (503, "{}")
        call.cut(Cut(0))
        await call.ask()
        call.world.stt.hear("Hello?")
        await asyncio.sleep(1.0)
        call.world.stt.hear("Can you hear me?")
        await call.world.until(lambda: call.world.line.hung_up)

    made = call(script)
    agent = made.world.agent
    assert made.world.line.played() == f"Hello.{agent.apology}{agent.goodbye}"
    assert made.world.record.reason == "the voice failed"
    assert made.world.record.failures == ["tts", "tts"]


def test_a_voice_that_is_back_for_the_next_turn() -> None:
    async def script(call: Call) -> None:
        call.aura.refuse = (503, "{}")
        call.cut(Cut(0))
        await call.ask()
        call.aura.refuse = None
        await call.ask("And now?")

    made = call(script)
    assert made.said == [(made.world.agent.apology, True), (ANSWER, True)]
