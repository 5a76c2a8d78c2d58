"""What a voice is given for a word."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice_ai.turn.speakable import speakable

FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
FLAG = "\U0001f1ec\U0001f1e7"
ENGLAND = "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f"


@pytest.mark.parametrize(
    "word",
    [
        "",
        "\U0001f600",
        "\U0001f44d\U0001f3fd",
        FAMILY,
        FLAG,
        ENGLAND,
        "\u2764\ufe0f\u2764\ufe0f",
        "\u2705",
        "\u2191",
        ":)",
        ";-)",
        ":D",
        "()",
        "(\U0001f600)",
        "\u200b",
        "\ufeff",
        "\ud83d",
        "\ue000",
        "\x00",
        "\u2122",
    ],
)
def test_nothing_to_say(word: str) -> None:
    assert speakable(word) == ""


@pytest.mark.parametrize(
    "word",
    "word Word, it's caf\u00e9. na\u00efve twenty-five a.m. Dr. 3.5 1,250 $12.50 \u20ac5 5:30 9-5 "
    "9\u20135 555-0134 (415) +1 +44 7/8 and/or AT&T R&D C++ 18+ -5 A40 X-ray \u201cso\u201d 'tis "
    "\u00bfQu\u00e9 ... ?! ! - \u2014 \u00bd m\u00b2 \u4f60\u597d \u0414\u0430 Node.js e.g. U.S. "
    "report.pdf @home www. https:// a@b 100%ig \u0915\u094d\u200d\u0937".split(),
)
def test_left_to_the_voice(word: str) -> None:
    assert speakable(word) == word


@pytest.mark.parametrize(
    ("word", "spoken"),
    [
        ("Hi\U0001f44bthere", "Hi there"),
        (f"\u201c{FAMILY}Hi!\u201d{FLAG}", "\u201cHi!\u201d"),
        ("Hi!\U0001f44b\U0001f3fdMay", "Hi! May"),
        ("1\ufe0f\u20e3", "1"),
        ("\U0001f600!", "!"),
        ("Acme\u2122,", "Acme,"),
        ("\U0001d5ef\U0001d5fc\U0001d5f9\U0001d5f1", "bold"),
        ("so\u00adme\u200b", "some"),
        ("a\u00a0b", "a b"),
        ("\u22125", "-5"),
    ],
)
def test_emoji_and_what_is_not_seen(word: str, spoken: str) -> None:
    assert speakable(word) == spoken


@pytest.mark.parametrize(
    ("word", "spoken"),
    [
        ("Wow!!!", "Wow!"),
        ("What??", "What?"),
        ("What?!?!", "What?!"),
        ("No!?!", "No!?"),
        ("so,,", "so,"),
        ("wait\u2026", "wait..."),
        ("wait.....", "wait..."),
        ("so..", "so.."),
        ("wait\u2026what", "wait...what"),
        ("5\u2026!!", "5...!"),
    ],
)
def test_marks_that_are_repeated(word: str, spoken: str) -> None:
    assert speakable(word) == spoken


@pytest.mark.parametrize(
    ("word", "spoken"),
    [
        ("example.org", "example dot org"),
        ("example.org.", "example dot org."),
        ("(Example.com),", "(Example dot com),"),
        ("Example.com's", "Example dot com's"),
        ("docs.example.co.uk", "docs dot example dot co dot uk"),
        ("www.harbour-street.example", "harbour dash street dot example"),
        ("https://example.org", "example dot org"),
        ("HTTPS://WWW.Example.org/", "Example dot org"),
        ("http://127.0.0.1:8000/health", "127 dot 0 dot 0 dot 1 slash health"),
        ("https://example.org/opening-hours", "example dot org slash opening dash hours"),
        ("example.org/help/2026.html", "example dot org slash help slash 2026"),
        ("https://example.org/a-b?x=1#top", "example dot org slash a dash b"),
        ("https://example.org?x=1,", "example dot org,"),
        ("https://example.org/d/e/1FAIpQLSd/viewform", "example dot org"),
        ("https://example.org/d/1FAIpQLSd", "example dot org"),
        ("https://example.org/" + "so" * 20, "example dot org"),
        ("a.b@c.org", "a dot b at c dot org"),
        (
            "mailto:first_last+x@my-shop.co.uk,",
            "first underscore last plus x at my dash shop dot co dot uk,",
        ),
    ],
)
def test_addresses(word: str, spoken: str) -> None:
    assert speakable(word) == spoken


@pytest.mark.parametrize(
    ("word", "spoken"),
    [
        ("&", "and"),
        ("5%,", "5 percent,"),
        ("%", "percent"),
        ("9\u201310%", "9\u201310 percent"),
        ("25\u00b0C.", "25 degrees Celsius."),
        ("77\u2109", "77 degrees Fahrenheit"),
        ("45\u00b0", "45 degrees"),
        ("\u00b0C", "degrees Celsius"),
        ("\u2192", "to"),
        ("A\u2192B", "A to B"),
        ("->", "to"),
        ("a->b", "a to b"),
        ("=>", "to"),
        ("=", "equals"),
        ("2+2=4", "2 plus 2 equals 4"),
        ("3*4", "3 times 4"),
        ("3\u00d74", "3 times 4"),
        ("~5", "about 5"),
        ("\u2248$5", "about $5"),
        ("\u226518", "at least 18"),
        ("<5", "less than 5"),
        ("#5", "number 5"),
        ("(#5)", "(number 5)"),
        ("#", "pound"),
        ("*", "star"),
        ("24/7.", "24 7."),
        ("snake_case", "snake case"),
    ],
)
def test_symbols(word: str, spoken: str) -> None:
    assert speakable(word) == spoken


@pytest.mark.parametrize(
    ("language", "word", "spoken"),
    [
        ("de", "info@praxis-nord.de", "info at praxis minus nord Punkt de"),
        ("de", "5%", "5 Prozent"),
        ("de", "&", "und"),
        ("de", "3,5", "3,5"),
        ("es", "a.b@clinica.es", "a punto b arroba clinica punto es"),
        ("es", "25\u00b0C", "25 grados Celsius"),
        ("es", "\u00bfQu\u00e9??", "\u00bfQu\u00e9?"),
        ("sv", "https://www.example.org/x", "example.org/x"),
        ("sv", "a@example.org", "a@example.org"),
        ("sv", "5%", "5%"),
        ("sv", "\u2192", "\u2192"),
    ],
)
def test_languages(language: str, word: str, spoken: str) -> None:
    assert speakable(word, language) == spoken


@given(st.text(max_size=30), st.sampled_from(["en", "de", "es", "sv"]))
def test_what_is_said_can_be_sent_and_is_said_the_same_again(word: str, language: str) -> None:
    spoken = speakable(word, language)
    assert spoken == " ".join(spoken.split())
    assert spoken.isprintable() or re.search("[\u200c\u200d\u2028\u2029]", spoken)
    spoken.encode()


@given(st.text("abcdefgh\u00e4\u00f6\u00fc\u00df\u00f1", min_size=1))
def test_letters_stay(word: str) -> None:
    assert speakable(word) == word
