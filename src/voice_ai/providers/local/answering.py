"""Answers with no model and no network: the agent's own, found by the words the caller used."""

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from voice_ai.agent import Agent, Answer
from voice_ai.providers.protocols import (
    CallInfo,
    Dialogue,
    ModelEvent,
    TextDelta,
    ToolRequested,
    ToolSpec,
)
from voice_ai.turn.events import CallerSaid, Said, ToolAnswered

HANG_UP = "hang_up"
NOT_HEARD = "I am sorry, I did not catch that. Could you say it again?"


class ScriptedLanguageModel:
    """A responder that knows an agent's `answers` and nothing else. It uses no tool but hanging up.

    Args:
        agent: whose `answers` and `fallback` are said.
    """

    def __init__(self, agent: Agent) -> None:
        self._agent = agent

    @asynccontextmanager
    async def open(
        self, call: CallInfo, instructions: str, tools: Sequence[ToolSpec]
    ) -> AsyncIterator[Dialogue]:
        """Enter one call's side of it; the instructions and the tools are for models."""
        yield ScriptedDialogue(self._agent)


class ScriptedDialogue:
    """One call's answers."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent

    def reply(
        self, turn: int, said: Sequence[Said]
    ) -> AbstractAsyncContextManager[AsyncIterator[ModelEvent]]:
        """Answer the caller's last words; nothing is left to say once a tool has answered."""
        return _replying(self._events(turn, said))

    async def settle(self, turn: int, said: Sequence[Said]) -> None:
        """Do nothing: there is no record elsewhere."""

    async def _events(self, turn: int, said: Sequence[Said]) -> AsyncIterator[ModelEvent]:
        heard = next((item.text for item in reversed(said) if isinstance(item, CallerSaid)), None)
        if heard is None or isinstance(said[-1], ToolAnswered):
            return
        text, ends_call = answer_to(self._agent, heard)
        for word in re.findall(r"\s*\S+", text):
            yield TextDelta(word)
        if ends_call:
            yield ToolRequested(f"scripted-{turn}", HANG_UP, "{}")


@asynccontextmanager
async def _replying(events: AsyncIterator[ModelEvent]) -> AsyncIterator[AsyncIterator[ModelEvent]]:
    yield events


def answer_to(agent: Agent, heard: str) -> tuple[str, bool]:
    """Return what the agent says to these words, and whether it ends the call."""
    words = _words(heard)
    if not words:
        return NOT_HEARD, False
    for answer in agent.answers:
        if _fits(answer, words):
            return filled(answer.say, heard), answer.ends_call
    return filled(agent.fallback, heard), False


def filled(template: str, heard: str) -> str:
    """Put the caller's words for `{heard}`, with a stop where no punctuation follows."""
    said = " ".join(heard.split())
    stop = said[-1] if said.endswith(("?", "!")) else "."
    words = said.rstrip(" .,;:!?")
    words = words[:1].upper() + words[1:]

    def put(found: re.Match[str]) -> str:
        return words if found[1] is None else f"{words}{stop}{found[1]}"

    return re.sub(r"\{heard\}(\s|$)?", put, template)


def _fits(answer: Answer, words: str) -> bool:
    phrases = (_words(phrase) for phrase in answer.when)
    return any(phrase and f" {phrase} " in f" {words} " for phrase in phrases)


def _words(text: str) -> str:
    """A text's words alone: no case, no punctuation, "what's" as "whats"."""
    return " ".join(re.findall(r"\w+", re.sub(r"['’]", "", text.casefold())))
