"""What the turn machine takes for granted: the phases of a call, and what is a matter of taste."""

import re
import unicodedata
from dataclasses import dataclass
from enum import Enum


class Phase(Enum):
    """Where a call stands."""

    IDLE = "before the call"
    LISTENING = "nobody speaks"
    CALLER_SPEAKING = "the caller speaks"
    THINKING = "a reply was asked for and none of it is on the wire"
    SPEAKING = "our turn is on the wire or being played"
    CLOSING = "our last words are being played"
    HELD = "our turn is held back: perhaps the caller has begun"
    ENDED = "after the call"


# Sounds that say nothing but that somebody listens, as a recogniser of any language writes them.
_SOUNDS = (
    "ah|aha|hm|hmm|hmmm|hum|mhm|mhmm|mm|mmm|mm hm|mm hmm|mmhm|mmhmm|oh|ok|okay|uh|uh huh|uhhuh|um"
)

# Said to show that one listens. A word that is as often an answer ("yes", "no") is none.
BACKCHANNELS: dict[str, frozenset[str]] = {
    language: frozenset(f"{_SOUNDS}|{words}".split("|"))
    for language, words in {
        "en": "all right|alright|got it|i see|right|sure|yeah|yep",
        "de": "ach so|achso|äh|ähm|alles klar|genau|verstehe",
        "es": "ajá|claro|eh|entiendo|vale|ya|ya veo",
        "fr": "d accord|euh|je vois|ouais|très bien",
    }.items()
}
_WORDS = re.compile(r"[^\W_]+")
_LONGEST = 3  # words of a backchannel


@dataclass(frozen=True, slots=True)
class Rules:
    """What is a matter of taste. None turns a rule off.

    Args:
        reply_timeout_ms: how long a caller waits in silence before we apologise. A reply commonly
            takes 1-2 s; 15 s leaves room for a tool or two.
        playout_slack_ms: how late the last mark may be before we stop waiting for it: a round trip
            to the far end and its jitter buffer, generously.
        false_start_ms: how long our turn is held for words, once the caller seems to begin.
        near_end_ms: with no more than this left to say, "okay" is an answer and no backchannel.
        backchannels: what does not interrupt us, up to three words each, in small letters, composed
            (NFC), a space for each punctuation mark.
        protected_ms: for how long after its first sound a reply cannot be interrupted.
        greeting_protected: whether the greeting cannot be interrupted at all.
        filler_ms: after how much silence a filler is said while we think.
        filler_again_ms: how long after that another one is said, and so on while we think.
        tool_ms: after how long a tool is excused for, while we have said nothing.
        max_drafts: replies drafted on eager ends of one turn.
        silence_ms: how long a caller may say nothing before we ask.
        max_prompts: how often we ask; then we say goodbye.
        stuck_ms: a caller's turn without a new word for so long is over: four times Flux's
            end-of-turn timeout of 3 s.
        monologue_ms: a caller's turn of such a length is answered.
        call_ms: how long a call may last.
        digits_ms: how long we wait for another key.
        max_mute: in how many turns in a row the voice may fail; the last of them ends the call.
    """

    reply_timeout_ms: float = 15_000
    playout_slack_ms: float = 2_000
    false_start_ms: float = 700
    near_end_ms: float = 1_000
    backchannels: frozenset[str] = BACKCHANNELS["en"]
    protected_ms: float | None = None
    greeting_protected: bool = False
    filler_ms: float | None = None
    filler_again_ms: float | None = None
    tool_ms: float | None = 800
    max_drafts: int = 3
    silence_ms: float | None = 6_000
    max_prompts: int = 2
    stuck_ms: float | None = 12_000
    monologue_ms: float | None = 60_000
    call_ms: float | None = None
    digits_ms: float = 3_000
    max_mute: int = 2

    def is_backchannel(self, transcript: str) -> bool:
        """Whether all of this only shows that somebody listens, however often it is said."""
        words = _WORDS.findall(unicodedata.normalize("NFC", transcript).lower())
        n_read = 0
        while n_read < len(words):
            for n in range(_LONGEST, 0, -1):
                if " ".join(words[n_read : n_read + n]) in self.backchannels:
                    n_read += n
                    break
            else:
                return False
        return bool(words)


def has_words(transcript: str) -> bool:
    """Whether there is a letter or a digit in it."""
    return any(map(str.isalnum, transcript))
