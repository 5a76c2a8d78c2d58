"""What the services measured, in a window."""

import pytest

from voice_ai.phone.load.services import measured as module
from voice_ai.phone.load.services.measured import Lateness, Measured

WINDOW = ["request", "first_token", "first_text", "first_audio"]


def test_of_nothing_there_are_zeros():
    assert Measured().results(1.5) == {
        "stt": {"n_streams": 0, "n_frames": 0, "n_lost": 0, "n_out_of_order": 0, "n_unknown": 0},
        "messages": {"call": [], "frame": [], "at": [], "n_skipped": 0},
        "turns": [],
        "tts": {"n_connections": 0, "n_frames": 0, "n_clears": 0},
        "llm": {"n_requests": 0},
        "cpu_s": 1.5,
        "late_ms": {"p50": 0.0, "p99": 0.0, "max": 0.0},
        "violations": [],
    }


def test_a_turn_has_a_row_once_it_has_ended():
    measured = Measured()
    measured.start_turn(7, 2, 1.0)
    assert measured.results(0)["turns"] == []
    measured.note((7, 2), "end_of_turn", 2.0)
    (row,) = measured.results(0)["turns"]
    assert row == {
        "call": 7,
        "turn": 2,
        "start_of_turn": 1.0,
        "end_of_turn": 2.0,
        **dict.fromkeys([*WINDOW, "segment"]),
    }


def test_what_happens_twice_is_noted_once():
    measured = Measured()
    measured.start_turn(7, 2, 1.0)
    measured.note((7, 2), "end_of_turn", 2.0)
    for at in (3.0, 4.0):
        measured.note((7, 2), "request", at)
        measured.note_segment((7, 2), (7, int(at)), at)
    (row,) = measured.results(0)["turns"]
    assert (row["request"], row["first_audio"], row["segment"]) == (3.0, 3.0, (7, 3))


@pytest.mark.parametrize("turn", [None, (7, 3), (8, 2)])
def test_what_belongs_to_no_turn_is_not_noted(turn):
    measured = Measured()
    measured.start_turn(7, 2, 1.0)
    assert not measured.note(turn, "request", 3.0)


def test_a_new_window_knows_nothing_but_what_is_open():
    measured = Measured()
    heard = measured.heard
    measured.opened("stt")
    measured.opened("stt")
    measured.opened("tts")
    measured.closed("stt")
    heard.n_frames = heard.n_lost = 9
    measured.messages.add(1, 2, 3.0)
    measured.start_turn(7, 2, 1.0)
    measured.violation("none")
    measured.late.add(1.0)
    measured.n_requests = measured.n_clears = 4
    assert measured.results(0)["stt"]["n_streams"] == 2
    measured.begin(2.0)
    measured.note((7, 2), "end_of_turn", 2.0)
    empty = Measured().results(0)
    empty["stt"]["n_streams"] = empty["tts"]["n_connections"] = 1
    assert measured.results(2.0) == empty
    assert measured.heard is heard


def test_messages_beyond_the_limit_are_skipped_and_counted(monkeypatch):
    monkeypatch.setattr(module, "MAX_MESSAGES", 2)
    measured = Measured()
    for n in range(5):
        measured.messages.add(n, 10 * n, n / 2)
    columns = {"call": [0, 1], "frame": [0, 10], "at": [0.0, 0.5], "n_skipped": 3}
    assert measured.results(0)["messages"] == columns


def test_the_first_violations_are_kept():
    measured = Measured()
    for n in range(50):
        measured.violation(str(n))
    assert measured.results(0)["violations"] == [str(n) for n in range(20)]


def test_lateness_has_percentiles():
    late = Lateness()
    late.add(-5.0)
    for n in range(99):
        late.add(n / 1000)
    found = late.as_json()
    assert found["p50"] == pytest.approx(49, abs=1.1)
    assert found["p99"] == pytest.approx(98, abs=1.1)
    assert found["max"] == 98.0


def test_what_is_very_late_is_not_lost():
    late = Lateness()
    late.add(100.0)
    assert late.as_json()["max"] == 100_000.0
