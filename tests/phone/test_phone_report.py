"""The report: a call of which nothing is known first, then a whole one."""

import json

import pytest

from voice_ai.phone import CallResult, Progress, TurnTimes, as_json, as_text, progress_line

STAGES = {"endpointing": 500, "stt": 120, "llm": 30, "tts": 80, "first_frame": 2, "total": 732}
TURN = {"caller": "Go forward.", "reply": "Okay. And now?", "heard": "Okay. And now?"}


def whole_call():
    return CallResult(
        "CA1",
        "MZ1",
        said=b"\xff" * 80_000,
        heard=b"\xff" * 80_000,
        greeting_ms=41.6,
        turns=[TurnTimes(1, 2000, 4000, 4732), TurnTimes(2, 6000, 7000, 7800.4)],
        close_code=1000,
        ended_by="caller",
        transcript={
            "greeting": "Hello, who is there?",
            "turns": [
                {**TURN, "latency_ms": STAGES, "started": 1},
                {
                    "caller": "Stop.",
                    "reply": "I have one more",
                    "heard": "I have",
                    "latency_ms": STAGES,
                },
            ],
            "ended": True,
        },
        wav="call.wav",
    )


def test_a_refused_call():
    assert (
        as_text(CallResult("CA1", refused="We are closed."))
        == "The call was refused: We are closed."
    )


def test_a_call_of_which_nothing_is_known():
    result = CallResult("CA1", transcript_missing="the server answered 404")
    text = as_text(result)
    assert "The transcript is unknown: the server answered 404." in text
    assert "greeting: - ms" in text
    assert "nobody hung up, the stream closed with None" in text
    document = {"turns": [], "greeting_ms": None, "violations": [], "wav": ""}
    assert json.loads(as_json(result)) == document


def test_without_a_record_the_json_has_what_was_measured():
    result = CallResult("CA1", turns=[TurnTimes(1, 0, 1000, 1800.6), TurnTimes(2, 3000, 4000)])
    turns = json.loads(as_json(result))["turns"]
    assert [turn["latency_ms"]["total"] for turn in turns] == [801, None]
    assert turns[0]["caller"] is turns[0]["latency_ms"]["stt"] is None


def test_a_call_without_turns():
    assert "Nobody took a turn." in as_text(CallResult("CA1", transcript={"turns": []}))


@pytest.mark.parametrize("latency_ms", [None, {}, []])
def test_a_record_without_latencies(latency_ms):
    result = CallResult("CA1", transcript={"turns": [{**TURN, "latency_ms": latency_ms}, {}]})
    assert set(json.loads(as_json(result))["turns"][0]["latency_ms"]) == set(STAGES)
    assert "caller: (nothing)\nagent:  (nothing)" in as_text(result)


def test_the_json_has_exactly_the_keys_of_the_contract():
    document = json.loads(as_json(whole_call()))
    assert list(document) == ["turns", "greeting_ms", "violations", "wav"]
    assert document["greeting_ms"] == 42
    assert document["wav"] == "call.wav"
    assert document["turns"][0] == {**TURN, "latency_ms": STAGES}


def test_the_text_has_words_times_and_what_was_cut_off():
    text = as_text(whole_call())
    assert text.startswith("agent:  Hello, who is there?\ncaller: Go forward.\nagent:  Okay.")
    assert "agent:  I have [one more]" in text
    assert "10.0 s; the caller hung up, the stream closed with 1000." in text
    table = [line.split() for line in text.splitlines() if line.startswith("turn")]
    assert table[0] == ["turn", "1", "500", "120", "30", "80", "2", "732", "732"]
    assert table[1][-1] == "800"
    assert "greeting: 42 ms" in text
    assert "violations" not in text
    assert text.endswith("call.wav")


@pytest.mark.parametrize(
    ("reply", "heard", "shown"),
    [
        ("", "", "(nothing)"),
        ("All of it.", "", "[All of it.]"),
        ("Other words.", "These.", "These. [of: Other words.]"),
    ],
)
def test_what_was_heard_of_a_reply(reply, heard, shown):
    turn = {"caller": "a", "reply": reply, "heard": heard}
    text = as_text(CallResult("CA1", transcript={"turns": [turn]}))
    assert f"agent:  {shown}\n" in text


def test_what_went_wrong_is_said():
    result = whole_call()
    result.violations = ["1.00 s: 31950: binary"]
    result.unplayed_ms, result.late_ms = 1200, 55
    text = as_text(result)
    assert "1.2 s of sound were never heard." in text
    assert "up to 55 ms late" in text
    assert "1 violation of the protocol:\n  1.00 s: 31950: binary" in text


def test_progress():
    assert progress_line(Progress(12_345, "agent speaking", 2, 3)).rstrip() == (
        "00:12  agent speaking   turn 2/3"
    )
    assert "greeting" in progress_line(Progress(0, "waiting", 0, 3))
    lines = [progress_line(Progress(0, doing, 1, 3)) for doing in ("waiting", "caller speaking")]
    assert len(lines[0]) == len(lines[1])
