"""How the services behave: what the load rig gives them as JSON."""

from dataclasses import dataclass, fields

import orjson

from voice_ai.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The services' settings.

    Args:
        reply_s: how long an answer's voice lasts.
        turn_s: from a caller's turn to the next one; less than a reply lasts if they barge in.
        speech_s: from a caller's StartOfTurn to its EndOfTurn.
        first_turn_s: audio before a call's first turn; calls are spread over a turn from there.
        tts_chunk_ms: audio in a message of the voice.
        tts_first_byte_ms: from a Flush to its first audio.
        llm_first_token_ms: from a request to its first words.
        llm_inter_token_ms: between two deltas.
        barge_in: have callers begin to speak in the middle of replies.

    Raises:
        UsageError: a value makes no conversation.
    """

    reply_s: float = 6.0
    turn_s: float = 8.0
    speech_s: float = 1.0
    first_turn_s: float = 3.0
    tts_chunk_ms: int = 20
    tts_first_byte_ms: float = 0.0
    llm_first_token_ms: float = 0.0
    llm_inter_token_ms: float = 0.0
    barge_in: bool = False

    def __post_init__(self) -> None:
        """Refuse what makes no conversation."""
        for field in fields(self):
            value = getattr(self, field.name)
            if value < 0:
                raise UsageError(f"{field.name} is {value}, needed 0 or more")
        if self.tts_chunk_ms < 1:
            raise UsageError(f"tts_chunk_ms is {self.tts_chunk_ms}, needed 1 or more")
        if self.period_s <= self.speech_s:
            raise UsageError(
                f"turn_s is {self.period_s} and speech_s {self.speech_s}: a turn has no time left"
            )

    @property
    def period_s(self) -> float:
        """From one turn of a caller's to the next: half into the reply, if they barge in."""
        if not self.barge_in:
            return self.turn_s
        return min(self.turn_s, self.speech_s + self.reply_s / 2)


def parse_plan(text: str | bytes) -> Plan:
    """Read a plan's JSON; what it does not name has its default.

    Raises:
        UsageError: not an object, or a member that is unknown or of the wrong type.
    """
    try:
        given = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise UsageError(f"the services' settings are not JSON: {error.msg}") from error
    if not isinstance(given, dict):
        raise UsageError(f"the settings are a JSON {type(given).__name__}, needed an object")
    known = {field.name: type(field.default) for field in fields(Plan)}
    for name, value in given.items():
        kind = known.get(name)
        if kind is None:
            raise UsageError(f"unknown setting {name!r}; known are {', '.join(known)}")
        if type(value) is not kind and not (kind is float and type(value) is int):
            raise UsageError(f"{name} is {value!r}, needed a {kind.__name__}")
    return Plan(**given)
