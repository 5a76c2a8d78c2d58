"""The caller's audio between the line and the recogniser: in messages, in order, up to a limit."""

import random
from collections.abc import Callable, Sequence

import pytest

from voice_ai.call.backlog import LIMIT_MS, MESSAGE_MS, Backlog, ConvertedAudio
from voice_ai.call.line import AudioIn
from voice_ai.codec.formats import PCM16_8K, PCM16_16K, ULAW_8K, AudioFormat
from voice_ai.codec.g711 import ulaw_decode
from voice_ai.codec.transcode import Transcoder
from voice_ai.errors import ProviderError, UsageError

MESSAGE = MESSAGE_MS * 8  # octets of µ-law
LIMIT = LIMIT_MS * 8
FRAME = 160  # 20 ms


def backlog(target: AudioFormat = ULAW_8K) -> Backlog:
    """One of a line that cannot convert by itself."""
    return Backlog(lambda n_octets, arrived: ConvertedAudio(Transcoder(ULAW_8K, target)), target)


def voice(n_octets: int) -> bytes:
    """µ-law of which every piece is told from the others."""
    return random.Random(1).randbytes(n_octets)


def put(waiting: Backlog, audio: bytes, sizes: Sequence[int] = (FRAME,)) -> None:
    """Put it all, in frames that are so long by turns."""
    at = n = 0
    while at < len(audio):
        frame = audio[at : at + sizes[n % len(sizes)]]
        waiting.put(AudioIn(frame, at // 8))
        at += len(frame)
        n += 1


# Nothing, or hardly anything.


def test_nothing_is_not_sent() -> None:
    waiting, sent = backlog(), list[bytes]()
    with waiting.poured_into(sent.append):
        waiting.put(AudioIn(b"", 0))
    assert sent == [] and waiting.audio.n_waiting == 0


def test_nothing_is_taken_from_nothing() -> None:
    audio = ConvertedAudio(Transcoder(ULAW_8K, ULAW_8K))
    assert audio.take(0) == audio.take(MESSAGE) == b""
    assert audio.until_ms == audio.received_ms == 0.0


def test_who_is_to_know_of_an_unheard_caller_is_told_of_each_that_is_late() -> None:
    waiting, late, told = backlog(), iter([False, True, False]), list[str]()
    with waiting.poured_into(lambda message: next(late), lambda: told.append("late")):
        put(waiting, voice(MESSAGE))
        assert told == []
        put(waiting, voice(2 * MESSAGE))
    assert told == ["late"]


def test_less_than_a_message_waits_for_the_rest_of_it() -> None:
    waiting, sent, audio = backlog(), list[bytes](), voice(MESSAGE)
    with waiting.poured_into(sent.append):
        put(waiting, audio[:-1])
        assert sent == [] and waiting.audio.n_waiting == MESSAGE - 1
        put(waiting, audio[-1:])
        assert sent == [audio] and waiting.audio.n_waiting == 0


def test_nobody_takes_and_it_waits() -> None:
    waiting = backlog()
    put(waiting, voice(5 * MESSAGE))
    assert waiting.audio.n_waiting == 5 * MESSAGE


# Messages.


def test_what_waits_is_poured_at_once_and_then_what_comes() -> None:
    waiting, sent, audio = backlog(), list[bytes](), voice(3 * MESSAGE)
    put(waiting, audio[: 2 * MESSAGE + FRAME])
    with waiting.poured_into(sent.append):
        assert sent == [audio[:MESSAGE], audio[MESSAGE : 2 * MESSAGE]]
        put(waiting, audio[2 * MESSAGE + FRAME :])
    assert b"".join(sent) == audio and len(sent) == 3


@pytest.mark.parametrize("sizes", [(1,), (FRAME,), (MESSAGE,), (1000,), (5000,), (7, 1281, 40)])
def test_messages_are_80_ms_however_the_line_cuts(sizes: tuple[int, ...]) -> None:
    waiting, sent, audio = backlog(), list[bytes](), voice(20 * MESSAGE + 100)
    put(waiting, audio[:5000], sizes)
    with waiting.poured_into(sent.append):
        put(waiting, audio[5000:], sizes)
    assert {len(message) for message in sent} == {MESSAGE}
    assert b"".join(sent) == audio[:-100] and waiting.audio.n_waiting == 100


@pytest.mark.parametrize(("target", "n_octets"), [(PCM16_8K, 1280), (PCM16_16K, 2560)])
def test_messages_are_80_ms_of_the_recognisers_format(target: AudioFormat, n_octets: int) -> None:
    waiting, sent, audio = backlog(target), list[bytes](), voice(10 * MESSAGE)
    with waiting.poured_into(sent.append):
        put(waiting, audio)
    # A filter holds back 1.7 ms, so that the last is not whole.
    assert {len(message) for message in sent} == {n_octets} and len(sent) >= 9
    if target == PCM16_8K:
        assert b"".join(sent) == ulaw_decode(audio)


def test_taking_changes_no_position() -> None:
    waiting = backlog()
    put(waiting, voice(2 * MESSAGE))
    waiting.put(AudioIn(bytes(FRAME), 1000))
    with waiting.poured_into(lambda message: None):
        pass
    waiting.put(AudioIn(bytes(FRAME), 500))  # late, and the latest is later
    assert waiting.audio.until_ms == 1020.0
    assert waiting.audio.received_ms == 2 * MESSAGE_MS + 40.0


# Who takes comes and goes.


def test_left_it_sends_no_more_and_who_comes_next_has_it_all() -> None:
    waiting, first, second, audio = backlog(), list[bytes](), list[bytes](), voice(6 * MESSAGE)
    with waiting.poured_into(first.append):
        put(waiting, audio[: 2 * MESSAGE + FRAME])
    put(waiting, audio[2 * MESSAGE + FRAME : 5 * MESSAGE])
    assert b"".join(first) == audio[: 2 * MESSAGE]
    with waiting.poured_into(second.append):
        put(waiting, audio[5 * MESSAGE :])
    assert b"".join(first + second) == audio


def test_left_by_a_failure_it_sends_no_more() -> None:
    waiting, sent = backlog(), list[bytes]()
    with pytest.raises(ProviderError, match="gone"), waiting.poured_into(sent.append):
        raise ProviderError("stt", "gone")
    put(waiting, voice(MESSAGE))
    assert sent == [] and waiting.audio.n_waiting == MESSAGE


# The limit.


def test_more_than_may_wait_is_a_failure_with_both_numbers() -> None:
    waiting = backlog()
    put(waiting, voice(LIMIT))
    with pytest.raises(ProviderError) as caught:
        waiting.put(AudioIn(b"\xff", LIMIT_MS))
    assert caught.value.stage == "stt"
    assert f"{LIMIT + 1} octets of speech wait, {LIMIT} may" in str(caught.value)
    assert isinstance(caught.value.__cause__, UsageError)


def test_the_limit_is_in_the_recognisers_octets() -> None:
    waiting = backlog(PCM16_8K)
    put(waiting, voice(LIMIT))
    with pytest.raises(ProviderError, match=f"{2 * LIMIT + 320} octets .* {2 * LIMIT} may"):
        put(waiting, voice(FRAME))


def test_what_is_taken_does_not_count() -> None:
    waiting, sent, audio = backlog(), list[bytes](), voice(4 * LIMIT)
    put(waiting, audio[:LIMIT])
    with waiting.poured_into(sent.append):
        put(waiting, audio[LIMIT:])
    assert b"".join(sent) == audio


# A line that takes audio past the iterator.


def test_what_a_tap_takes_is_sent_when_it_says_so() -> None:
    audio = ConvertedAudio(Transcoder(ULAW_8K, ULAW_8K))
    tapped: list[tuple[int, Callable[[], None]]] = []

    def tap(n_octets: int, arrived: Callable[[], None]) -> ConvertedAudio:
        tapped.append((n_octets, arrived))
        return audio

    waiting, sent, said = Backlog(tap, ULAW_8K), list[bytes](), voice(3 * MESSAGE)
    ((n_wanted, arrived),) = tapped
    assert waiting.audio is audio and n_wanted == MESSAGE
    audio.put(said[:MESSAGE], 0)
    arrived()
    assert sent == []  # nobody takes yet
    with waiting.poured_into(sent.append):
        audio.put(said[MESSAGE : 2 * MESSAGE - FRAME], MESSAGE_MS)
        arrived()
        assert sent == [said[:MESSAGE]]
        # What comes as a message after all goes the same way, in its place.
        waiting.put(AudioIn(said[2 * MESSAGE - FRAME : 2 * MESSAGE], 2 * MESSAGE_MS - 20))
        audio.put(said[2 * MESSAGE :], 2 * MESSAGE_MS)
        arrived()
    assert b"".join(sent) == said and len(sent) == 3
    arrived()
    assert len(sent) == 3
