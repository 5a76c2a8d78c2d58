"""Turns over several connections: numbers, places, words; then a thousand drops in mid-speech."""

import json
import random
from typing import Any

import pytest

from fakes.spoken import RATE_HZ, WORDS, WordEar, spoken
from voice_ai.codec.formats import PCM16_16K
from voice_ai.providers.deepgram.flux_places import Places
from voice_ai.providers.deepgram.flux_replay import Replay
from voice_ai.providers.deepgram.flux_turns import COUGH_MS, TURN_LEAD_MS, FluxTurns, Told
from voice_ai.providers.deepgram.turn_audio import TurnAudio
from voice_ai.turn.events import (
    EagerEndOfTurn,
    EndOfTurn,
    SpeechEvent,
    StartOfTurn,
    TurnResumed,
    Update,
)
from voice_ai.wire.flux import TurnInfo, parse_flux

PER_MS = RATE_HZ // 1000 * 2


def told(
    event: str, words: str = "", *, at_s: float, turn: int = 0, offset_ms: float = 0, **more: Any
) -> Told:
    """Make a message; each word lasts 0.4 s and the last ends where the window does."""
    texts = words.split()
    begin_s = more.pop("begin_s", at_s - 0.4 * len(texts))
    timed = [] if begin_s is None else texts
    fields = {
        "type": "TurnInfo",
        "event": event,
        "turn_index": turn,
        "audio_window_start": 0.0,
        "audio_window_end": at_s,
        "transcript": words,
        # None of them has a place where `begin_s` is None.
        "words": [
            {"word": text, "start": begin_s + 0.4 * n, "end": begin_s + 0.4 * n + 0.3}
            for n, text in enumerate(timed)
        ],
    }
    data = json.dumps(fields | more)
    info = parse_flux(data)
    assert isinstance(info, TurnInfo)
    return Told(info, data, Places(offset_ms).place, sent_ms=1e9)


# Without much to tell.


def test_a_loss_before_anything_was_heard_asks_for_everything() -> None:
    turns = FluxTurns()
    assert turns.lose() == 0.0
    assert turns.hear(told("StartOfTurn", at_s=0.1)) == StartOfTurn(1)


def test_a_loss_in_silence_asks_for_a_little_before_it() -> None:
    turns = FluxTurns()
    assert turns.hear(told("Update", at_s=5.0)) is None
    assert turns.heard_ms == 5000 and not turns.in_turn
    assert turns.needed_ms == 5000 - TURN_LEAD_MS
    assert turns.lose() == 5000 - TURN_LEAD_MS


def test_a_loss_after_a_turn_does_not_ask_for_that_turn() -> None:
    turns = FluxTurns()
    turns.hear(told("StartOfTurn", at_s=1.0))
    end = turns.hear(told("EndOfTurn", "hello", at_s=2.0))
    assert end == EndOfTurn(1, "hello", pytest.approx(1900.0), 2000.0)
    assert turns.lose() == 2000.0
    assert turns.hear(told("StartOfTurn", at_s=0.5, offset_ms=2000)) == StartOfTurn(2)
    end = turns.hear(told("EndOfTurn", "bye", at_s=2.0, offset_ms=2000))
    assert end == EndOfTurn(2, "bye", pytest.approx(3900.0), 4000.0)


def test_two_losses_in_a_row_ask_for_the_same() -> None:
    turns = FluxTurns()
    turns.hear(told("StartOfTurn", at_s=1.0))
    turns.hear(told("Update", "one two three four five six", at_s=3.0))
    assert turns.lose() == turns.lose() == turns.lose()


def test_a_false_start_is_told_again_by_the_same_connection() -> None:
    turns = FluxTurns()
    assert turns.hear(told("StartOfTurn", at_s=1.0)) == StartOfTurn(1)
    assert turns.hear(told("StartOfTurn", at_s=3.0)) == StartOfTurn(1)
    assert turns.lose() == 3000 - TURN_LEAD_MS


def test_a_cough_long_ago_is_not_heard_again() -> None:
    turns = FluxTurns()
    turns.hear(told("StartOfTurn", at_s=1.0))
    turns.hear(told("Update", at_s=1.1 + COUGH_MS / 1000))
    assert turns.lose() == pytest.approx(1100 + COUGH_MS - TURN_LEAD_MS)


@pytest.mark.parametrize("event", ["TurnPondered", ""])
def test_an_unknown_event_is_nothing(event: str) -> None:
    assert FluxTurns().hear(told(event, "hm", at_s=1.0)) is None


def test_a_message_about_a_turn_that_has_ended_is_nothing() -> None:
    turns = FluxTurns()
    turns.hear(told("EndOfTurn", "hello", at_s=2.0))
    assert turns.hear(told("Update", "hello", at_s=2.1)) is None


def test_a_window_that_ends_after_all_audio_is_cut_to_it() -> None:
    turns = FluxTurns()
    message = told("Update", at_s=1e6)
    turns.hear(Told(message.info, message.data, Places(0.0).place, sent_ms=480.0))
    assert turns.heard_ms == 480.0


# A turn that two connections heard.


def broken_off() -> FluxTurns:
    """Five words told by 3 s, the first from 1.0 s on; the cut lies before the third, at 1.75."""
    turns = FluxTurns()
    turns.hear(told("StartOfTurn", at_s=1.2))
    turns.hear(told("Update", "Book me a table now", at_s=3.0))
    assert turns.lose() == pytest.approx(1750 - 300)
    return turns


def test_words_before_the_cut_stand_and_others_are_the_new_connections() -> None:
    turns = broken_off()
    more = told("Update", "me a table today please", at_s=2.6, begin_s=-0.1, offset_ms=1450)
    assert turns.hear(more) == Update(1, "Book me a table today please")


def test_what_is_heard_again_is_no_news() -> None:
    turns = broken_off()
    assert turns.hear(told("StartOfTurn", at_s=0.3, offset_ms=1450)) is None
    assert turns.hear(told("Update", "a", at_s=0.9, offset_ms=1450)) is None
    assert turns.hear(told("EagerEndOfTurn", "a", at_s=1.0, offset_ms=1450)) is None
    assert turns.hear(told("TurnResumed", at_s=1.1, offset_ms=1450)) is None
    news = told("TurnResumed", at_s=1.6, offset_ms=1450)
    assert turns.hear(news) == TurnResumed(1)


def test_an_eager_end_and_the_end_say_the_same() -> None:
    turns = broken_off()
    words = {"begin_s": 0.3, "offset_ms": 1450}
    assert turns.hear(told("EagerEndOfTurn", "a desk", at_s=2.0, **words)) == EagerEndOfTurn(
        1, "Book me a desk"
    )
    end = turns.hear(told("EndOfTurn", "a desk", at_s=2.2, **words))
    assert end == EndOfTurn(1, "Book me a desk", pytest.approx(2450.0), pytest.approx(3650.0))
    # The next turn has nothing of it.
    assert turns.hear(told("StartOfTurn", at_s=3, turn=1, offset_ms=1450)) == StartOfTurn(2)
    next_ = told("Update", "One more", at_s=4.0, turn=1, offset_ms=1450)
    assert turns.hear(next_) == Update(2, "One more")


def test_a_turn_that_the_new_connection_ends_early_goes_on_as_another() -> None:
    turns = broken_off()
    assert turns.hear(told("EndOfTurn", "a table", at_s=1.3, begin_s=0.3, offset_ms=1450)) == (
        EndOfTurn(1, "Book me a table", pytest.approx(2450.0), pytest.approx(2750.0))
    )
    assert turns.hear(told("Update", "now", at_s=1.7, turn=1, offset_ms=1450)) == Update(2, "now")


def test_a_third_connection_adds_to_the_second() -> None:
    turns = broken_off()
    turns.hear(told("Update", "a table for two at nine", at_s=3.0, begin_s=0.3, offset_ms=1450))
    # Heard to 4.45 s; "a" begins at 1.75, "two" at 2.95, "at" at 3.35: the cut is before "two".
    assert turns.lose() == pytest.approx(3350 - 50 - 300)
    more = told("Update", "at ten", at_s=2.0, begin_s=0.4, offset_ms=3000)
    assert turns.hear(more) == Update(1, "Book me a table for two at ten")


def test_where_no_word_has_a_place_all_of_the_turn_is_heard_again() -> None:
    turns = FluxTurns()
    turns.hear(told("StartOfTurn", at_s=1.5))
    turns.hear(told("Update", "Book me a table", at_s=4.0, begin_s=None))
    assert turns.lose() == 1500 - TURN_LEAD_MS
    more = told("Update", "Book me a table now", at_s=3.8, offset_ms=700)
    assert turns.hear(more) == Update(1, "Book me a table now")


def test_a_finished_sentence_and_silence_are_heard_again_from_its_last_words() -> None:
    turns = FluxTurns()
    turns.hear(told("StartOfTurn", at_s=1.2))
    turns.hear(told("Update", "Book me a table now", at_s=3.0))
    turns.hear(told("Update", "Book me a table now", at_s=5.0, begin_s=1.0))
    assert turns.lose() == pytest.approx(2150 - 300)  # "table" begins at 2.2


# A thousand drops.


class Caller:
    """Audio in real time through the ring to an ear; everything by counting, no clock."""

    def __init__(self, eager: bool, wrong_ms: int) -> None:
        self.turns = FluxTurns()
        self.ring = TurnAudio(15_000 * PER_MS, PER_MS)
        self.eager = eager
        self.wrong_ms = wrong_ms
        self.events: list[SpeechEvent] = []
        self.may_send = 0.0
        self.connect()

    def connect(self) -> None:
        self.replay = Replay(self.ring, PCM16_16K, trims=True)
        self.may_send = 0.0
        self.ear: WordEar | None = WordEar(RATE_HZ, False, lambda *_: "", 400, self.eager)
        self.ear.wrong_ms = self.wrong_ms

    def lose(self) -> None:
        self.ear = None
        self.ring.rewind(self.turns.lose() * PER_MS)

    def say(self, audio: bytes, n_untold: int = 0) -> None:
        """Say a piece; the last messages about it are lost on the way."""
        assert not self.ring.append(audio)
        if self.ear is None:
            return
        self.may_send += 1.25 * len(audio)
        piece = self.replay.take(min(self.ring.n_unsent, int(self.may_send)))
        self.may_send = self.may_send - len(piece) if self.ring.n_unsent else 0.0
        messages = list(self.ear.feed(piece))
        for message in messages[: len(messages) - n_untold]:
            self.hear(json.dumps(message))

    def hear(self, data: str) -> None:
        info = parse_flux(data)
        assert isinstance(info, TurnInfo)
        told = Told(info, data, self.replay.place, self.ring.sent / PER_MS)
        event = self.turns.hear(told)
        self.ring.forget(self.turns.needed_ms * PER_MS)
        if event is not None:
            self.events.append(event)

    @property
    def said(self) -> list[str]:
        return [it.transcript for it in self.events if isinstance(it, EndOfTurn)]


def call(
    audio: bytes, drops: list[tuple[int, int, int]], *, eager: bool = False, wrong_ms: int = 0
) -> Caller:
    """Say it all; a drop is at a position, for a time, with so many messages lost (ms, ms, n)."""
    caller = Caller(eager, wrong_ms)
    size = 80 * PER_MS
    back_ms = -1
    for n in range(len(audio) // size):
        at_ms = n * 80
        lost = 0
        if drops and at_ms >= drops[0][0] and caller.ear is not None:
            lost = drops[0][2]
        caller.say(audio[n * size : (n + 1) * size], lost)
        if drops and at_ms >= drops[0][0] and caller.ear is not None:
            caller.lose()
            back_ms = at_ms + drops.pop(0)[1]
        if caller.ear is None and at_ms >= back_ms:
            caller.connect()
    return caller


def check_stories(events: list[SpeechEvent]) -> None:
    """Numbers rise, nothing follows an end, and words are not taken back."""
    ended, n_words = 0, 0
    for event in events:
        assert event.stream_turn == ended + 1
        match event:
            case EndOfTurn():
                ended, n_words = event.stream_turn, 0
            case Update(_, transcript) if transcript:
                assert len(transcript.split()) >= n_words - 1
                n_words = len(transcript.split())


@pytest.mark.parametrize(("gap_ms", "wrong_ms"), [(60, 0), (0, 0), (60, 80), (0, 60)])
def test_a_thousand_drops_in_mid_speech_lose_no_word(gap_ms: int, wrong_ms: int) -> None:
    rng = random.Random(4)
    first, second = WORDS[:14], WORDS[14:22]
    gap, tail = bytes(2000 * PER_MS), bytes(9000 * PER_MS)
    audio = bytes(960 * PER_MS) + spoken(first, gap_ms) + gap + spoken(second, gap_ms) + tail
    n_wrong = 0
    for n in range(63):
        drops = [
            (rng.randrange(900, 9500), rng.choice([0, 80, 300, 1000]), rng.randrange(3))
            for _ in range(4)
        ]
        caller = call(audio, sorted(drops), eager=n % 2 == 0, wrong_ms=wrong_ms)
        check_stories(caller.events)
        n_wrong += " ".join(caller.said).split() != first + second
    assert n_wrong == 0


def test_positions_are_those_of_the_call_whatever_was_lost() -> None:
    audio = bytes(960 * PER_MS) + spoken(WORDS[:8]) + bytes(4000 * PER_MS)
    unbroken, broken = (
        [it for it in call(audio, drops).events if isinstance(it, EndOfTurn)]
        for drops in ([], [(2000, 80, 0), (3000, 300, 1)])
    )
    assert len(unbroken) == len(broken) == 1
    assert broken[0].speech_end_ms == pytest.approx(unbroken[0].speech_end_ms, abs=25)
    assert broken[0].decided_ms == pytest.approx(unbroken[0].decided_ms, abs=25)
