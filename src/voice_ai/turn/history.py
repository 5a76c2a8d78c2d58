"""What was said on a call, as far as it was heard: the items that a language model is given.

A reply that the caller cut off stands here as the caller knows it; words that were written or even
sent, but never played, are in no history, or the model would refer to what nobody heard.
"""

from voice_ai.turn.events import AgentSaid, CallerSaid, Said, ToolAnswered, ToolCalled


class History:
    """The items of one call in the order in which they were told."""

    def __init__(self) -> None:
        self._items: list[Said] = []
        self._called: set[str] = set()
        self._answered: set[str] = set()

    def caller(self, turn: int, text: str) -> None:
        """Write down a finished turn of the caller's; one without text leaves nothing."""
        if text := text.strip():
            self._items.append(CallerSaid(turn, text))

    def agent(self, turn: int, text: str, complete: bool) -> None:
        """Write down what was heard of a turn of ours; what was not heard leaves nothing."""
        if text := text.strip():
            self._items.append(AgentSaid(turn, text, complete))

    def tool_called(self, turn: int, call_id: str, name: str, arguments: str) -> None:
        """Write down that the model asked for a tool; a `call_id` used before is dropped."""
        if call_id not in self._called:
            self._called.add(call_id)
            self._items.append(ToolCalled(turn, call_id, name, arguments))

    def tool_answered(self, turn: int, call_id: str, output: str) -> None:
        """Write down a tool's answer; one to no call of ours, or a second one, is dropped."""
        if call_id in self._called - self._answered:
            self._answered.add(call_id)
            self._items.append(ToolAnswered(turn, call_id, output))

    @property
    def said(self) -> tuple[Said, ...]:
        """Everything but calls of tools without an answer (yet), which services refuse.

        Cost: a pass over the whole history.
        """
        return tuple(
            item
            for item in self._items
            if not isinstance(item, ToolCalled) or item.call_id in self._answered
        )

    def transcript(self) -> list[tuple[str, str]]:
        """Return who ("caller" or "agent") said what, without the tools."""
        who = {CallerSaid: "caller", AgentSaid: "agent"}
        spoken = (item for item in self._items if isinstance(item, CallerSaid | AgentSaid))
        return [(who[type(item)], item.text) for item in spoken]
