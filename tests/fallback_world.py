"""Two voices of Deepgram's on loopback, a voice over both, and every word that they spoke."""

import asyncio
import random
from collections.abc import Callable
from typing import Any

import clock
from fakes.aura import CHAR_MS
from fakes.deepgram import KEY, FakeDeepgram
from voice_ai.codec.formats import PCM16_16K
from voice_ai.providers.deepgram.aura import AuraTextToSpeech
from voice_ai.providers.fallback.speech import ResilientTextToSpeech, ResilientVoice
from voice_ai.providers.fallback.utterance import ResilientUtterance
from voice_ai.providers.faults import Fault
from voice_ai.providers.protocols import Audio, CallInfo, SpokenTo


def a_call() -> CallInfo:
    """One with all of its retries left."""
    return CallInfo("CA1")


# No word comes twice.
CLAUSES = (
    "Thank you for waiting, ",
    "we have a table near the window. ",
    "It is free from seven until ten on Friday, ",
    "but somebody else has already asked about that one. ",
    "Shall I book it?",
)
TEXT = "".join(CLAUSES)
OCTETS_PER_CHAR = CHAR_MS * 32


class World:
    """An Aura and a second one, a voice over both, and the faults that were told."""

    def __init__(self, first: FakeDeepgram, second: FakeDeepgram) -> None:
        self.first, self.second = first, second
        self.faults: list[Fault] = []

    def voice(self, *others: tuple[str, Any], **options: Any) -> ResilientTextToSpeech:
        aura = AuraTextToSpeech(KEY, self.first.url, **{"audio": PCM16_16K} | options)
        now = asyncio.get_running_loop().time
        return ResilientTextToSpeech([("Aura", aura), *others], self.faults.append, now)

    def other(self, **options: Any) -> tuple[str, AuraTextToSpeech]:
        return "other", AuraTextToSpeech(KEY, self.second.url, **{"audio": PCM16_16K} | options)

    @property
    def actions(self) -> list[str]:
        return [f"{fault.provider} {fault.action}" for fault in self.faults]

    @property
    def words(self) -> list[tuple[str, float]]:
        return self.first.aura.words + self.second.aura.words


def play(script: Callable[[World], Any]) -> World:
    """Run a test on virtual time; nothing of it may be open afterwards."""

    async def main() -> World:
        async with FakeDeepgram() as first, FakeDeepgram() as second:
            world = World(first, second)
            await script(world)
            async with asyncio.timeout(2):
                while first.n_open or second.n_open:
                    await asyncio.sleep(0.01)
            assert first.violations + second.violations == []
            return world

    return clock.run(main())


async def until(holds: Callable[[], bool]) -> None:
    """Look at every step of the loop: what is waited for may be over at the next one."""
    for _ in range(10_000):
        if holds():
            return
        await asyncio.sleep(0)
    raise TimeoutError


async def hear(utterance: ResilientUtterance) -> tuple[bytes, list[int]]:
    """Return all audio, most of it taken as it comes, and what was said to be spoken."""
    data, spoken, n_offered = bytearray(), [], 0

    def take(audio: bytes) -> bool:
        nonlocal n_offered, data
        n_offered += 1
        if n_offered % 5 == 0:
            return False
        data += audio
        return True

    utterance.offer(take)
    async for event in utterance:
        match event:
            case Audio(chunk):
                data += chunk
            case SpokenTo(n_chars):
                spoken.append(n_chars)
    return bytes(data), spoken


async def say(
    voice: ResilientVoice, clauses: tuple[str, ...] = CLAUSES, pause_s: float = 0.0
) -> tuple[bytes, list[int]]:
    async with voice.utter() as utterance, asyncio.timeout(60), asyncio.TaskGroup() as group:
        hearing = group.create_task(hear(utterance))
        for clause in clauses:
            await utterance.send(clause)
            await asyncio.sleep(pause_s)
        await utterance.finish()
    return hearing.result()


def check_spoken(words: list[tuple[str, float]], n_cuts: int, text: str = TEXT) -> None:
    """Every word once and in order, but for one a cut that is damaged."""
    whole = [word for word, share in words if share >= 0.99]
    expected = text.split()
    assert [word for word in expected if word in whole] == whole, "in order, none twice"
    assert len(whole) >= len(expected) - n_cuts
    # A word that was hardly begun is said again.
    assert all(share <= 0.3 for word, share in words if share < 0.99 and word in whole)


# Where a reply is cut.

AT_CLAUSES = [OCTETS_PER_CHAR * len("".join(CLAUSES[:n])) for n in range(5)]
AT_RANDOM = random.Random(6).sample(range(OCTETS_PER_CHAR * len(TEXT)), 20)
