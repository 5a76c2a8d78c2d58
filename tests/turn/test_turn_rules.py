"""What is no turn of anybody's: transcripts without words, and backchannels in four languages."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice_ai.turn.rules import BACKCHANNELS, Rules, has_words

MURMURS = {
    "en": ["Mhm.", "mm-hmm", "Mm-hmm, mm-hmm.", "Uh-huh", "UH-HUH!", "Okay, okay, okay", "I see."]
    + ["Oh, I see. Okay, got it.", "all right", "Yeah, uh-huh, right.", "Hmm…", "OK", "um"],
    "de": ["Ähm.", "ähm", "Ach so!", "Ach so, alles klar.", "hm-hm", "Mhm, genau.", "uh-huh"],
    "es": ["Ajá.", "Vale, vale.", "¡Claro!", "Ya veo...", "mm-hmm"],
    "fr": ["Très bien.", "TRÈS BIEN !", "D’accord.", "d'accord, d'accord", "Euh… ouais"],
}
ANSWERS = {
    "en": ["Yes.", "No", "Okay, but", "I see him", "huh?", "Got", "Right now", "okay 5", "see"],
    "de": ["Ja.", "Nein.", "ach", "so", "klar", "Alles", "Ähm, am Sonntag"],
    "es": ["Sí", "No", "Vale, el lunes"],
    "fr": ["Oui", "Non", "bien", "très", "Très bien mais"],
}


@pytest.mark.parametrize("transcript", ["", " ", "...", "¿?", "\u0308", "-'-"])
def test_no_words_are_no_backchannel(transcript: str) -> None:
    assert not has_words(transcript)
    assert not Rules().is_backchannel(transcript)


def pairs(said: dict[str, list[str]]) -> list[tuple[str, str]]:
    return [(language, text) for language, texts in said.items() for text in texts]


@pytest.mark.parametrize(("language", "transcript"), pairs(MURMURS))
def test_a_backchannel(language: str, transcript: str) -> None:
    rules = Rules(backchannels=BACKCHANNELS[language])
    for form in ("NFC", "NFD"):
        assert rules.is_backchannel(unicodedata.normalize(form, transcript))


@pytest.mark.parametrize(("language", "transcript"), pairs(ANSWERS))
def test_an_answer_is_no_backchannel(language: str, transcript: str) -> None:
    assert not Rules(backchannels=BACKCHANNELS[language]).is_backchannel(transcript)


def test_every_listed_one_is_recognised_as_it_stands() -> None:
    for listed in BACKCHANNELS.values():
        assert all(Rules(backchannels=listed).is_backchannel(words) for words in listed)


def test_without_a_list_everything_is_a_turn() -> None:
    assert not Rules(backchannels=frozenset()).is_backchannel("mhm")


@given(st.lists(st.sampled_from(sorted(BACKCHANNELS["en"])), min_size=1), st.sampled_from(" ,.-!"))
def test_any_row_of_backchannels_is_one_until_a_word_is_among_them(row: list[str], by: str) -> None:
    rules = Rules()
    assert rules.is_backchannel(f"{by} ".join(row).upper())
    assert not rules.is_backchannel(f"{by} ".join([*row, "Sunday"]))
    assert not rules.is_backchannel(f"{by} ".join(["Sunday", *row]))
