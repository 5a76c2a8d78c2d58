"""Word errors between what was said and what was heard, where "ten" and "10" are the same word."""

import re

_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen "
    "fourteen fifteen sixteen seventeen eighteen nineteen"
).split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_SAME = {"mr": "mister", "mrs": "missus", "dr": "doctor", "ok": "okay"}


def word_errors(reference: str, hypothesis: str) -> tuple[int, int]:
    """Return the least number of words to replace, drop or add, and how many the reference has.

    Case, punctuation, hyphens, and whether a number is written in digits do not count.
    """
    wanted, found = words(reference), words(hypothesis)
    row = list(range(len(found) + 1))
    for i, word in enumerate(wanted, 1):
        before, row = row, [i]
        for j, other in enumerate(found, 1):
            row.append(min(before[j] + 1, row[-1] + 1, before[j - 1] + (word != other)))
    return row[-1], len(wanted)


def words(text: str) -> list[str]:
    """Return a text's words as they are compared."""
    plain = re.sub(r"['’]", "", text.lower())
    plain = re.sub(r"(?<=\d),(?=\d{3})", "", plain)
    found = re.findall(r"\d+|[^\W\d_]+", plain)
    said = (_number(word) if word.isdecimal() else [_SAME.get(word, word)] for word in found)
    return [word for words_of_one in said for word in words_of_one]


def _number(digits: str) -> list[str]:
    """A number in words: whole up to 999,999, digit by digit beyond or after a leading zero."""
    value = int(digits)
    if value > 999_999 or (digits[0] == "0" and len(digits) > 1):
        return [_ONES[int(digit)] for digit in digits]
    thousands, rest = divmod(value, 1000)
    if thousands:
        return [*_number(str(thousands)), "thousand", *(_number(str(rest)) if rest else [])]
    hundreds, rest = divmod(value, 100)
    if hundreds:
        return [_ONES[hundreds], "hundred", *(_number(str(rest)) if rest else [])]
    if value < 20:
        return [_ONES[value]]
    return [_TENS[value // 10 - 2], *([_ONES[value % 10]] if value % 10 else [])]
