"""Say in words what a voice stumbles over: addresses, symbols, emoji; one word of a text at a time.

What voices read well is left to them: numbers, prices, dates, times, phone numbers, abbreviations,
quotation marks. What they read badly, and each in another way, is written out or left out:

- The address of a page as it is dictated: "example dot org slash opening dash hours". Nobody writes
  down more than that by ear, so a path that is deep, long or not words is left out, and so are the
  scheme, "www" and whatever follows a question mark. A mail address is said whole.
- Symbols at a number ("5%", "~20") or alone ("&", "°C"; "*" and "#" are keys of the phone then).
- Emoji and emoticons are not said. The digit of a keycap is: in "press 1️⃣" it is the word.
- An ellipsis is three dots (a pause to Aura: Deepgram, "Text to Speech Prompting", "Pauses"), and a
  mark repeated for emphasis stands once.

Addresses and symbols have words in English, German and Spanish. In other languages they stay, and
the voice does what it can.
"""

import re
import unicodedata

_ADDRESS = {
    "en": {".": "dot", "@": "at", "/": "slash", "-": "dash", "_": "underscore", "+": "plus"},
    "de": {".": "Punkt", "@": "at", "/": "Slash", "-": "minus", "_": "Unterstrich", "+": "plus"},
    "es": {".": "punto", "@": "arroba", "/": "barra", "-": "guion", "_": "guion bajo", "+": "más"},
}
_ANYWHERE = {
    "en": {"&": "and", "%": "percent", "°": "degrees", "→": "to"}
    | {"°C": "degrees Celsius", "°F": "degrees Fahrenheit"}
    | {"=": "equals", "+": "plus", "×": "times", "÷": "divided by", "±": "plus or minus"}
    | {"<": "less than", ">": "more than", "≤": "at most", "≥": "at least"}
    | {"~": "about", "≈": "about"},
    "de": {"&": "und", "%": "Prozent", "°": "Grad", "→": "nach"}
    | {"°C": "Grad Celsius", "°F": "Grad Fahrenheit"}
    | {"=": "gleich", "+": "plus", "×": "mal", "÷": "geteilt durch", "±": "plus minus"}
    | {"<": "weniger als", ">": "mehr als", "≤": "höchstens", "≥": "mindestens"}
    | {"~": "etwa", "≈": "etwa"},
    "es": {"&": "y", "%": "por ciento", "°": "grados", "→": "a"}
    | {"°C": "grados Celsius", "°F": "grados Fahrenheit"}
    | {"=": "igual a", "+": "más", "×": "por", "÷": "entre", "±": "más menos"}
    | {"<": "menos de", ">": "más de", "≤": "como mucho", "≥": "al menos"}
    | {"~": "unos", "≈": "unos"},
}
_ALONE = {
    "en": _ANYWHERE["en"] | {"*": "star", "#": "pound"},
    "de": _ANYWHERE["de"] | {"*": "Stern", "#": "Raute"},
    "es": _ANYWHERE["es"] | {"*": "asterisco", "#": "almohadilla"},
}
_AT_NUMBER = {
    "en": _ANYWHERE["en"] | {"*": "times", "#": "number"},
    "de": _ANYWHERE["de"] | {"*": "mal", "#": "Nummer"},
    "es": _ANYWHERE["es"] | {"*": "por", "#": "número"},
}
_SYMBOL_AT_NUMBER = re.compile(
    r"(?<=\d)(?:%|°[CF]?)(?![\w-])|(?<!\w)[~≈±≤≥<>#](?=[$€£]?\d)|(?<=\d)[*×÷=+](?=\d)"
)

# Latin letters only: others may be what stands for them ("𝗯𝗼𝗹𝗱").
_ORDINARY = re.compile("[A-Za-zÀ-ÖØ-öø-ɏ]+(?:['’-][A-Za-zÀ-ÖØ-öø-ɏ]+)*[.,!?;:]?")
_OPENING = "([{\"'“‘«„¿¡"
_CLOSING = ".,!?;:…)]}\"'”’»“"
_EMOTICON = re.compile(r"[:;][-']?[)(DPpOo|/\\*]+|\^_*\^|\(\)")
_ARROW = re.compile("[-=]+>")
_MAIL = re.compile(r"(?:mailto:)?([\w.+-]+@[\w-]+(?:\.[\w-]+)+)")
_PAGE = re.compile(
    r"(?:https?://(?:www\.)?([\w.-]+)|www\.([\w.-]+)|((?:[\w-]+\.)+(?:com|org|net|edu|gov|info|io|app"
    r"|dev|ai|eu|uk|de|es|fr|nl|ch)))(?::\d+)?(/[^?#]*)?(?:[?#].*)?",
    re.IGNORECASE,
)
_SPOKEN_PATH = re.compile(r"(?:/(?:[A-Za-z]?[a-z]+(?:-[a-z]+){0,2}|\d{1,4})){1,2}")
_MAX_PATH = 32
_POSSESSIVE = re.compile("['’]s$")

# Stands for what is not said, while joiners around it are looked for.
_SILENT = "\ufffc"
_SILENCE = f"\u200d*{_SILENT}[\u200d{_SILENT}]*"
_SILENCE_BETWEEN = re.compile(f"(?<=[^\u200d{_SILENT}(\"'“‘]){_SILENCE}(?=\\w)")
_SILENCE_AT_END = re.compile(f"(?<!\u200d){_SILENCE}")
_JOINERS = "\u200c\u200d"


def _sound(char: str) -> str:
    """What is left of a character that is not ASCII."""
    code, category = ord(char), unicodedata.category(char)
    if char in _JOINERS:
        return char
    if category in ("Cc", "Cf", "Co", "Cs", "Me") or 0xFE00 <= code <= 0xFE0F:
        return ""
    if category in ("So", "Cn") or 0x1F3FB <= code <= 0x1F3FF or 0x2190 <= code <= 0x21FF:
        return _SILENT
    if 0x1D400 <= code <= 0x1D7FF:
        return unicodedata.normalize("NFKC", char)
    return char


class _Sounds(dict[int, str]):
    """`_sound` for str.translate, looked up once a character."""

    def __missing__(self, code: int) -> str:
        self[code] = sound = _sound(chr(code))
        return sound


_SOUNDS = _Sounds(
    {ord(arrow): " → " for arrow in "→⇒➔➜➡⟶⟹"}
    | {ord(sign): "" for sign in "©®™℠"}
    | {ord("°"): "°", ord("℃"): "°C", ord("℉"): "°F", ord("…"): "...", ord("−"): "-", ord("‑"): "-"}
)


def speakable(word: str, language: str = "en") -> str:
    """Return a word of a text as a voice shall have it: perhaps several words, perhaps none.

    Args:
        word: without white space and without marks of Markdown.
        language: ISO 639-1 code.

    Cost: linear in the word's length; half a microsecond for a word of letters.
    """
    if _ORDINARY.fullmatch(word):
        return word
    if not (word.isascii() and word.isprintable()):
        word = _SILENCE_BETWEEN.sub(" ", word.translate(_SOUNDS))
        word = _SILENCE_AT_END.sub("", word)
    if ">" in word:
        word = _ARROW.sub(" → ", word)
    return " ".join(filter(None, (_spoken(part, language) for part in word.split())))


def _spoken(word: str, language: str) -> str:
    if _EMOTICON.fullmatch(word):
        return ""
    core = word.rstrip(_CLOSING)
    tail = _once(word[len(core) :])
    if possessive := _POSSESSIVE.search(core):
        core, tail = core[: possessive.start()], possessive[0] + tail
    said = core.lstrip(_OPENING)
    head = core[: len(core) - len(said)]
    return head + (_address(said, language) or _symbols(said, language)) + tail


def _address(text: str, language: str) -> str:
    """A page's or a mailbox's address as it is dictated; empty if the text is none."""
    if "@" in text and (mail := _MAIL.fullmatch(text)):
        return _dictated(mail[1], language)
    if "." in text and (page := _PAGE.fullmatch(text)):
        path = (page[4] or "").rstrip("/").removesuffix(".html")
        if len(path) > _MAX_PATH or not _SPOKEN_PATH.fullmatch(path):
            path = ""
        return _dictated((page[1] or page[2] or page[3]) + path, language)
    return ""


def _dictated(address: str, language: str) -> str:
    words = _ADDRESS.get(language, {})
    return " ".join("".join(f" {words[c]} " if c in words else c for c in address).split())


def _symbols(text: str, language: str) -> str:
    if language in _ALONE:
        if text in _ALONE[language]:
            return _ALONE[language][text]
        words = _AT_NUMBER[language]
        text = _SYMBOL_AT_NUMBER.sub(lambda sign: f" {words[sign[0]]} ", text)
    text = text.replace("24/7", "24 7").replace("_", " ")
    return " ".join(_once(text).split())


def _once(text: str) -> str:
    """Marks that are repeated, once; but an ellipsis whole."""
    text = re.sub(r"\.{4,}", "...", text)
    text = re.sub(r"([!?,;:])\1+", r"\1", text)
    return re.sub(r"(\?!|!\?)[!?]+", r"\1", text)
