"""What a user writes: who answers the phone, what it says, what it can do."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from voice_ai.errors import UsageError

ToolFunction: TypeAlias = Callable[..., Awaitable[Any] | Any]


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that the language model may have run; made by `@tool`.

    Its name, its docstring and its annotated parameters are what the model sees.
    """

    function: ToolFunction

    @property
    def name(self) -> str:
        """The function's name."""
        return self.function.__name__

    @property
    def description(self) -> str:
        """The function's docstring, which tells the model when to use it."""
        return (self.function.__doc__ or "").strip()


def tool(function: ToolFunction) -> Tool:
    """Offer a function to the model. Coroutine functions run on the loop, plain ones in a thread.

    Raises:
        UsageError: the function has no docstring; the model would not know what it is for.
    """
    made = Tool(function)
    if not made.description:
        raise UsageError(
            f"tool {made.name!r} needs a docstring: the model decides by it when to use the tool"
        )
    return made


@dataclass(frozen=True, slots=True)
class Answer:
    """A ready answer of the scripted responder, which serves where no language model does.

    Args:
        when: words or phrases, any of which calls for this answer; matched whole and without case.
        say: what is said; `{heard}` stands for the caller's words.
        ends_call: hang up once it has been heard.
    """

    when: tuple[str, ...]
    say: str
    ends_call: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """An agent that answers the phone.

    Args:
        instructions: what the language model is told about its role; sent with every request.
        greeting: said as soon as the call is up, before the caller speaks; made into sound at
            start-up.
        apology: said when an answer cannot be had; made at start-up too, so that it needs no
            provider.
        goodbye: said before we hang up for a reason of our own.
        answers: for the scripted responder, in order of precedence; a language model does not see
            them.
        fallback: what the scripted responder says when no answer fits; `{heard}` stands for the
            caller's words.
        tools: functions that the language model may use.
        voice: the voice's name in the provider's words; None takes the provider's default.
        model: the language model's name; None takes the setting's.
        keyterms: names and words of yours that the recogniser should expect.
    """

    instructions: str
    greeting: str = "Hello, how can I help you?"
    apology: str = "I am sorry, something went wrong on our side. Could you say that again?"
    goodbye: str = "I am sorry, I have to end this call. Goodbye."
    answers: tuple[Answer, ...] = ()
    fallback: str = "I heard: {heard} What else can I do for you?"
    tools: tuple[Tool, ...] = ()
    voice: str | None = None
    model: str | None = None
    keyterms: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Take lists for tuples, and refuse what cannot be spoken."""
        for name in ("answers", "tools", "keyterms"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        for name in ("instructions", "greeting", "apology", "goodbye", "fallback"):
            if not getattr(self, name).strip():
                raise UsageError(f"an agent's {name} cannot be empty")
        names = [made.name for made in self.tools]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise UsageError(
                f"{len(names)} tools with the same name more than once: {', '.join(twice)}"
            )
