"""What a conversation at the service holds, and what must change there to be what was heard.

The service adds a response's input and output to the conversation once it completes; an item cannot
be edited, only deleted, and a new one goes to the end. After an abort it may have kept nothing, the
finished items, or everything (openai-python#3561, openai-agents-js#1190): such a turn is
`uncertain` and its items must be listed.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from voice_ai.providers.openai.items import (
    Key,
    Wanted,
    agent_key,
    answered_key,
    called_key,
    no_result,
)
from voice_ai.turn.events import AgentSaid, Said
from voice_ai.wire.responses import Item


@dataclass(frozen=True, slots=True)
class Entry:
    """An item that the conversation holds; its id is not known if it was a response's input.

    `reasoning` are the ids of the reasoning items that led to it.
    """

    key: Key
    item_id: str | None = None
    reasoning: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """Items to delete, in this order, and then items to append."""

    delete: list[str]
    append: list[Wanted]


class Record:
    """The mirror of one conversation.

    `unsettled` are the turns of ours that may say more there than the caller heard, `uncertain`
    those whose items at the service we do not know.
    """

    def __init__(self, kept: Iterable[Wanted] = ()) -> None:
        self.entries = [Entry(one.key) for one in kept]
        self.unsettled: set[int] = set()
        self.uncertain: set[int] = set()

    @property
    def anchor(self) -> str | None:
        """The id of the newest item that is known to be there; all after it is to be looked at."""
        return next((entry.item_id for entry in reversed(self.entries) if entry.item_id), None)

    def begin(self, turn: int) -> None:
        """Note that a response is asked for: from now on anything may be kept of it."""
        self.unsettled.add(turn)
        self.uncertain.add(turn)

    def refused(self, turn: int) -> None:
        """Note that the service refused the request, so that nothing of it is kept."""
        self.uncertain.discard(turn)

    def settled(self, turn: int) -> None:
        """Note that the conversation holds of this turn what was heard."""
        self.uncertain.discard(turn)
        self.unsettled.discard(turn)

    def accepted(self, turn: int) -> None:
        """Note that the service takes up this turn, and so agrees with all before it."""
        self.uncertain = {other for other in self.uncertain if other >= turn}
        self.unsettled = {other for other in self.unsettled if other >= turn}

    def keep_response(self, turn: int, asked: Sequence[Wanted], items: Sequence[Item]) -> None:
        """Note a response that completed: the service keeps its input and its output."""
        self.uncertain.discard(turn)
        self.entries += [Entry(one.key) for one in asked]
        reasoning: tuple[str, ...] = ()
        for item in items:
            if item.kind == "reasoning":
                reasoning = (*reasoning, item.id)
                continue
            key = called_key(item.call_id) if item.kind == "function_call" else agent_key(turn)
            self.entries.append(Entry(key, item.id, reasoning))
            reasoning = ()

    def keep_added(self, added: Sequence[Wanted], items: Sequence[Item]) -> None:
        """Note items that we appended; the service answers them in our order."""
        self.entries += [Entry(one.key, item.id) for one, item in zip(added, items, strict=True)]

    def missing(self, items: Sequence[Wanted], up_to: int | None = None) -> list[Wanted]:
        """Return what the conversation lacks of the items of what was said, up to a turn.

        The outputs of calls that they do not know come first.
        """
        kept = {entry.key for entry in self.entries}
        known = kept | {one.key for one in items}
        calls = [key[2] for key in kept if key[0] == "called"]
        forgotten = [
            no_result(0, call_id) for call_id in calls if answered_key(call_id) not in known
        ]
        return forgotten + [
            one for one in items if one.key not in kept and (up_to is None or one.turn <= up_to)
        ]

    def contradicts(self, turn: int, items: Sequence[Wanted]) -> bool:
        """Tell whether the conversation holds words of earlier turns that are not of the items."""
        keys = {one.key for one in items}
        return any(
            entry.key not in keys
            for entry in self.entries
            if entry.key[0] in ("caller", "agent") and entry.key != agent_key(turn)
        )

    def unheard(self, turn: int, said: Sequence[Said]) -> list[str]:
        """Return the ids of what we wrote in this turn, unless the caller heard it to its end.

        The reasoning behind a message goes with it: the service refuses reasoning that leads to
        nothing.
        """
        heard = any(
            isinstance(part, AgentSaid) and part.turn == turn and part.complete for part in said
        )
        if heard and turn not in self.uncertain:
            return []
        mine = [entry for entry in self.entries if entry.key == agent_key(turn)]
        return [
            item_id for entry in mine for item_id in (entry.item_id, *entry.reasoning) if item_id
        ]

    def drop(self, item_ids: Iterable[str]) -> None:
        """Forget items that were deleted."""
        gone = set(item_ids)
        self.entries = [entry for entry in self.entries if entry.item_id not in gone]

    def align(self, anchor: str | None, listed: Sequence[Item], expected: Sequence[Wanted]) -> Plan:
        """Compare what stands after the anchor, oldest first, with what should; keep what agrees.

        Since items can only be appended, everything from the first difference on that is not
        expected next must go.
        """
        while self.entries and (anchor is None or self.entries[-1].item_id != anchor):
            self.entries.pop()
        kept = {entry.key for entry in self.entries}
        left = [one for one in expected if one.key not in kept]
        delete: list[str] = []
        reasoning: tuple[str, ...] = ()
        for item in listed:
            if item.kind == "reasoning":
                reasoning = (*reasoning, item.id)
                continue
            if left and _same(left[0], item):
                self.entries.append(Entry(left.pop(0).key, item.id, reasoning))
            else:
                delete += [item.id, *reasoning]
            reasoning = ()
        return Plan([*delete, *reasoning], left)


def _same(one: Wanted, item: Item) -> bool:
    """Tell whether an item at the service is the one that we want; space is not heard."""
    want = one.item
    if want["type"] != item.kind:
        return False
    if item.kind == "message":
        text: str = want["content"][0]["text"]
        return bool(want["role"] == item.role and text.split() == item.text.split())
    return bool(want["call_id"] == item.call_id)
