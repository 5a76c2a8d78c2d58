"""Twilio's outbound buffer: empty first, then in order, then anything."""

from hypothesis import given
from hypothesis import strategies as st

from voice_ai.phone.buffer import MAX_OCTETS, PlayoutBuffer


def test_an_empty_buffer_plays_nothing():
    assert PlayoutBuffer().play() == (b"", [])


def test_a_mark_on_an_empty_buffer_comes_back_at_once():
    assert PlayoutBuffer().mark("a") == ["a"]


def test_clear_on_an_empty_buffer_is_nothing():
    buffer = PlayoutBuffer()
    assert buffer.clear() == []
    assert buffer.n_octets == 0


def test_a_mark_comes_back_with_the_frame_that_plays_the_last_sound_before_it():
    buffer = PlayoutBuffer()
    buffer.media(b"a" * 320)
    assert buffer.mark("end") == []
    assert buffer.play() == (b"a" * 160, [])
    assert buffer.play() == (b"a" * 160, ["end"])
    assert buffer.play() == (b"", [])


def test_marks_without_sound_between_them_come_back_together_and_in_order():
    buffer = PlayoutBuffer()
    buffer.media(b"a" * 100)
    assert buffer.mark("1") == buffer.mark("2") == []
    buffer.media(b"b" * 10)
    buffer.mark("3")
    assert buffer.play(105) == (b"a" * 100 + b"b" * 5, ["1", "2"])
    assert buffer.play(105) == (b"b" * 5, ["3"])


def test_clear_returns_every_mark_and_what_comes_after_is_played():
    buffer = PlayoutBuffer()
    buffer.media(b"a" * 1600)
    buffer.mark("1")
    buffer.media(b"a" * 1600)
    buffer.mark("2")
    buffer.play()
    assert buffer.clear() == ["1", "2"]
    assert buffer.n_octets == 0
    buffer.media(b"b")
    assert buffer.mark("3") == []
    assert buffer.play() == (b"b", ["3"])


def test_more_than_ten_minutes_are_thrown_away():
    buffer = PlayoutBuffer()
    assert buffer.media(b"a" * (MAX_OCTETS - 1)) == 0
    assert buffer.media(b"bcd") == 2
    assert buffer.media(b"e") == 1
    assert buffer.play(MAX_OCTETS)[0] == b"a" * (MAX_OCTETS - 1) + b"b"


def test_a_mark_behind_sound_that_was_thrown_away_comes_back_with_the_last_that_fitted():
    buffer = PlayoutBuffer(max_octets=100)
    buffer.media(b"a" * 150)
    buffer.mark("full")
    assert buffer.play(99)[1] == []
    assert buffer.play(1)[1] == ["full"]


actions = st.lists(
    st.tuples(st.sampled_from(["media", "mark", "clear", "play"]), st.integers(1, 400)), max_size=40
)


@given(actions)
def test_sound_keeps_its_order_and_each_mark_comes_back_once_after_its_sound(steps):
    buffer = PlayoutBuffer()
    waiting = bytearray()  # what should be in it
    due: list[tuple[int, str]] = []  # a mark, and how much sound is before it
    for i, (action, n) in enumerate(steps):
        passed: list[str] = []
        gone = 0
        if action == "media":
            waiting += bytes([i]) * n
            buffer.media(bytes([i]) * n)
        elif action == "mark":
            due.append((len(waiting), str(i)))
            passed = buffer.mark(str(i))
        elif action == "clear":
            gone = len(waiting)
            passed = buffer.clear()
        else:
            sound, passed = buffer.play(n)
            assert sound == waiting[:n]
            gone = len(sound)
        del waiting[:gone]
        due = [(before - gone, name) for before, name in due]
        assert passed == [name for before, name in due if before <= 0]
        due = [(before, name) for before, name in due if before > 0]
        assert buffer.n_octets == len(waiting)
