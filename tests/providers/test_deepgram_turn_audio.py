"""The ring of a turn's audio: what is kept, sent, sent again and lost."""

from hypothesis import given
from hypothesis import strategies as st

from voice_ai.providers.deepgram.turn_audio import TurnAudio


def ring(audio: bytes = b"", limit: int = 100, unit: int = 2) -> TurnAudio:
    made = TurnAudio(limit, unit)
    assert made.append(audio) == 0
    return made


def test_nothing() -> None:
    empty = ring()
    assert (empty.sent, empty.n_unsent) == (0, 0)
    assert empty.take(10) == b"" and empty.rewind(0) == 0 and empty.append(b"") == 0
    empty.forget(50)
    assert empty.sent == 0


def test_audio_is_sent_once_and_in_order() -> None:
    kept = ring(bytes(range(20)))
    assert kept.take(8) + kept.take(100) + kept.take(8) == bytes(range(20))
    assert (kept.sent, kept.n_unsent) == (20, 0)


def test_a_piece_that_is_sent_as_it_came_is_not_copied() -> None:
    kept, audio = ring(), bytes(range(20))
    for _ in range(3):
        kept.append(audio)
        assert kept.take(20) is audio


def test_only_whole_units_are_sent() -> None:
    kept = ring(bytes(range(20)))
    assert kept.take(7) == bytes(range(6))


def test_audio_is_sent_again_from_a_place() -> None:
    kept = ring(bytes(range(20)))
    kept.take(20)
    assert kept.rewind(7.9) == 14
    assert kept.take(100) == bytes(range(6, 20))


def test_nothing_is_skipped_that_was_never_sent() -> None:
    kept = ring(bytes(range(20)))
    kept.take(4)
    assert kept.rewind(12) == 16
    kept.forget(12)
    assert kept.take(100) == bytes(range(4, 20))


def test_what_was_forgotten_is_not_sent_again() -> None:
    kept = ring(bytes(range(20)))
    kept.take(20)
    kept.forget(11)
    assert kept.rewind(-5) == 10
    assert kept.take(100) == bytes(range(10, 20))


def test_what_is_skipped_is_not_sent_but_may_be_sent_again() -> None:
    kept = ring(bytes(range(20)))
    kept.take(4)
    kept.skip(2)
    assert kept.sent == 4
    kept.skip(10)
    assert kept.kept(14) == bytes(range(14, 20)) and kept.take(4) == bytes(range(10, 14))
    kept.skip(99)
    assert (kept.sent, kept.n_unsent, kept.kept(99)) == (20, 0, b"")
    assert kept.rewind(0) == 20


def test_when_it_is_full_what_was_sent_goes_first() -> None:
    kept = ring(bytes(range(20)), limit=20)
    kept.take(6)
    assert kept.append(bytes(4)) == 0
    assert kept.rewind(0) == 20


def test_when_it_is_full_the_oldest_goes_and_is_counted_lost() -> None:
    kept = ring(bytes(range(20)), limit=20)
    kept.take(2)
    assert kept.append(bytes(range(20, 27))) == 6
    assert (kept.sent, kept.take(100)) == (8, bytes(range(8, 26)))


@given(st.lists(st.tuples(st.sampled_from("atrf"), st.integers(0, 60)), max_size=60))
def test_what_is_sent_is_the_audio_from_where_it_says(steps: list[tuple[str, int]]) -> None:
    kept, n_given = ring(limit=64), 0
    whole = bytes(n % 251 for n in range(4000))
    for step, n in steps:
        match step:
            case "a":
                before = kept.sent
                lost = kept.append(whole[n_given : n_given + n])
                n_given += n
                assert kept.sent == before + lost
            case "t":
                begin = kept.sent
                piece = kept.take(n)
                assert piece == whole[begin : begin + len(piece)]
                assert kept.sent == begin + len(piece)
            case "r":
                kept.rewind(n)
            case "f":
                kept.forget(n)
        assert kept.sent + kept.n_unsent == n_given and kept.n_unsent <= 64
