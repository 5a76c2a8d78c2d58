"""Say how much of an answer can be spoken before its first sentence is finished.

The caller waits for the first sound, so the first piece is cut early: at a comma or another mark of
a clause, or after some words without one. Never where a voice would sound broken or a listener
would be misled: within a number, a price, a time, a date, an address or a name (each of its words
bears a digit, is a number, is an abbreviation or has a capital, as the word before it), and never
behind a word that leans on the next one ("the", "of", "and", "my", "will").

Without a mark, the cut is the last place where a phrase begins, with a preposition or a
conjunction, so that it falls between phrases and not within one ("the front | desk"). If the words
have none, more are awaited, and at last any place will do that is not forbidden.

A place is judged by the words at both of its sides. So the next word is awaited, but for the most
frequent case: a mark behind a word in small letters, with no number near it.
"""

from collections.abc import Sequence

# At a mark, and elsewhere: shorter ones sound clipped, and end before the next piece is made.
LEAST_AT_MARK = 3
LEAST = 4
# So many words more than asked for are awaited for a place between phrases.
PATIENCE = 4
# Places looked at before the last word; bounds the cost of a look.
_PLACES_BACK = 8
# Words within which a number makes a comma suspect: "12 Baker Street, London".
_NEAR = 4

_MARKS = ",;:\u2014\u2013"
_CLOSING = "\"')]\u201d\u2019\u00bb"
_OPENING = "\"'([\u201c\u2018\u00ab\u201e\u00bf\u00a1"
_CURRENCIES = frozenset("$\u20ac\u00a3\u00a5\u20b9")


def _sets(**words: str) -> dict[str, frozenset[str]]:
    return {language: frozenset(listed.split()) for language, listed in words.items()}


_BEGINNING = _sets(
    en="""about after and as at because before between but by during for from if in into nor on or
    since so than that through to under until when where whether which while who with
    without""",
    de="""aber als am an auf aus bei beim bevor bis damit dass denn der für im in mit nach nachdem
    ob obwohl oder seit sobald sondern um und unter vom von vor wann weil wenn wie wo während zu zum
    zur zwischen über""",
    es="""a al antes aunque como con cuando desde donde durante en entre hasta o para pero por
    porque que si sin sobre y e u""",
)
_LEANING = _sets(
    en="""a an the this that these those my your his her its our their some any no every each all
    of up i it we they he she there am is are was were be been being do does did has have had will
    would can could shall should may might must not very more less most too soon next just only also
    let's i'm i'll i've i'd we're we'll we've you're you'll you've it's that's there's mr mrs ms
    dr""",
    de="""der die das den dem des ein eine einen einem einer eines kein keine mein meine meinen
    meiner ihr ihre ihren ihrem ihrer unser unsere sein seine dein deine dieser diese dieses diesen
    ich wir sie er es man ist sind war waren bin wird werden werde wurde hat haben habe hatte kann
    können muss müssen soll sollte möchte nicht sehr mehr nur auch noch zu herr frau""",
    es="""el la los las un una unos unas mi mis tu tus su sus nuestro nuestra este esta estos estas
    ese esa del de lo se le les me te nos yo es son está están era fue ha han he hemos será puede
    puedo podemos voy vamos no muy más solo también ya señor señora""",
)
_NUMBERS = _sets(
    en="""zero oh one two three four five six seven eight nine ten eleven twelve thirteen fourteen
    fifteen sixteen seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty
    ninety hundred thousand million billion point half quarter double triple o'clock""",
    de="""null eins zwei drei vier fünf sechs sieben acht neun zehn elf zwölf dreizehn vierzehn
    fünfzehn sechzehn siebzehn achtzehn neunzehn zwanzig dreißig vierzig fünfzig sechzig siebzig
    achtzig neunzig hundert tausend million millionen komma halb viertel uhr""",
    es="""cero uno dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce quince
    dieciséis diecisiete dieciocho diecinueve veinte treinta cuarenta cincuenta sesenta setenta
    ochenta noventa cien ciento mil millón millones coma media cuarto punto""",
)
# What an address goes on with behind a comma; an extension belongs to its phone number.
_GOING_ON = frozenset(
    "apartment apt suite floor unit flat room building ext extension etage wohnung piso".split()
)
_NONE: frozenset[str] = frozenset()


def clause_end(
    words: Sequence[str], following: str | None, language: str = "en", most: int = 8
) -> int:
    """Return how many of an answer's first words can be spoken now; 0 if none yet.

    Args:
        words: the unfinished sentence's, with their punctuation; one may hold spaces and is whole.
        following: the word behind them, if it is known. It must not end the sentence.
        language: ISO 639-1 code. Where its words are not known, only marks make a clause.
        most: words without a mark after which a cut is looked for.

    Cost: microseconds, however many words there are.
    """
    n_words = len(words)
    if n_words >= LEAST_AT_MARK and _marked(words[-1]):
        good = _certain(words, language) if following is None else False
        good = good or (following is not None and _separable(words, following, language))
        return n_words if good else 0
    if following is None or n_words < most or language not in _BEGINNING:
        return 0
    return _between_words(words, following, language, n_words >= most + PATIENCE)


def _between_words(words: Sequence[str], following: str, language: str, at_last: bool) -> int:
    """The last place before a phrase; at last, any that is not forbidden."""
    n_words, other = len(words), 0
    for end in range(n_words, max(LEAST, n_words - _PLACES_BACK) - 1, -1):
        after = words[end] if end < n_words else following
        if _splits(words[end - 1], after, language):
            continue
        if _core(after) in _BEGINNING[language]:
            return end
        other = other or end
    return other if at_last else 0


def _splits(last: str, following: str, language: str) -> bool:
    """Whether a cut between two words, without a mark, breaks something."""
    leaning = _LEANING[language] | _BEGINNING[language]
    return (
        _marked(last)
        or _core(last) in leaning
        or not (_core(last) and _core(following))
        or last.rstrip(_CLOSING).endswith(".")
        or "." in following.rstrip(".")
        or _is_number(last, language)
        or _is_number(following, language)
        or (_has_capital(last) and _has_capital(following))
    )


def _certain(words: Sequence[str], language: str) -> bool:
    """Whether the mark behind the last word ends a clause, whatever follows."""
    last = words[-1].rstrip(_CLOSING)[:-1]
    if any(_is_number(word, language) for word in words[-_NEAR:]):
        return False
    return last.isalpha() and last.islower()


def _separable(words: Sequence[str], following: str, language: str) -> bool:
    """Whether the mark behind the last word ends a clause, given the word that follows."""
    last = words[-1].rstrip(_CLOSING + _MARKS) or words[-2]
    if last.endswith(".") or not _core(following) or _core(following) in _GOING_ON:
        return False
    if _is_number(following, language):
        return not (_is_number(last, language) or _has_capital(last))
    in_place = _has_capital(last) or any(_is_number(word, language) for word in words[-_NEAR:])
    return not (in_place and _has_capital(following))


def _marked(word: str) -> bool:
    return word == "-" or word.rstrip(_CLOSING).endswith(tuple(_MARKS))


def _core(word: str) -> str:
    """A word in small letters, without what stands around it; empty if it is no word."""
    core = word.strip(_OPENING + _CLOSING + _MARKS).lower()
    return core if any(map(str.isalnum, core)) else ""


def _is_number(word: str, language: str) -> bool:
    if any(char.isdigit() or char in _CURRENCIES for char in word):
        return True
    numbers = _NUMBERS.get(language, _NONE)
    return any(part in numbers for part in _core(word).split("-"))


def _has_capital(word: str) -> bool:
    core = word.lstrip(_OPENING)
    return core[:1].isupper() and core.partition("'")[0] != "I"
