"""Barge-ins at random moments: nothing of a dead turn is sent after the `clear`."""

import asyncio
import os
import random

import pytest

from call_world import World, call
from fakes.inproc import FakeLlm, last_words, voiced
from voice_ai.codec.g711 import ulaw_encode

# A thousand at each `make test`; BARGE_INS=10000 is the whole of it.
N_BARGE_INS = int(os.environ.get("BARGE_INS", "1000"))
N_A_CALL = 50
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def letter_of(n: int) -> str:
    return LETTERS[n % len(LETTERS)]


def answer(n: int) -> str:
    """Sentences of one letter, so that its sound tells whose it is."""
    letter = letter_of(n)
    return " ".join([f"{letter * 4} {letter * 5} {letter * 3}."] * 8)


def dead_audio(world: World, letter: str, since: float) -> int:
    code = ulaw_encode(voiced(letter)[:2])[0]
    return sum(
        data.count(code)
        for kind, data, at in world.line.sent
        if kind == "audio" and at >= since and isinstance(data, bytes)
    )


@pytest.mark.parametrize("seed", range(N_BARGE_INS // N_A_CALL))
def test_nothing_of_a_dead_turn_follows_the_clear(seed: int) -> None:
    dice = random.Random(seed)

    async def script(world: World) -> None:
        world.tts.delay_s = 0.02
        for n in range(N_A_CALL):
            world.line.sent.clear()
            world.stt.hear(f"Say {n}")
            await asyncio.sleep(dice.choice([0, 0.001, 0.02, dice.random() * 4]))
            began = world.line.loop.time()
            world.stt.start()
            await asyncio.sleep(dice.choice([0, 0, 0.05, 0.3]))
            world.stt.update("No wait")
            await asyncio.sleep(0.5)
            clears = [at for kind, _, at in world.line.sent if kind == "clear"]
            assert dead_audio(world, letter_of(n), max(clears, default=began) + 1e-9) == 0
            if dead_audio(world, letter_of(n), 0):
                assert clears and clears[0] - began < 0.005
            world.stt.end("No, wait.")
            await asyncio.sleep(0.2)

    def llm() -> FakeLlm:
        def reply(said: object) -> str:
            words = last_words(said).split()  # type: ignore[arg-type]
            return answer(int(words[-1])) if words[0] == "Say" else "!!"

        return FakeLlm(reply)

    call(script, llm)


def test_a_reply_that_has_been_cancelled_takes_no_audio_in_the_step_of_its_clear() -> None:
    """A key cancels without a hold; what Aura's socket brings in that step is a dead turn's."""
    taken: list[bool] = []

    async def script(world: World) -> None:
        await world.listening()
        clear = world.line.clear

        async def clear_and_try() -> None:
            assert world.tts.utterance is not None
            taken.append(world.tts.utterance.take(voiced("z")))
            await clear()
            taken.append(world.tts.utterance.take(voiced("z")))

        world.tts.delay_s = 0.5  # the reply is still being spoken
        world.line.sent.clear()
        world.stt.start()
        world.stt.end("Go on.")
        await world.until(lambda: "audio" in world.line.kinds())
        world.line.clear = clear_and_try  # type: ignore[method-assign]
        world.line.press("5")
        await world.until(lambda: bool(taken))

    call(script, lambda: FakeLlm(lambda said: answer(3)))
    assert taken == [False, False]
