"""What a user writes: who answers the phone, what it says, what it can do."""

import inspect
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, overload

from voice_ai.errors import UsageError

ToolFunction: TypeAlias = Callable[..., Awaitable[Any] | Any]
OnBargeIn: TypeAlias = Literal["finish", "cancel"]

# What a model takes as a function's name. Source:
# https://platform.openai.com/docs/api-reference/chat/create, tools, function, name.
TOOL_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
# A caller waits meanwhile; a tool of more than this had better tell them first.
TOOL_TIMEOUT_S = 10.0
# Of one tool in one call. Nobody needs as many; who is talked into more is being used.
TOOL_MAX_PER_CALL = 50
# Said where an agent has none of its own, by its language. In no language but these.
FILLERS: dict[str, tuple[str, ...]] = {
    "en": ("Let me see.", "Just a second."),
    "de": ("Mal sehen.", "Einen kleinen Augenblick."),
    "es": ("Déjeme ver.", "Un segundo."),
}
# Said before the greeting where calls are recorded, by the agent's language; English in any other.
RECORDING_NOTICES: dict[str, str] = {
    "en": "This call is recorded.",
    "de": "Dieses Gespräch wird aufgezeichnet.",
    "es": "Esta llamada se está grabando.",
}
# E.164: a plus sign, the country and the rest, fifteen digits at most.
PHONE_NUMBER = re.compile(r"\+[1-9][0-9]{6,14}")


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that the language model may have run; made by `@tool`.

    Its name, its docstring and its annotated parameters are what the model sees.

    Args:
        function: a function, or a bound method; all its parameters have names.
        timeout_s: how long the model waits for it before it is told that there is no result.
        on_barge_in: what becomes of it when the caller speaks meanwhile: `cancel` stops it,
            `finish` lets it end and tells the model later, and gives it ten seconds after a
            hang-up. A plain function runs in a thread, which cannot be stopped: with `cancel` it
            runs on, and what it returns is dropped.
        max_per_call: how often one call may have it run; None does not count.
        max_per_hour: how often all calls of a process may, in any hour; None does not count.
    """

    function: ToolFunction
    timeout_s: float = TOOL_TIMEOUT_S
    on_barge_in: OnBargeIn = "cancel"
    max_per_call: int | None = TOOL_MAX_PER_CALL
    max_per_hour: int | None = None

    def __post_init__(self) -> None:
        """Refuse what the model cannot be offered."""
        if not TOOL_NAME.fullmatch(self.name):
            raise UsageError(
                f"a tool cannot be called {self.name!r}, needed 1 to 64 letters, digits, _ and -"
            )
        if not self.description:
            raise UsageError(
                f"tool {self.name!r} needs a docstring: "
                "the model decides by it when to use the tool"
            )
        for parameter in inspect.signature(self.function).parameters.values():
            if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
                raise UsageError(
                    f"tool {self.name!r} has the parameter {str(parameter)!r}, needed named ones"
                )
        if not self.timeout_s > 0:
            raise UsageError(f"tool {self.name!r} has {self.timeout_s} s, needed more than 0")
        if self.on_barge_in not in ("finish", "cancel"):
            raise UsageError(
                f"tool {self.name!r}: on_barge_in is {self.on_barge_in!r}, needed finish or cancel"
            )
        for limit in (self.max_per_call, self.max_per_hour):
            if limit is not None and limit < 1:
                raise UsageError(f"tool {self.name!r} has a limit of {limit}, needed 1 or more")

    @property
    def name(self) -> str:
        """The function's name."""
        return getattr(self.function, "__name__", "")

    @property
    def description(self) -> str:
        """The function's docstring, which tells the model when to use it."""
        return inspect.cleandoc(self.function.__doc__ or "")


@overload
def tool(function: ToolFunction, /) -> Tool: ...


@overload
def tool(
    *,
    timeout_s: float = TOOL_TIMEOUT_S,
    on_barge_in: OnBargeIn = "cancel",
    max_per_call: int | None = TOOL_MAX_PER_CALL,
    max_per_hour: int | None = None,
) -> Callable[[ToolFunction], Tool]: ...


def tool(
    function: ToolFunction | None = None,
    /,
    *,
    timeout_s: float = TOOL_TIMEOUT_S,
    on_barge_in: OnBargeIn = "cancel",
    max_per_call: int | None = TOOL_MAX_PER_CALL,
    max_per_hour: int | None = None,
) -> Tool | Callable[[ToolFunction], Tool]:
    """Offer a function to the model: `@tool`, or `@tool(timeout_s=5.0, on_barge_in="finish")`.

    Coroutine functions run on the loop, plain ones in a thread. What the docstring's `Args:` says
    of a parameter, the model is told with it. What a tool returns is told as it is if it is text,
    else as JSON; what it raises is only logged: return what the caller should hear of.

    Args:
        function: the function.
        timeout_s: see Tool.
        on_barge_in: see Tool.
        max_per_call, max_per_hour: see Tool.

    Raises:
        UsageError: the function has no docstring or no name, or takes what has none.
    """

    def make(function: ToolFunction) -> Tool:
        return Tool(function, timeout_s, on_barge_in, max_per_call, max_per_hour)

    return make if function is None else make(function)


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
        refusal: said instead when the model will not answer that.
        goodbye: said before we hang up for a reason of our own.
        still_there: said to a caller who has been silent for six seconds; twice, then `goodbye`.
        fillers: bridge a silence of more than 1.2 s before an answer, one after the other. None
            takes those of the language, in English, German and Spanish; an empty list leaves it
            silent.
        moments: said, likewise, when a tool takes longer than 0.8 s.
        interruptible_greeting: whether the caller may speak into the greeting.
        protected_ms: for how long after its first sound an answer cannot be interrupted.
        max_call_s: a call of so many seconds ends with `goodbye`.
        answers: for the scripted responder, in order of precedence; a language model does not see
            them.
        fallback: what the scripted responder says when no answer fits; `{heard}` stands for the
            caller's words.
        tools: functions that the language model may use.
        language: ISO 639-1 code: where sentences end, what is a backchannel, how symbols are said.
            What is heard and spoken is the recogniser's and the voice's affair.
        transfers: whom the model may put a caller through to: numbers as `+15550100009`, by names
            such as `front desk`; it sees the names only. Needs the REST credentials of Twilio.
        sends_digits: whether the model may press keys, for a machine at the other end.
        recording_notice: said before the greeting where calls are recorded; None takes that of the
            settings, and then that of the language.
        voicemail: left when a machine answers a call that we placed; None hangs up on it.
        voice: the voice's name in the provider's words; None takes the provider's default.
        model: the language model's name; None takes the setting's.
        keyterms: names and words of yours that the recogniser should expect.
    """

    instructions: str
    greeting: str = "Hello, how can I help you?"
    apology: str = "I am sorry, something went wrong on our side. Could you say that again?"
    refusal: str = "I am sorry, I am not able to help with that."
    goodbye: str = "I am sorry, I have to end this call. Goodbye."
    still_there: str = "Are you still there?"
    fillers: tuple[str, ...] | None = None
    moments: tuple[str, ...] = ("One moment, please.", "Just a moment.")
    interruptible_greeting: bool = True
    protected_ms: float | None = None
    max_call_s: float | None = 3600.0
    answers: tuple[Answer, ...] = ()
    fallback: str = "I heard: {heard} What else can I do for you?"
    tools: tuple[Tool, ...] = ()
    language: str = "en"
    transfers: Mapping[str, str] = field(default_factory=dict, hash=False)
    sends_digits: bool = False
    recording_notice: str | None = None
    voicemail: str | None = None
    voice: str | None = None
    model: str | None = None
    keyterms: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Take lists for tuples, and refuse what cannot be spoken."""
        if self.fillers is None:
            object.__setattr__(self, "fillers", FILLERS.get(self.language, ()))
        for name in ("answers", "tools", "keyterms", "fillers", "moments"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        for name in (
            "instructions",
            "greeting",
            "apology",
            "refusal",
            "goodbye",
            "still_there",
            "fallback",
            "language",
        ):
            if not getattr(self, name).strip():
                raise UsageError(f"an agent's {name} cannot be empty")
        if self.voicemail is not None and not self.voicemail.strip():
            raise UsageError("an agent's voicemail cannot be empty; None leaves none")
        if self.recording_notice is not None and not self.recording_notice.strip():
            raise UsageError("an agent's recording_notice cannot be empty; None takes another")
        object.__setattr__(self, "transfers", dict(self.transfers))
        for label, number in self.transfers.items():
            if not label.strip() or not PHONE_NUMBER.fullmatch(number):
                raise UsageError(
                    f"an agent's transfers have {label!r}: {number!r}, "
                    "needed a name and a number such as '+15550100009'"
                )
        names = [made.name for made in self.tools]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise UsageError(
                f"{len(names)} tools with the same name more than once: {', '.join(twice)}"
            )
