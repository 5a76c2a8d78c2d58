"""Cut an answer into sentences while it is being written, so that the first is spoken early.

Text is taken word by word, and a word is looked at once it is whole (white space follows it, or the
end), so how the text was cut into deltas changes nothing. A sentence is given as soon as it is
certainly finished: its last word ends in a stop, and sentencex cuts there whatever follows. After
"a.m." or "No." that depends on the next word, which is then awaited. A stop within quotation marks
or brackets may end a sentence here where sentencex, knowing the rest, would wait for the closing
mark: a voice that waits costs more than such a cut.
"""

import re
from itertools import accumulate

from sentencex import segment  # type: ignore[import-untyped]  # a compiled module without stubs

# A sentence is certainly finished if sentencex cuts before each of these.
_WHATEVER_FOLLOWS = ("a", "A", "5")
# Words back that sentencex is shown: its rules look at a few, and this bounds the cost of a look.
_WORDS_BACK = 32

_TOKEN = re.compile(r"\s+|\S+")
_STOP = re.compile("[.!?\u2026\u3002\uff01\uff1f][\"')\\]\u201d\u2019\u00bb]*$")
_MARKS = re.compile(r"\*\*|`+")
_LINE_MARK = re.compile(r"#{1,6}|[-*\u2022]")
_LIST_NUMBER = re.compile(r"\d{1,2}\.")


class SentenceStream:
    """One answer's text in, its sentences out; spent after `finish`.

    All outputs joined are the input with each stretch of white space made one space, and without
    the marks of markdown that would be spoken: `**`, backticks, and `#` or a list's dash before a
    line. A blank line ends a sentence, and so does the end of a heading or of a list's item. Each
    output ends in a space, as voices join texts as they come ("12345.Let"); only the last output of
    `finish` does not.

    Scripts that put no space after a sentence come out whole, at the end.

    Args:
        language: ISO 639-1 code, as sentencex takes it.

    Cost: linear in the text, however it is cut; sentencex is asked once or a few times a stop.
    """

    def __init__(self, language: str = "en") -> None:
        self._language = language
        self._word: list[str] = []
        self._sentence: list[str] = []
        # What the white space before the coming word means.
        self._newlines = 1
        self._in_item = False
        self._break_due = False
        self._maybe_finished = False

    def feed(self, delta: str) -> list[str]:
        """Take more text, of any length and cut; returns the sentences that it finished."""
        out: list[str] = []
        for token in _TOKEN.findall(delta):
            if token.isspace():
                out += self._end_word()
                self._newlines += token.count("\n")
            else:
                self._word.append(token)
        return out

    def finish(self) -> list[str]:
        """Say that the text is complete; returns what was not yet given."""
        out = [*self._end_word(), *self._give()]
        return [*out[:-1], out[-1].rstrip()] if out else []

    def _end_word(self) -> list[str]:
        word = _MARKS.sub("", "".join(self._word))
        self._word.clear()
        if not word:
            return []
        if self._newlines:
            self._break_due |= self._newlines > 1 or self._in_item
            self._newlines = 0
            self._in_item = _LINE_MARK.fullmatch(word) is not None
            if self._in_item:
                self._break_due = True
                return []
        return self._add(word)

    def _add(self, word: str) -> list[str]:
        """Put a word behind the sentence, or behind those that it shows to be finished."""
        out: list[str] = []
        if self._break_due or (self._maybe_finished and self._cuts_before(word)):
            out += self._give()
        self._break_due = self._maybe_finished = False
        self._sentence.append(word)
        if _STOP.search(word) and not self._is_list_number():
            if all(map(self._cuts_before, _WHATEVER_FOLLOWS)):
                out += self._give()
            else:
                self._maybe_finished = True
        return out

    def _give(self) -> list[str]:
        sentence, self._sentence = self._sentence, []
        return [" ".join(sentence) + " "] if sentence else []

    def _cuts_before(self, word: str) -> bool:
        """Whether sentencex ends a sentence between what stands there and this next word."""
        before = " ".join(self._sentence[-_WORDS_BACK:]) + " "
        ends = accumulate(map(len, segment(self._language, before + word)))
        return len(before) in ends

    def _is_list_number(self) -> bool:
        return len(self._sentence) == 1 and _LIST_NUMBER.fullmatch(self._sentence[0]) is not None
