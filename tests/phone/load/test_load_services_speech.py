"""The fake voice: which audio a text becomes, and when it is due."""

from itertools import islice

import pytest

from voice_ai.codec.formats import PCM16_16K, PCM16_24K, ULAW_8K, AudioFormat
from voice_ai.codec.g711 import ulaw_decode
from voice_ai.phone.load.levels import segment, symbol
from voice_ai.phone.load.services.plan import Plan
from voice_ai.phone.load.services.speech import FIRST_NAMELESS, LEAD_S, Speech

HELLO = "call 7 turn 2: hello."


def symbols(audio: bytes, fmt: AudioFormat) -> list[int | None]:
    """What a caller reads in the middle of each frame."""
    if fmt.encoding == "mulaw":
        audio = ulaw_decode(audio)
    n_octets = fmt.rate_hz // 25
    middles = range(n_octets // 2, len(audio), n_octets)
    return [symbol(int.from_bytes(audio[m : m + 2], "little", signed=True)) for m in middles]


def spoken(speech: Speech) -> bytes:
    """All audio that there is."""
    audio = b""
    while speech.due_s is not None:
        audio += speech.take()[1]
    return audio


def timetable(speech: Speech) -> list[tuple[float, int]]:
    """When each piece is due, in ms, and its octets."""
    pieces = []
    while (due_s := speech.due_s) is not None:
        pieces.append((round(due_s * 1000), len(speech.take()[1])))
    return pieces


def test_nothing_is_due_without_a_flush():
    speech = Speech(Plan(), PCM16_16K, 0)
    assert speech.due_s is None
    speech.speak(HELLO)
    assert speech.due_s is None


def test_a_flush_of_nothing_only_ends():
    speech = Speech(Plan(), PCM16_16K, 0)
    speech.flush(5.0)
    assert timetable(speech) == [(5000, 0)]


def test_after_a_clear_there_is_nothing():
    speech = Speech(Plan(), PCM16_16K, 0)
    speech.speak(HELLO)
    speech.flush(1.0)
    speech.take()
    speech.speak("more")
    speech.clear()
    assert speech.due_s is None
    speech.flush(2.0)
    assert timetable(speech) == [(2000, 0)]


def test_what_is_said_after_a_clear_is_heard_at_once():
    speech = Speech(Plan(), PCM16_16K, 0)
    speech.speak(HELLO)
    speech.flush(1.0)
    spoken(speech)
    speech.clear()
    speech.speak(HELLO)
    speech.flush(1.5)
    assert speech.due_s == 1.5


@pytest.mark.parametrize("fmt", [PCM16_16K, PCM16_24K, ULAW_8K], ids=str)
@pytest.mark.parametrize("chunk_ms", [20, 33, 100])
def test_a_text_becomes_a_segment(fmt, chunk_ms):
    speech = Speech(Plan(tts_chunk_ms=chunk_ms), fmt, 0)
    speech.speak("call 7 ")
    speech.speak("turn 2: hello, and how are you?")
    speech.flush(0.0)
    n_frames = 3 * len("call 7 turn 2: hello, and how are you?")
    assert symbols(spoken(speech), fmt) == list(islice(segment(7, 0), n_frames))


def test_segments_are_numbered_and_the_call_stays_known():
    speech = Speech(Plan(), PCM16_16K, 3)
    names = []
    for text in ("Hello, this is ours.", "call 7 turn 2: yes.", "And more of it."):
        speech.speak(text)
        speech.flush(0.0)
        segment_of, _ = speech.take()
        names.append((segment_of.source, segment_of.number, segment_of.turn))
        spoken(speech)
    assert names == [(FIRST_NAMELESS + 3, 0, None), (7, 1, (7, 2)), (7, 2, None)]


def test_a_segment_lasts_a_second_at_least():
    speech = Speech(Plan(), ULAW_8K, 0)
    speech.speak("No.")
    speech.flush(0.0)
    assert len(spoken(speech)) == 8000


def test_audio_goes_out_in_real_time_with_some_lead():
    speech = Speech(Plan(tts_chunk_ms=100, tts_first_byte_ms=50), ULAW_8K, 0)
    speech.speak("call 1 turn 1")
    speech.flush(1.0)
    pieces = timetable(speech)
    assert [due for due, _ in pieces] == [1050] * 3 + [1150 + 100 * n for n in range(7)] + [1750]
    assert [n for _, n in pieces] == [800] * 10 + [0]


def test_a_second_segment_follows_the_first():
    speech = Speech(Plan(tts_chunk_ms=500), ULAW_8K, 0)
    for now_s in (1.0, 1.1):
        speech.speak("call 1 turn 1")
        speech.flush(now_s)
    lead_ms = LEAD_S * 1000
    assert timetable(speech) == [
        (1000, 4000),
        (1500 - lead_ms, 4000),
        (1500 - lead_ms, 0),
        (2000 - lead_ms, 4000),
        (2500 - lead_ms, 4000),
        (2500 - lead_ms, 0),
    ]


def test_what_speaks_to_no_call_is_ready_at_once():
    speech = Speech(Plan(tts_chunk_ms=500, tts_first_byte_ms=50), ULAW_8K, 0)
    speech.speak("Hello.")
    speech.flush(1.0)
    assert timetable(speech) == [(1050, 4000), (1050, 4000), (1050, 0)]


def test_a_voice_that_waited_for_text_starts_anew():
    speech = Speech(Plan(tts_chunk_ms=500), ULAW_8K, 0)
    speech.speak("No.")
    speech.flush(1.0)
    timetable(speech)
    speech.speak("Yes.")
    speech.flush(9.0)
    assert timetable(speech)[0] == (9000, 4000)
