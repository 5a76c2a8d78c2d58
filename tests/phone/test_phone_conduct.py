"""How a caller behaves, frame by frame: servers that say nothing first, then a conversation."""

import pytest

from voice_ai.phone.conduct import MAX_VIOLATIONS, SILENT_FRAME, Conduct, frames, last_audible
from voice_ai.phone.plan import CallPlan

LOUD = (b"\x90" * 8 + b"\x10" * 8) * 10
QUIET = b"\xf0\x70" * 80


class Ear:
    """Drives a Conduct through time, 20 ms a frame."""

    def __init__(self, *utterances, **settings):
        self.conduct = Conduct(
            CallPlan(server_url="http://localhost", utterances=utterances, **settings)
        )
        self.now_ms = 0.0
        self.pending = 0
        self.said = []

    def send(self, n_ms):
        """The server sends sound."""
        self.conduct.media(self.now_ms)
        self.pending += n_ms

    def clear(self):
        self.pending = 0
        self.conduct.cleared()

    def go(self, n_ms):
        """Let time pass; return whether the caller is still there."""
        for _ in range(n_ms // 20):
            sounded = min(self.pending, 20)
            self.pending -= sounded
            frame = self.conduct.frame(self.now_ms, sounded)
            if frame is None:
                return False
            self.said.append(frame)
            self.now_ms += 20
        return True

    def spoke(self):
        return [i * 20 for i, frame in enumerate(self.said) if frame != SILENT_FRAME]


def test_no_audio_is_no_frames():
    assert frames(b"") == []


def test_the_last_frame_is_filled_up():
    assert frames(b"a" * 161) == [b"a" * 160, b"a" + b"\xff" * 159]


@pytest.mark.parametrize(
    ("sounds", "last"),
    [
        ([SILENT_FRAME], 0),
        ([SILENT_FRAME] * 3, 2),
        ([LOUD, SILENT_FRAME, SILENT_FRAME], 0),
        ([QUIET, LOUD, QUIET], 1),
        ([QUIET, QUIET, SILENT_FRAME], 1),
    ],
)
def test_speech_ends_with_the_last_frame_above_a_share_of_the_loudest(sounds, last):
    assert last_audible(sounds) == last


def test_a_call_with_nothing_to_say_hears_the_greeting_and_hangs_up():
    ear = Ear()
    ear.send(1000)
    assert ear.go(1660)
    assert not ear.go(60)
    assert ear.conduct.greeting_ms == 0
    assert ear.conduct.violations == []


def test_without_a_greeting_the_caller_speaks_after_ten_seconds():
    ear = Ear(LOUD)
    ear.go(10_100)
    assert ear.spoke() == [10_000]
    assert ear.conduct.greeting_ms is None


def test_an_empty_utterance_is_a_frame_of_silence():
    ear = Ear(b"", greeting_wait_ms=0)
    ear.go(40)
    assert ear.conduct.turns[0].speech_end_ms == 0


def test_no_reply_is_noted_and_the_call_goes_on():
    ear = Ear(LOUD, LOUD, greeting_wait_ms=0)
    assert ear.go(20_100)
    assert ear.spoke() == [0, 20_000]
    assert not ear.go(20_100)
    assert ear.conduct.violations == [
        "20.00 s: no reply to turn 1 in 20 s of silence",
        "40.00 s: no reply to turn 2 in 20 s of silence",
    ]


def test_a_reply_is_waited_for_heard_out_and_measured():
    ear = Ear(LOUD * 10 + SILENT_FRAME * 10, LOUD)
    ear.go(100)
    ear.send(500)
    ear.go(1300)
    assert ear.conduct.phase == "speaking"
    first = ear.conduct.turns[0]
    assert first.speech_start_ms == 580 + 700
    ear.go(500)
    assert first.speech_end_ms == 1280 + 9 * 20
    ear.send(300)
    assert first.latency_ms == ear.now_ms - first.speech_end_ms
    ear.send(300)
    assert ear.conduct.doing == "waiting"
    ear.go(100)
    assert ear.conduct.doing == "agent speaking"
    ear.go(500 + 680)
    assert len(ear.conduct.turns) == 1
    ear.go(20)
    assert len(ear.conduct.turns) == 2
    assert ear.conduct.violations == []


def test_a_second_sentence_within_quiet_ms_belongs_to_the_reply():
    ear = Ear(LOUD, LOUD, greeting_wait_ms=0)
    ear.go(100)
    ear.send(200)
    ear.go(200 + 600)
    ear.send(200)
    ear.go(200 + 660)
    assert len(ear.conduct.turns) == 1
    assert ear.conduct.violations == []


def test_a_gap_within_a_reply_is_noted():
    ear = Ear(LOUD, greeting_wait_ms=0)
    ear.go(100)
    ear.send(200)
    ear.go(300)
    ear.send(200)
    ear.go(300)
    assert len(ear.conduct.violations) == 1
    assert "a gap of 100 ms" in ear.conduct.violations[0]


def test_a_gap_of_less_than_a_frame_is_none():
    ear = Ear(LOUD, greeting_wait_ms=0)
    ear.go(100)
    ear.send(190)
    ear.go(200)
    ear.send(200)
    ear.go(300)
    assert ear.conduct.violations == []


def test_silence_after_a_clear_is_no_gap():
    ear = Ear(LOUD, greeting_wait_ms=0)
    ear.go(100)
    ear.send(1000)
    ear.go(200)
    ear.clear()
    ear.go(100)
    ear.send(200)
    ear.go(300)
    assert ear.conduct.violations == []


def test_a_reply_that_was_cleared_unheard_is_none():
    ear = Ear(LOUD, greeting_wait_ms=0)
    ear.go(100)
    ear.send(1000)
    ear.clear()
    ear.go(500)
    assert ear.conduct.turns[0].first_frame_ms is None
    ear.send(200)
    assert ear.conduct.turns[0].first_frame_ms == 600


def test_a_reply_that_was_cleared_while_heard_leaves_the_caller_waiting():
    ear = Ear(LOUD, greeting_wait_ms=0)
    ear.go(100)
    ear.send(1000)
    ear.go(200)
    ear.clear()
    assert ear.go(5000)
    ear.send(100)
    assert not ear.go(900)
    assert ear.conduct.turns[0].first_frame_ms == 100
    assert ear.conduct.violations == []


def test_sound_that_began_before_the_caller_had_finished_is_no_reply():
    ear = Ear(LOUD * 50, greeting_wait_ms=0)
    ear.go(500)
    ear.send(800)
    ear.go(600)
    ear.send(100)
    assert ear.conduct.turns[0].first_frame_ms is None
    ear.go(2000)
    ear.send(100)
    assert ear.conduct.turns[0].first_frame_ms == ear.now_ms


@pytest.mark.parametrize("early_ms", [920, 2000])
def test_early_sound_that_goes_on_after_the_caller_had_finished_is_no_reply(early_ms):
    """At 1000 ms the early sound either still plays or ran empty 60 ms ago."""
    ear = Ear(LOUD * 50, greeting_wait_ms=0)
    ear.go(20)
    ear.send(early_ms)
    ear.go(980)
    ear.send(500)
    assert ear.conduct.turns[0].first_frame_ms is None


def test_the_wait_for_a_reply_begins_with_the_last_sound():
    ear = Ear(LOUD, greeting_wait_ms=0)
    ear.go(100)
    ear.send(10_000)
    ear.go(5000)
    ear.clear()
    assert ear.go(19_900)
    assert not ear.go(200)
    assert ear.conduct.violations == ["25.08 s: no reply to turn 1 in 20 s of silence"]


def test_the_caller_barges_in_so_long_after_the_first_sound_but_never_after_the_last():
    ear = Ear(LOUD, LOUD, greeting_wait_ms=0, barge_in_ms=400)
    ear.go(100)
    ear.send(10_000)
    ear.go(600)
    assert ear.spoke() == [0, 500]
    ear.clear()
    ear.send(3000)
    assert ear.go(3600)
    assert ear.spoke() == [0, 500]
    assert ear.conduct.turns[1].first_frame_ms == 700
    assert not ear.go(200)


def test_an_endless_reply_is_noted():
    ear = Ear(LOUD, greeting_wait_ms=0, reply_limit_ms=5000)
    ear.go(100)
    ear.send(60_000)
    assert not ear.go(6000)
    assert ear.conduct.violations == ["5.10 s: the agent has been speaking for 5 s without an end"]


def test_violations_are_bounded():
    conduct = Ear().conduct
    for _ in range(MAX_VIOLATIONS + 1):
        conduct.note(0, "again")
    assert len(conduct.violations) == MAX_VIOLATIONS
