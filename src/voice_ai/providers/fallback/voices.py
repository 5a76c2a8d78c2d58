"""The voices of one call, in the order in which they are asked, and which of them speaks next."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Final

from voice_ai.errors import ProviderError
from voice_ai.providers.breaker import Breaker
from voice_ai.providers.fallback.script import Pace
from voice_ai.providers.faults import Action, Fault, Report
from voice_ai.providers.protocols import CallInfo, TextToSpeech, Utterance, Voice

# The caller hears nothing meanwhile. A handshake over TLS takes 3 round trips, some 0.3 s; before
# it a socket may be waited for that owes us a Cleared (aura_socket.CLEAR_TIMEOUT_S). What a stall
# took to be seen comes before that (utterance.STALL_S): an apology follows both within 2.5 s.
DIAL_S: Final = 1.25


@dataclass(frozen=True, slots=True)
class Named:
    """A voice of all calls, under the name by which its faults are told."""

    name: str
    tts: TextToSpeech
    breaker: Breaker


@dataclass(slots=True)
class Member:
    """A voice in one call; dialled when it is first needed, and left with the call."""

    named: Named
    voice: Voice | None = None
    pace: Pace = field(default_factory=Pace)

    async def dial(self, call: CallInfo, of_call: AsyncExitStack) -> Voice:
        """Open the voice, unless it is.

        Raises:
            ProviderError: it cannot be had.
        """
        if self.voice is None:
            try:
                async with asyncio.timeout(DIAL_S):
                    self.voice = await of_call.enter_async_context(self.named.tts.open(call))
            except TimeoutError:
                raise ProviderError("tts", f"not dialled within {DIAL_S} s") from None
        return self.voice

    async def utter(self, of_utterance: AsyncExitStack) -> Utterance:
        """Begin an utterance of the voice, which is open.

        Raises:
            ProviderError: its connection had to be replaced, and could not be.
        """
        assert self.voice is not None, "it was dialled"
        try:
            async with asyncio.timeout(DIAL_S):
                return await of_utterance.enter_async_context(self.voice.utter())
        except TimeoutError:
            raise ProviderError("tts", f"not ready within {DIAL_S} s") from None


class Voices:
    """A call's voices. One that failed is left for the next, with which the call then stays."""

    def __init__(
        self, call: CallInfo, voices: Sequence[Named], report: Report, of_call: AsyncExitStack
    ) -> None:
        self.call = call
        self.of_call = of_call
        self.members = [Member(named) for named in voices]
        self.at = 0
        self.budget = call.budget
        # Dialled ahead, with its breaker's leave, which the first utterance need not ask again.
        self.ahead: Member | None = None
        self._report = report

    def tell(self, member: Member, what: str, action: Action) -> None:
        """Report a fault of a voice."""
        self._report(Fault(self.call.call_sid, "tts", member.named.name, what, action))


class Round:
    """Who is asked, one after another, until an utterance is spoken or nobody is left."""

    def __init__(self, voices: Voices) -> None:
        self._voices = voices
        self._left = len(voices.members)
        self._asked_again = False
        self._retryable = False

    @property
    def member(self) -> Member:
        """Whose turn it is."""
        return self._voices.members[self._voices.at]

    def first(self) -> Member:
        """Return who is asked first.

        Raises:
            ProviderError: all have failed too often of late.
        """
        if not self._next_allowed():
            raise ProviderError("tts", "all voices have failed too often, and are left alone")
        return self.member

    def after(self, failure: ProviderError, *, sounded: bool, began: bool) -> Member:
        """Return who is asked after a failure, which is told.

        Args:
            failure: of the voice whose turn it is.
            sounded: whether any sound came of it, so that it may be asked again.
            began: whether it had a connection, which is then replaced.

        Raises:
            ProviderError: nobody is left; retryable if any of their failures was.
        """
        member, breaker = self.member, self.member.named.breaker
        self._retryable |= failure.retryable
        if sounded:
            self.succeeded()
        breaker.failed()
        if self._may_ask_again(failure) and self._voices.budget.take() and breaker.allows():
            self._asked_again = True
            self._voices.tell(member, str(failure), "replaced" if began else "retried")
            return member
        self._pass_on()
        if self._next_allowed():
            what = f"{failure}; now {self.member.named.name} speaks"
            self._voices.tell(member, what, "fell back")
            return self.member
        self._voices.tell(member, str(failure), "gave up")
        if failure.retryable or not self._retryable:
            raise failure
        raise ProviderError("tts", str(failure))

    def succeeded(self) -> None:
        """Note that the voice whose turn it is speaks."""
        self._asked_again = False
        self.member.named.breaker.succeeded()

    def ended_early(self, failure: ProviderError) -> None:
        """Note a failure after all sound had come: the connection is replaced when needed."""
        self.succeeded()
        self.member.named.breaker.failed()
        self._voices.tell(self.member, str(failure), "replaced")

    def _may_ask_again(self, failure: ProviderError) -> bool:
        return failure.retryable and not self._asked_again

    def _pass_on(self) -> None:
        self._left -= 1
        self._asked_again = False
        self._voices.at = (self._voices.at + 1) % len(self._voices.members)

    def _next_allowed(self) -> bool:
        """Pass over those that are left alone; say whether anybody is left."""
        ahead, self._voices.ahead = self._voices.ahead, None
        if ahead is self.member:
            return True
        while self._left and not self.member.named.breaker.allows():
            self._voices.tell(self.member, "failed too often of late", "skipped")
            self._pass_on()
        return self._left > 0
