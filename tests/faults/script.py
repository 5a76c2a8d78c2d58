"""What is said in every call of the matrix, and the caller who says it."""

import asyncio
from collections.abc import Callable
from typing import Literal

from fakes.spoken import GAP_MS, WORD_MS, WORDS, spoken
from faults.phone import Phone
from voice_ai import Agent, pcm_16k_to_mulaw
from voice_ai.call.record import CallRecord

PhaseName = Literal["connecting", "idle", "caller speaking", "thinking", "speaking"]
PHASES: tuple[PhaseName, ...] = ("connecting", "idle", "caller speaking", "thinking", "speaking")

AGENT = Agent(
    instructions="You answer the phone.",
    greeting="Hello, who is there?",
    apology="Sorry, say that again.",
    goodbye="I must go. Goodbye.",
    still_there="Still there?",
    fillers=("Well, let me see.", "One moment."),
)
TURNS = (
    (WORDS[0:6], "Gladly, a table it is."),
    (WORDS[6:18], "Yes, we have one for you. It is at the window, and the place is quiet."),
    (WORDS[18:24], "There you are, it is booked."),
)
# The turn in which the fault comes, where it does not come before all of them.
FAULTY = 1
# Where in that turn, if it comes while the caller speaks: in the middle of the eighth word. The
# sixth was over half a second before, so the recogniser has told it.
WORDS_BEFORE = 7
WORDS_TOLD = 6

# How long a caller thinks before the next words, and the silence after which they give an answer
# up: longer than any deadline of ours, so that the table shows that.
PAUSE_S = 0.7
PATIENCE_MS = 20_000
# After so much silence a sentence was all of an answer, once the call, too, has it so.
TAKEN_MS = 1000


class Caller:
    """Holds the conversation, and calls `arm` when the phase of the fault has come.

    An answer that has ended behind a sentence is taken for an answer. Who is asked to say it again
    does so, once a turn. `said` is every word that was said.

    Args:
        barges: speak into the answer in which the fault comes.
    """

    def __init__(
        self,
        phone: Phone,
        record: CallRecord,
        phase: PhaseName,
        arm: Callable[[], None],
        *,
        barges: bool,
    ) -> None:
        self.said: list[str] = []
        self._barges = barges
        self._phone = phone
        self._record = record
        self._phase = phase
        self._arm = arm

    async def talk(self) -> None:
        """Have the whole conversation, or as much of it as there is before we hang up."""
        await self._hear_out(AGENT.greeting)
        for n, (words, reply) in enumerate(TURNS):
            await asyncio.sleep(PAUSE_S)
            if not self._phone.hung_up:
                await self._take_turn(words, reply, self._phase if n == FAULTY else None)
        await asyncio.sleep(PAUSE_S)

    async def _take_turn(self, words: list[str], reply: str, phase: PhaseName | None) -> None:
        phone = self._phone
        if phase == "idle":
            self._arm()
            await asyncio.sleep(PAUSE_S)
        await self._say(words, phase)
        if phase == "thinking":
            await self._until(lambda: len(self._record.turns) > FAULTY)
            self._arm()
        if phase == "speaking":
            await self._until(lambda: reply[:12] in phone.text)
            self._arm()
        if phase and self._barges:
            await self._until(lambda: reply[:20] in phone.text)
            phone.waits = False
            return
        await self._hear_out(reply)
        if phone.text.rstrip().endswith(AGENT.apology):
            await asyncio.sleep(PAUSE_S)
            await self._say(words)
            await self._hear_out(reply)

    async def _say(self, words: list[str], phase: PhaseName | None = None) -> None:
        self._phone.say(pcm_16k_to_mulaw(spoken(words)))
        if phase == "caller speaking":
            await asyncio.sleep((WORDS_BEFORE * (WORD_MS + GAP_MS) + WORD_MS / 2) / 1000)
            self._arm()
        await self._until(lambda: not self._phone.is_saying)
        self.said += words
        self._phone.wait()

    async def _hear_out(self, answer: str) -> None:
        """Wait for the end of this answer, or of what stands for it; not for ever."""
        # Their last letters: where a voice was replaced, a space or a word may be told amiss.
        phone, ends = self._phone, (answer[-10:], AGENT.apology[-10:], AGENT.goodbye[-10:])
        sentence = (answer.partition(". ")[0] + ".")[-10:]

        def is_over() -> bool:
            text = phone.text.rstrip()
            if text.endswith(ends):
                return phone.quiet_ms > 0
            ended = bool(self._record.turns and self._record.turns[-1].heard)
            return ended and text.endswith(sentence) and phone.quiet_ms >= TAKEN_MS

        await self._until(is_over)
        phone.waits = False

    async def _until(self, holds: Callable[[], object]) -> None:
        phone = self._phone
        while not holds() and not phone.hung_up:
            if phone.waits and phone.quiet_ms >= PATIENCE_MS:
                return
            await asyncio.sleep(0.02)
