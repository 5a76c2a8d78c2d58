"""Cut an answer into what a voice can be given while it is being written: a clause, then sentences.

Text is taken word by word, and a word is looked at once it is whole (white space follows it, or the
end), so how the text was cut into deltas changes nothing. On its way each word loses its marks
(`markdown`) and becomes what is spoken for it (`speakable`); all that is said here of text is about
the spoken one, so that positions in the voice's audio are positions in it.

The caller waits for the first piece, so that one is a clause if it can be (`clauses`). Of the rest,
a sentence is given as soon as it is certainly finished: its last word ends in a stop, and sentencex
cuts there whatever follows. After "a.m." or "No." that depends on the next word, which is then
awaited. A stop within quotation marks or brackets may end a sentence here where sentencex, knowing
the rest, would wait for the closing mark: a voice that waits costs more than such a cut.
"""

import re
from itertools import accumulate

from sentencex import segment  # type: ignore[import-untyped]  # a compiled module without stubs

from voice_ai.errors import UsageError
from voice_ai.turn.clauses import LEAST_AT_MARK, clause_end
from voice_ai.turn.markdown import Markdown
from voice_ai.turn.speakable import speakable

# A sentence is certainly finished if sentencex cuts before each of these.
_WHATEVER_FOLLOWS = ("a", "A", "5")
# Words back that sentencex is shown: its rules look at a few, and this bounds the cost of a look.
_WORDS_BACK = 32

_TOKEN = re.compile(r"\s+|\S+")
_STOP = re.compile("[.!?\u2026\u3002\uff01\uff1f][\"')\\]\u201d\u2019\u00bb]*$")
_LIST_NUMBER = re.compile(r"\d{1,2}\.")
# What a line that ends a sentence may lack a stop behind, for the voice to pause.
_OPEN_END = re.compile("[^\\W_][\"')\\]\u201d\u2019\u00bb%]*$")


class SentenceStream:
    """One answer's text in, its sentences out.

    All outputs joined are the spoken words of the text with a space between them. A blank line ends
    a sentence, and so does the end of a heading, of a list's item and of a table's row; where no
    stop is, one is added, and a comma behind a table's cell, since a voice pauses at nothing else.
    A piece with neither letter nor digit is left out. Each output ends in a space, as voices join
    texts as they come ("12345.Let"); only the last output of `finish` does not.

    Scripts that put no space after a sentence come out whole, at the end.

    Args:
        language: ISO 639-1 code, as sentencex takes it.
        first_clause_words: words of the first sentence after which a place to cut it is looked for,
            3 or more; None gives it whole.

    Raises:
        UsageError: `first_clause_words` is less than 3.

    Cost: linear in the text, however it is cut; sentencex is asked once or a few times a stop.
    """

    def __init__(self, language: str = "en", first_clause_words: int | None = 8) -> None:
        if first_clause_words is not None and first_clause_words < LEAST_AT_MARK:
            raise UsageError(
                f"a first clause of {first_clause_words} words sounds clipped;"
                f" it takes {LEAST_AT_MARK} or more, or None"
            )
        self._language = language
        self._first_clause_words = first_clause_words
        self._word: list[str] = []
        self._begin()

    def _begin(self) -> None:
        self._markdown = Markdown()
        # Line feeds before the coming word.
        self._n_newlines = 0
        # The sentence's words that are to be given, and the last ones of it that were.
        self._sentence: list[str] = []
        self._given: list[str] = []
        # None once the first piece was given.
        self._clause_words = self._first_clause_words
        self._break_due = False
        self._comma_due = False
        self._maybe_finished = False

    def feed(self, delta: str) -> list[str]:
        """Take more text, of any length and cut; returns the pieces that it finished."""
        out: list[str] = []
        for token in _TOKEN.findall(delta):
            if token.isspace():
                out += self._end_word()
                self._n_newlines += token.count("\n")
            else:
                self._word.append(token)
        return out

    def pause(self) -> list[str]:
        """Say that nothing comes for a while, as when a tool runs; returns what was not yet given.

        What comes then begins anew: a line, and a first clause.
        """
        out = [*self._end_word(), *self._give()]
        self._begin()
        return out

    def cut(self) -> list[str]:
        """Say that the text breaks off here; returns what is a finished sentence of the rest."""
        out = self._end_word() if _STOP.search("".join(self._word)) else []
        if self._maybe_finished:
            out += self._give()
        return out

    @property
    def is_whole(self) -> bool:
        """Whether what was given ends with a sentence, not with a clause of one."""
        return not self._given

    def finish(self) -> list[str]:
        """Say that the text is complete; returns what was not yet given."""
        out = self.pause()
        return [*out[:-1], out[-1].rstrip()] if out else []

    def _end_word(self) -> list[str]:
        word = "".join(self._word)
        self._word.clear()
        if not word:
            return []
        plain = self._markdown.plain(word, self._n_newlines)
        self._n_newlines = 0
        self._break_due |= plain.ends_sentence
        self._comma_due |= plain.ends_cell
        spoken = speakable(self._sign(plain.text), self._language)
        if spoken != word and not _has_sound(spoken):
            return self._mark(spoken) if spoken and not self._break_due else []
        return self._add(spoken)

    def _mark(self, mark: str) -> list[str]:
        """Put behind the last word what is left of an emoji with a mark, or the like."""
        if not (self._sentence and _OPEN_END.search(self._sentence[-1])):
            return []
        return self._add(self._sentence.pop() + mark)

    def _sign(self, text: str) -> str:
        """A star behind a number is a product; it is the key of the phone elsewhere."""
        is_product = text == "*" and self._sentence and self._sentence[-1][-1].isdigit()
        return "\u00d7" if is_product else text

    def _close(self, mark: str) -> None:
        """Put a mark behind the last word of a line or a cell, unless one is there."""
        if self._sentence and _OPEN_END.search(self._sentence[-1]):
            self._sentence[-1] += mark

    def _add(self, word: str) -> list[str]:
        """Put a word behind the sentence, or behind those pieces that it shows to be finished."""
        out: list[str] = []
        stops = _STOP.search(word) is not None
        if self._break_due:
            self._close(".")
            out += self._give()
        elif self._maybe_finished and self._cuts_before(word):
            out += self._give()
        elif self._comma_due:
            self._close(",")
        if not stops:
            out += self._give_clause(word)
        self._break_due = self._comma_due = self._maybe_finished = False
        self._sentence.append(word)
        if not stops or self._is_list_number():
            return out + self._give_clause(None)
        if all(map(self._cuts_before, _WHATEVER_FOLLOWS)):
            return out + self._give()
        self._maybe_finished = True
        return out

    def _give_clause(self, following: str | None) -> list[str]:
        """Give what can be spoken of the first sentence, if that is still to be given."""
        if self._clause_words is None:
            return []
        end = clause_end(self._sentence, following, self._language, self._clause_words)
        if not end:
            return []
        self._clause_words = None
        self._given, rest = self._sentence[:end], self._sentence[end:]
        piece, self._sentence = " ".join(self._given) + " ", rest
        return [piece]

    def _give(self) -> list[str]:
        sentence, self._sentence, self._given = " ".join(self._sentence), [], []
        if not _has_sound(sentence):
            return []
        self._clause_words = None
        return [sentence + " "]

    def _cuts_before(self, word: str) -> bool:
        """Whether sentencex ends a sentence between what stands there and this next word."""
        words = [*self._given, *self._sentence[-_WORDS_BACK:]][-_WORDS_BACK:]
        before = " ".join(words) + " "
        ends = accumulate(map(len, segment(self._language, before + word)))
        return len(before) in ends

    def _is_list_number(self) -> bool:
        alone = len(self._sentence) == 1 and not self._given
        return alone and _LIST_NUMBER.fullmatch(self._sentence[0]) is not None


def _has_sound(text: str) -> bool:
    return any(map(str.isalnum, text))
