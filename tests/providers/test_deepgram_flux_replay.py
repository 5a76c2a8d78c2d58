"""What is left out when audio is heard again, and that every position is still found."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes.ledger import numbered, numbers
from voice_ai.codec.formats import PCM16_8K, PCM16_16K, ULAW_8K
from voice_ai.codec.g711 import ulaw_encode
from voice_ai.providers.deepgram.flux_places import Places
from voice_ai.providers.deepgram.flux_replay import Replay
from voice_ai.providers.deepgram.flux_silence import (
    FRAME_MS,
    KEPT_AFTER,
    KEPT_BEFORE,
    levels,
    long_pauses,
)
from voice_ai.providers.deepgram.turn_audio import TurnAudio

MS = 32  # octets
KEPT_MS = FRAME_MS * (KEPT_AFTER + KEPT_BEFORE)


def speech(n_ms: int, loudness: float = 8000) -> bytes:
    return (loudness * np.sin(np.arange(n_ms * 16) * 0.3)).astype("<i2").tobytes()


def silence(n_ms: int) -> bytes:
    return bytes(n_ms * MS)


def replay(audio: bytes) -> Replay:
    ring = TurnAudio(10**9, MS)
    ring.append(audio)
    return Replay(ring, PCM16_16K, trims=True)


def taken(audio: bytes, step: int = 80 * MS) -> list[int]:
    """Which milliseconds of all this are sent."""
    made = replay(numbered(audio))
    sent = b""
    while piece := made.take(step):
        sent += piece
    return [int(number) for number in numbers(sent)]


# Positions.


def test_without_a_jump_a_place_is_the_beginning_and_so_much() -> None:
    places = Places(700.0)
    assert [places.place(at_ms) for at_ms in (-100.0, 0.0, 250.0)] == [600.0, 700.0, 950.0]


def test_a_jump_is_behind_what_was_heard_up_to_it() -> None:
    places = Places(700.0)
    places.skip(100.0, 2000.0)
    assert [places.place(at_ms) for at_ms in (99.0, 100.0, 101.0)] == [799.0, 800.0, 2001.0]


def test_a_jump_before_anything_is_another_beginning() -> None:
    places = Places(700.0)
    places.skip(0.0, 900.0)
    places.skip(0.0, 1000.0)
    assert places.place(5.0) == 1005.0


@given(st.lists(st.tuples(st.integers(0, 500), st.integers(0, 5000)), max_size=20))
def test_places_never_go_back_and_each_millisecond_is_where_it_was(
    jumps: list[tuple[int, int]],
) -> None:
    places, at_ms, call_ms = Places(40.0), 0, 40
    was: list[int] = []  # where each millisecond of the connection ends in the call
    for n_ms, n_skipped in jumps:
        was += range(call_ms + 1, call_ms + n_ms + 1)
        at_ms, call_ms = at_ms + n_ms, call_ms + n_ms + n_skipped
        places.skip(at_ms, call_ms)
    found = [places.place(n + 1) for n in range(at_ms)]
    assert found == was and found == sorted(found)


# Pauses.


def test_no_frames_have_no_pause() -> None:
    assert long_pauses([]) == [] and levels(b"", PCM16_16K) == []
    assert levels(bytes(20 * MS - 1), PCM16_16K) == [] and levels(bytes(41), PCM16_8K) == []
    assert levels(bytes(2 * 320 + 1), PCM16_8K) == [0, 0]


def test_silence_without_speech_is_left_alone() -> None:
    assert long_pauses([0] * 1000) == []
    assert long_pauses([0] * 500 + [9000] * 4 + [0] * 500) == [], "a click"


def test_a_pause_that_goes_on_is_left_alone() -> None:
    assert long_pauses([9000] * 50 + [0] * 1000) == []


def test_of_a_long_pause_enough_is_kept_for_a_turn_to_end_in() -> None:
    assert long_pauses([9000] * 50 + [10] * 100 + [9000] * 50) == [(70, 140)]
    kept = KEPT_AFTER + KEPT_BEFORE
    assert long_pauses([9000] * 50 + [10] * kept + [9000] * 50) == []
    assert long_pauses([9000] * 50 + [10] * (kept + 1) + [9000] * 50) == [(70, 71)]


def test_what_is_not_far_below_the_speech_stays() -> None:
    assert long_pauses([9000] * 50 + [300] * 100 + [9000] * 50) == []


@pytest.mark.parametrize("loudness", [8000, 200])
def test_levels_are_the_same_in_both_formats(loudness: float) -> None:
    pcm = speech(100, loudness)
    narrow = np.frombuffer(pcm, "<i2")[::2].tobytes()
    assert levels(pcm, PCM16_16K) == pytest.approx([2 * loudness] * 5, rel=0.1)
    assert levels(bytes(ulaw_encode(narrow)), ULAW_8K) == pytest.approx([2 * loudness] * 5, rel=0.2)


# What is sent.


def test_a_long_pause_is_shortened_and_nothing_else() -> None:
    audio = speech(400) + silence(3000) + speech(400) + silence(3000)
    sent = taken(audio)
    assert sent == [*range(800), *range(3200, 6800)]


def test_silence_at_the_beginning_is_shortened() -> None:
    assert taken(silence(3000) + speech(400)) == [*range(400), *range(2800, 3400)]


def test_speech_that_comes_while_the_silence_before_it_waits_is_sent_sooner() -> None:
    ring = TurnAudio(10**9, MS)
    made = Replay(ring, PCM16_16K, trims=True)
    ring.append(numbered(silence(3000) + speech(400))[: 3000 * MS])
    sent = made.take(1000 * MS)
    ring.append(numbered(silence(3000) + speech(400))[3000 * MS :])
    sent += made.take(10**6)
    assert [int(number) for number in numbers(sent)] == [*range(1000), *range(2800, 3400)]
    assert made.place(1000.0) == 1000.0 and made.place(1001.0) == 2801.0


def test_once_it_has_caught_up_every_pause_is_sent() -> None:
    ring = TurnAudio(10**9, MS)
    ring.append(speech(400))
    made = Replay(ring, PCM16_16K, trims=True)
    assert len(made.take(10**6)) == 400 * MS
    ring.append(silence(3000) + speech(400))
    assert len(made.take(10**6)) == 3400 * MS


def test_what_is_no_replay_leaves_nothing_out() -> None:
    ring = TurnAudio(10**9, MS)
    ring.append(speech(400) + silence(3000) + speech(400))
    assert len(Replay(ring, PCM16_16K, trims=False).take(10**6)) == 3800 * MS


def test_what_the_ring_has_lost_is_a_jump_too() -> None:
    ring = TurnAudio(1000 * MS, MS)
    made = Replay(ring, PCM16_16K, trims=True)
    ring.append(speech(600))
    assert made.take(100 * MS) == speech(600)[: 100 * MS]
    assert ring.append(speech(900)) == 400 * MS
    made.lost()
    assert len(made.take(10**6)) == 1000 * MS
    assert made.place(100.0) == 100.0 and made.place(101.0) == 501.0


PARTS = st.lists(st.tuples(st.booleans(), st.integers(1, 60)), max_size=12)


@given(PARTS, st.integers(1, 400), st.integers(1, 400))
def test_however_it_comes_and_goes_all_speech_is_sent_once_and_found_again(
    parts: list[tuple[bool, int]], n_come: int, n_go: int
) -> None:
    pieces = [(speech if is_speech else silence)(20 * n) for is_speech, n in parts]
    audio = numbered(b"".join(pieces))
    ring = TurnAudio(10**9, MS)
    made = Replay(ring, PCM16_16K, trims=True)
    sent = b""
    for at in range(0, len(audio), n_come * MS):
        ring.append(audio[at : at + n_come * MS])
        sent += made.take(n_go * MS)
    while piece := made.take(n_go * MS):
        sent += piece
    places = [int(number) for number in numbers(sent)]
    assert places == sorted(set(places))
    is_quiet = (np.abs(np.frombuffer(audio, "<i2").reshape(-1, 16)).max(1) <= 1).tolist()
    skipped = set(range(len(audio) // MS)) - set(places)
    assert all(is_quiet[at] for at in skipped)
    assert [made.place(n + 1) for n in range(len(places))] == [at + 1 for at in places]
