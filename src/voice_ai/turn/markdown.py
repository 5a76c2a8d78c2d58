"""Take Markdown's marks off an answer, word by word, and tell the pauses that they stand for.

What a mark does to the page is not heard, but for two things: a heading, an item of a list, a row
of a table and a paragraph each end a sentence, and a table's cell ends a phrase. All that a reader
would read stays, the insides of code too: a word said in vain costs less than a word lost.

A look never goes beyond the word in hand, so nothing is held back. Hence two liberties against
CommonMark: square brackets go wherever they stand, and stars need no partner.
"""

import re
from dataclasses import dataclass
from html import unescape
from unicodedata import category

_MARKED = re.compile("[][*_`~<|\\\\&\u2022\u00b7\u3010\ue200]")
_LINE_MARK = re.compile("#{1,6}|[-*+]|\\[[xX]?\\]|-{3,}|={3,}|\\*{3,}|_{3,}|(?:`{3,}|~{3,})[^`]*")
_BULLETS = "\u2022\u25e6\u25aa\u2023\u00b7"
_LIST_NUMBER = re.compile("\\d{1,2}[.)]|\\(?[a-z]\\)|\\d\ufe0f?\u20e3")
_RULE = re.compile(r"[|:-]*-[|:-]*")

_TARGET = re.compile(r"\]\((?:[^()\s]|\([^()\s]*\))*\)|\]\[[^]\s]*\]")
_OPEN_TARGET = re.compile(r"\]\([^()\s]*$")
_AUTOLINK = re.compile(r"<((?:https?://|mailto:)[^<>\s]+|[^<>\s@]+@[^<>\s@]+)>")
_TAG = re.compile(r"</?[A-Za-z][A-Za-z0-9]*/?>")
# Sources as chat models note them: [1], [^1], and OpenAI's two ways.
_CITATION = re.compile(
    "\\[\\^?\\d{1,3}\\]|\u3010[^\u3010\u3011]*\u3011|\ue200[^\ue200\ue201]*\ue201"
)
_BRACKET = re.compile(r"(?:(?<!\w)!)?\[|\]")
# Not the star of 3*4, not the underscore within a name.
_EMPHASIS = re.compile(r"(?<![\d*])\*+|\*++(?!\d)|~~+|`+|(?<![^\W_])_+|_+(?![^\W_])")
# The key of the phone: "press *".
_STAR = re.compile(r"[\"'(]*\*[\"'),.;:!?]*")
_ESCAPE = re.compile(r"\\([!-/:-@[-`{-~])")


@dataclass(frozen=True, slots=True)
class Plain:
    """A word without its marks, empty if it was nothing else, and what ended before it."""

    text: str
    ends_sentence: bool = False
    ends_cell: bool = False


class Markdown:
    """One answer's words in, the same without marks out.

    Cost: linear in the text.
    """

    def __init__(self) -> None:
        self._begin_line()

    def _begin_line(self) -> None:
        # Nothing but marks so far.
        self._at_start = True
        # A heading, an item, a row or a fence: the line's end ends a sentence.
        self._is_item = False
        self._is_row = False
        self._cell_ended = False
        # What of a link with a title, `[text](address "title")`, may be still to come.
        self._awaited = ""

    def plain(self, word: str, n_newlines: int = 0) -> Plain:
        """Take the next word, and how many line feeds stood before it."""
        ends = n_newlines > 1 or (n_newlines == 1 and self._is_item)
        if n_newlines:
            self._begin_line()
        if self._at_start:
            word, begins = self._without_line_mark(word)
            ends |= begins
        if self._awaited or self._is_row or _MARKED.search(word):
            return self._unmarked(word, ends)
        self._at_start = self._at_start and not word
        return Plain(word, ends)

    def _without_line_mark(self, word: str) -> tuple[str, bool]:
        """What is left of a line's first word, and whether a sentence begins with it."""
        word = word.lstrip(">")
        rest = word.lstrip(_BULLETS)
        if _LINE_MARK.fullmatch(word):
            rest = ""
        is_row = word.startswith("|")
        is_emoji = word != "" and category(word[0]) == "So"
        is_number = _LIST_NUMBER.fullmatch(word) is not None
        begins = rest != word or is_row or is_emoji or is_number
        self._is_row |= is_row
        self._is_item |= begins
        return rest, begins

    def _unmarked(self, word: str, ends: bool) -> Plain:
        if self._awaited:
            word = self._after_target(word)
        begins_cell, word = self._split_cells(_ESCAPE.sub(r"\1", word))
        word = self._without_target(word)
        word = _TAG.sub(" ", _AUTOLINK.sub(r"\1", _CITATION.sub("", word)))
        word = _BRACKET.sub("", word)
        if not _STAR.fullmatch(word):
            word = _EMPHASIS.sub("", word)
        if "&" in word and ";" in word:
            word = unescape(word)
        self._at_start = self._at_start and not word
        return Plain(word, ends, begins_cell)

    def _split_cells(self, word: str) -> tuple[bool, str]:
        """Whether a cell ended before the word, and its cells as phrases."""
        if self._is_row and _RULE.fullmatch(word):
            return False, ""
        if word in ("\u2022", "\u00b7"):
            return True, ""
        begins = self._cell_ended or word.startswith("|")
        self._cell_ended = word.endswith("|")
        return begins, ", ".join(filter(None, word.split("|")))

    def _without_target(self, word: str) -> str:
        word = _TARGET.sub("]", word)
        if _OPEN_TARGET.search(word):
            self._awaited = "title"
            word = _OPEN_TARGET.sub("]", word)
        return word

    def _after_target(self, word: str) -> str:
        """What stands behind a link's title; all of a word that begins none."""
        if self._awaited == "title" and word[0] not in "\"'(":
            self._awaited = ""
            return word
        self._awaited = "end"
        _, closed, rest = word.rpartition(")")
        if not closed:
            return ""
        self._awaited = ""
        return rest
