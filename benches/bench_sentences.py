"""An answer into a voice's pieces, fed as a model streams it, against sentencex on the whole text.

sentencex alone is no peer in what it does: it sees all of the text and neither cleans nor cuts it
early. The last test prints the cost a word: how it depends on the cut, on the length (it must not)
and on what is in the text. Processor time: the wall clock counts other processes in, and the more
the longer a run is.
"""

import time

import pytest
from sentencex import segment

from voice_ai.turn.sentences import SentenceStream

PROSE = (
    "Sure, I can help with that. We are open Monday through Friday from 9 a.m. to 5:30 p.m., and on"
    " Saturdays until noon. Your appointment with Dr. Smith is on Tuesday, March 3, at 2:15, and it"
    " costs $85.50. If you need to change it, just call us back, and we will find another time. "
)
MARKED = (
    "## Our **hours** \U0001f600\n\n- *Mon*: 9\u20135\n- [Tuesday](https://example.org/a): no!!\n"
    "\nWrite to `a.b@example.org`, or see https://www.example.org/hours for ~5% off \u2192 now.\n\n"
)
ENDLESS = "we go on and on "
TEXTS = {
    "prose, a word a delta": (PROSE * 10, "words"),
    "prose, a character a delta": (PROSE * 10, "characters"),
    "prose, one delta": (PROSE * 10, "whole"),
    "prose, ten times as long": (PROSE * 100, "words"),
    "marked up": (MARKED * 10, "words"),
    "one sentence": (ENDLESS * 100, "words"),
    "one sentence, ten times as long": (ENDLESS * 1000, "words"),
}
US_A_WORD: dict[str, float] = {}

pytestmark = pytest.mark.benchmark(timer=time.process_time)


def deltas(text: str, by: str) -> list[str]:
    if by == "words":
        return [word + " " for word in text.split(" ")]
    return [*text] if by == "characters" else [text]


@pytest.mark.parametrize("case", TEXTS)
def test_sentence_stream(benchmark, case):
    text, by = TEXTS[case]
    parts = deltas(text, by)
    benchmark.group = "an answer into pieces"

    def answer() -> int:
        stream = SentenceStream()
        return sum(len(stream.feed(part)) for part in parts) + len(stream.finish())

    assert benchmark(answer) > 0
    US_A_WORD[case] = benchmark.stats.stats.min / len(text.split()) * 1e6


def test_sentencex_on_the_whole(benchmark):
    text = PROSE * 10
    benchmark.group = "an answer into pieces"
    assert len(benchmark(lambda: list(segment("en", text)))) > 10
    US_A_WORD["sentencex on the whole"] = benchmark.stats.stats.min / len(text.split()) * 1e6


def test_print_the_cost_a_word(capsys):
    with capsys.disabled():
        for case, cost in US_A_WORD.items():
            print(f"\n{case}: {cost:.2f} \u00b5s a word", end="")
        print()
