"""Drops of Flux in mid-word, each in a call of its own through the real SDK, on virtual time.

A hundred in the suite; `VOICE_AI_DROPS=1000` makes a thousand, some six minutes. What was lost is
read from the fake's ledger (`fakes.ledger`), and each transcript is compared with the unbroken one.
"""

import os
import random
from collections import Counter
from dataclasses import dataclass
from functools import cache

from fakes.faults import Fault
from fakes.ledger import n_lost
from fakes.spoken import WORD_MS, WORDS, spoken
from flux_calls import MS, Call, call, check_stream_turns

N_DROPS = int(os.environ.get("VOICE_AI_DROPS", "100"))
KINDS = ("1011", "RST", "FIN", "stall", "UPDATES")
GAP_MS = 60
# Before everything, so that messages end anywhere in a word.
LEADS_MS = (400, 417, 435, 451, 468)
# Between two parts of what is said: none, one that ends a turn, one that is worth leaving out.
PAUSES_MS = (0, 700, 1600)


@dataclass(frozen=True)
class Said:
    """What a caller says."""

    first: tuple[str, ...]
    second: tuple[str, ...]
    lead_ms: int
    pause_ms: int

    @property
    def audio(self) -> bytes:
        pause = bytes(self.pause_ms * MS)
        said = spoken(self.first, GAP_MS) + pause + spoken(self.second, GAP_MS)
        return bytes(self.lead_ms * MS) + said + bytes((4000 - self.lead_ms) * MS)

    def word_ms(self, n: int) -> int:
        """Where a word begins."""
        pause_ms = self.pause_ms if n >= len(self.first) else 0
        return self.lead_ms + n * (WORD_MS + GAP_MS) + pause_ms


@cache
def unbroken(said: Said) -> list[str]:
    made = call((), said.audio)
    assert made.failure is None and made.n_dialled == 1
    assert " ".join(made.said) == " ".join(said.first + said.second)
    return made.said


def dropped(said: Said, kind: str, at_ms: int) -> Call:
    code = 1011 if kind == "1011" else None
    how = kind if kind in ("RST", "FIN", "UPDATES") else ""
    return call([Fault(code, at_ms, how=how)], said.audio)


def test_drops_in_mid_word_lose_no_speech_and_hardly_a_word() -> None:
    rng = random.Random(6)
    n_octets, wrong = 0, Counter[str]()
    for n in range(N_DROPS):
        kind, k = KINDS[n % len(KINDS)], rng.choice((0, 7))
        said = Said(
            tuple(WORDS[k : k + 4]),
            tuple(WORDS[k + 4 : k + 7]),
            rng.choice(LEADS_MS),
            rng.choice(PAUSES_MS),
        )
        at_ms = said.word_ms(rng.randrange(7)) + rng.randrange(20, WORD_MS - 20)
        made = dropped(said, kind, at_ms)
        assert made.failure is None and made.n_dialled == 2, (kind, at_ms, said)
        check_stream_turns(made)
        heard = [bytes(one.audio or b"") for one in made.deepgram.flux.connections]
        n_octets += n_lost(made.audio, heard)
        if made.said != unbroken(said):
            wrong[kind] += 1
            print(f"{kind} at {at_ms} ms of {said}: {made.said}")
    n_wrong = wrong.total()
    print(f"{N_DROPS} drops: {n_octets} octets of speech lost; {N_DROPS - n_wrong} transcripts")
    print(
        f"equal to the unbroken one ({100 * (1 - n_wrong / N_DROPS):.2f} %), wrong: {dict(wrong)}"
    )
    assert n_octets == 0
    assert n_wrong <= 0.005 * N_DROPS
