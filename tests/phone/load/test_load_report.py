"""What is made of a load's figures: arithmetic, verdicts, words; and a picture of them."""

from array import array
from collections import Counter

import orjson
import pytest

from voice_ai.errors import UsageError
from voice_ai.phone.load.ear import Heard, Segment
from voice_ai.phone.load.histogram import Spread
from voice_ai.phone.load.measure import (
    added_delays,
    barge_ins,
    buckets,
    lag,
    turn_latencies,
)
from voice_ai.phone.load.picture import draw
from voice_ai.phone.load.report import document
from voice_ai.phone.load.run import Measured
from voice_ai.phone.load.stream import Counts
from voice_ai.phone.load.table import as_rows, as_text
from voice_ai.phone.load.usage import Usage

STAGES = ("start_of_turn", "end_of_turn", "request", "first_token", "first_text", "first_audio")
LAG = """# TYPE voice_ai_loop_lag_seconds histogram
voice_ai_loop_lag_seconds_bucket{le="0.001"} %d
voice_ai_loop_lag_seconds_bucket{le="0.005"} %d
voice_ai_loop_lag_seconds_bucket{le="+Inf"} %d
voice_ai_loop_lag_seconds_count %d
voice_ai_loop_lag_seconds_sum 1
"""


def counted(n_sent=500, n_octets=80_000, **changes):
    heard = Heard(n_octets, **changes.pop("heard", {}))
    return Counts(n_sent=n_sent, heard=heard, **changes)


def turn(call=0, segment=(0, 1), **times):
    return dict.fromkeys(STAGES) | times | {"call": call, "turn": 1, "segment": segment}


def usage(cpu_s, rss_kb, n_switches=0):
    return Usage(0.0, cpu_s, rss_kb * 1024, n_switches, 1)


def services(**changes):
    found = {
        "stt": {"n_streams": 2, "n_frames": 1000, "n_lost": 0, "n_out_of_order": 0, "n_unknown": 0},
        "messages": {"call": [], "frame": [], "at": []},
        "turns": [],
        "tts": {"n_connections": 2, "n_frames": 1000, "n_clears": 0},
        "late_ms": {"p50": 0.1, "p99": 0.2, "max": 0.3},
        "violations": [],
    }
    return found | changes


def measured(**changes):
    fields = {
        "n_calls": 2,
        "n_up": 2,
        "seconds": 10.0,
        "calls": [counted(), counted()],
        "faults": Counter(),
        "late": Spread(1000, 0.5, 1.5, 1.9, 3.0),
        "lag": {"p50": 0.1, "p99": 1.0, "p99_9": 5.0, "n": 10.0},
        "idle": usage(1.0, 50_000),
        "begin": usage(2.0, 50_100, 100),
        "end": usage(2.2, 50_200, 300),
        "rig_cpu_s": 1.0,
        "services_cpu_s": 0.5,
        "services": services(),
    }
    return Measured(**(fields | changes))


def test_a_load_of_nothing():
    empty = measured(
        n_up=0, calls=[None, None], faults=Counter({"refused": 2}), late=None, lag=None
    )
    empty.services = None
    result = document(empty, {})
    assert result["invalid"] == ["no caller sent a frame"]
    assert result["missed"] == ["0 of 2 calls were up at the end", "1 faults"]
    assert result["server"]["cpu_us_per_frame_pair"] is None
    assert (result["valid"], result["ok"]) == (False, False)
    assert "refused" in as_text(result)
    assert orjson.dumps(result)


def test_a_server_that_is_not_ours_to_measure():
    result = document(measured(idle=None, begin=None, end=None, services_cpu_s=None), {})
    assert result["server"] is None
    assert "CPU a frame pair" not in as_text(result)
    assert as_rows([result])


def test_the_costs():
    result = document(measured(), {"program": None})
    server = result["server"]
    assert server["cpu_s"] == pytest.approx(0.2)
    assert server["cores"] == pytest.approx(0.02)
    assert server["cpu_us_per_frame_pair"] == pytest.approx(200.0)  # 0.2 s / ((1000 + 1000) / 2)
    assert server["cpu_us_per_frame_in"] == pytest.approx(200.0)
    assert server["calls_per_core"] == pytest.approx(80.0)  # 0.8 x 2 / 0.02
    assert server["rss_kb_per_call"] == pytest.approx(100.0)
    assert server["switches_per_s"] == 20
    assert (result["valid"], result["ok"], result["missed"]) == (True, True, [])
    assert "Valid; nothing was lost." in as_text(result)


def test_pairs_are_of_both_ways():
    result = document(measured(calls=[counted(n_octets=0), counted(n_octets=0)]), {})
    assert result["server"]["cpu_us_per_frame_pair"] == pytest.approx(400.0)
    assert result["server"]["cpu_us_per_frame_in"] == pytest.approx(200.0)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"late": Spread(9, 0.5, 2.01, 3, 4)}, "the callers were late: p99 2.01 ms"),
        ({"rig_cpu_s": 9.5}, "the callers took 0.95 cores"),
        ({"services_cpu_s": 9.1}, "the services took 0.91 cores"),
    ],
)
def test_what_makes_a_load_invalid(changes, why):
    result = document(measured(**changes), {})
    assert result["invalid"][0].startswith(why)
    assert not result["ok"]
    assert result["missed"] == []


def test_a_host_that_takes_the_cpu_is_told():
    late = Spread(9, 0.5, 2.01, 3, 4)
    result = document(measured(late=late, stolen_s=2.5), {})
    assert result["rig"]["stolen_cores"] == 0.25
    assert result["invalid"][0].endswith("allowed; the machine's host took 0.25 cores")
    assert "taken by the host         0.250 cores" in as_text(result)
    assert "host" not in as_text(document(measured(late=late), {}))


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"n_up": 1}, "1 of 2 calls were up at the end"),
        ({"calls": [counted(heard={"n_lost": 3}), None]}, "3 frames out: lost"),
        ({"calls": [counted(heard={"n_dead": 1}), None]}, "1 frames out: dead"),
        ({"calls": [counted(heard={"n_out_of_order": 1}), None]}, "1 frames out: out of order"),
        ({"calls": [counted(n_held_back=7), None]}, "7 frames in: held back"),
        ({"services": services(stt={"n_frames": 9, "n_lost": 2})}, "2 frames in: lost"),
        ({"services": services(violations=["no"])}, "1 violations"),
        ({"calls": [counted(violations=["31951: no"]), None]}, "1 violations"),
        ({"faults": Counter({"31921": 4})}, "1 faults"),
    ],
)
def test_what_a_load_misses(changes, what):
    result = document(measured(**changes), {})
    assert result["missed"] == [what]
    assert (result["valid"], result["ok"]) == (True, False)
    assert f"Missed: {what}." in as_text(result)


def test_the_delay_is_of_a_messages_last_frame():
    calls = [Counts(first_frame=100, sent_at=array("d", [1.0, 1.02, 1.04])), None]
    messages = {
        "call": [0, 0, 0, 0, 1, 7],
        "frame": [99, 100, 102, 103, 0, 0],
        "at": [1.0, 1.001, 1.05, 2.0, 1.0, 1.0],
    }
    assert added_delays(calls, messages) == pytest.approx([1.0, 10.0])


def test_a_turn_is_followed_to_the_callers_ear():
    calls = [Counts(segments=[Segment(5.0, 0, 1), Segment(21.1, 0, 1)])]
    times = dict(zip(STAGES, (19.0, 20.0, 20.5, 20.7, 20.8, 21.0), strict=True))
    stages = turn_latencies(calls, [turn(segment=(0, 257), **times), turn(start_of_turn=30.0)])
    found = {name: round(one.p50) for name, one in stages.items() if one}
    assert found == {
        "end_of_turn_to_request": 500,
        "request_to_first_token": 200,
        "first_token_to_first_text": 100,
        "first_text_to_first_audio": 200,
        "first_audio_to_heard": 100,
        "total": 1100,
    }
    assert stages["total"].n == 1


def test_no_turn_has_no_latency():
    assert set(turn_latencies([], []).values()) == {None}


def test_a_barge_in_is_followed_by_its_clear():
    calls = [Counts(clears=[1.0, 10.004, 20.0]), None]
    turns = [turn(start_of_turn=t) for t in (10.0, 15.0)]
    turns += [turn(call=1, start_of_turn=1.0), turn(call=9, start_of_turn=1.0), turn()]
    assert barge_ins(calls, turns) == pytest.approx([4.0])


def test_the_lag_is_what_came_in_the_window():
    before, after = buckets(LAG % (100, 100, 100, 100)), buckets(LAG % (1090, 1099, 1100, 1100))
    assert lag(before, after) == {"p50": 1.0, "p99": 1.0, "p99_9": 5.0, "n": 1000.0}
    assert lag(before, before) is None
    assert lag(None, after) is None
    assert buckets("# nothing\n") is None


def test_every_call_has_a_line_of_its_own():
    result = document(measured(calls=[counted(late_ms=1.25, n_marks=3), None]), {})
    assert result["calls"][1] == {"call": 1, "sent": 0}
    call = result["calls"][0]
    assert (call["sent"], call["received"], call["n_marks"]) == (500, 500, 3)
    assert call["callers_late_max_ms"] == 1.25


def test_a_sweep_has_a_row_for_each_load():
    rows = as_rows([document(measured(), {}), document(measured(n_up=1), {})]).splitlines()
    assert rows[0].split()[:2] == ["calls", "cores"]
    assert rows[1].split() == ["2", "0.020", "200.0", "80", "1.50", "1.0", "-", "0"]
    assert rows[2].endswith("failed")


def test_a_picture(tmp_path):
    results = [document(measured(n_calls=n), {}) for n in (2, 1)]
    draw(results, tmp_path / "load.png")
    assert (tmp_path / "load.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(UsageError, match="cannot write"):
        draw(results, tmp_path / "load.nothing")
