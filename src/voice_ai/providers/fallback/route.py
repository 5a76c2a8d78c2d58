"""Whom a reply asks, and after a failure whom next: no clock, no socket."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from voice_ai.errors import ProviderError, Stage
from voice_ai.providers.breaker import Breaker, Budget
from voice_ai.providers.faults import Action, Fault, Report

# A caller waits; a service that wants more time than this is not waited for.
MAX_WAIT_S: Final = 0.5
LEFT_ALONE: Final = "it failed too often lately"


@dataclass(frozen=True, slots=True)
class Member:
    """One of the providers, by the name that faults are told under."""

    name: str
    breaker: Breaker


class Route:
    """The way of one request through the members, first choice first.

    One retry in all, of whichever fails first; then each of the rest is asked once. Every failure
    is reported once, with what is done about it.

    Args:
        call_sid: whose request it is.
        stage: of the faults.
        members: whom there is to ask.
        budget: the call's retries.
        report: told of every fault.
    """

    def __init__(
        self, call_sid: str, stage: Stage, members: Sequence[Member], budget: Budget, report: Report
    ) -> None:
        self._call_sid = call_sid
        self._stage: Stage = stage
        self._members = members
        self._budget = budget
        self._report = report
        self._may_retry = True
        self._asked = -1

    def begin(self) -> int:
        """Return whom to ask first, by the place in the list.

        Raises:
            ProviderError: all of them are left alone at the moment.
        """
        return self._go_on(None, -1)

    def answered(self) -> None:
        """Note that the one asked has answered."""
        self._members[self._asked].breaker.succeeded()

    def failed(self, error: ProviderError, *, given: bool) -> int:
        """Return whom to ask after this failure; the same one again after `error.retry_after_s`.

        Args:
            error: what the one asked raised.
            given: whether anything of its answer is out already: then nobody can begin anew.

        Raises:
            ProviderError: the same; nobody can be asked.
        """
        asked, its_fault = self._members[self._asked], error.kind == "failed" and error.retryable
        if its_fault:
            asked.breaker.failed()
        elif error.kind == "refused" or given:
            asked.breaker.succeeded()
        if given or error.kind != "failed":
            self._tell(asked, str(error), "gave up")
            raise error
        if its_fault and self._retries(error):
            self._tell(asked, str(error), "retried")
            return self._asked
        return self._go_on(error, self._asked)

    def _retries(self, error: ProviderError) -> bool:
        if not self._may_retry or error.retry_after_s > MAX_WAIT_S:
            return False
        if not self._members[self._asked].breaker.allows() or not self._budget.take():
            return False
        self._may_retry = False
        return True

    def _go_on(self, error: ProviderError | None, behind: int) -> int:
        """Choose the next one behind this place whose breaker allows it."""
        skipped: list[Member] = []
        found = None
        for place in range(behind + 1, len(self._members)):
            if self._members[place].breaker.allows():
                found = place
                break
            skipped.append(self._members[place])
        if error:
            action: Action = "gave up" if found is None else "fell back"
            self._tell(self._members[behind], str(error), action)
        for member in skipped:
            self._tell(member, LEFT_ALONE, "skipped")
        if found is None:
            raise error or ProviderError(self._stage, f"nobody is asked: {LEFT_ALONE}")
        self._asked = found
        return found

    def _tell(self, member: Member, what: str, action: Action) -> None:
        self._report(Fault(self._call_sid, self._stage, member.name, what, action))
