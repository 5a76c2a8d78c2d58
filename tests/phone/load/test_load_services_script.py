"""What is said on a call, and when."""

import pytest

from voice_ai.errors import UsageError
from voice_ai.phone.load.services.plan import Plan, parse_plan
from voice_ai.phone.load.services.script import CHAR_S, Script, Told, answer, deltas, named

PLAN = Plan(first_turn_s=0.6, turn_s=2.0, speech_s=0.8)


def told(script: Script, until_ms: float) -> list[tuple[float, Told]]:
    """All that is said up to some time, with the time."""
    all_told = []
    while script.due_ms <= until_ms:
        at_ms = script.due_ms
        all_told.append((at_ms, script.next()))
    return all_told


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not JSON"),
        ("[]", "a JSON list"),
        ('{"replies": 1}', "unknown setting 'replies'"),
        ('{"reply_s": "6"}', "reply_s is '6', needed a float"),
        ('{"barge_in": 1}', "barge_in is 1, needed a bool"),
        ('{"tts_chunk_ms": 2.5}', "needed a int"),
        ('{"tts_chunk_ms": 0}', "needed 1 or more"),
        ('{"reply_s": -1}', "needed 0 or more"),
        ('{"turn_s": 1, "speech_s": 1}', "no time left"),
    ],
)
def test_settings_that_make_no_conversation_are_refused(text, reason):
    with pytest.raises(UsageError, match=reason):
        parse_plan(text)


def test_settings_have_defaults():
    assert parse_plan("{}") == Plan()
    assert parse_plan('{"reply_s": 3, "barge_in": true}') == Plan(reply_s=3, barge_in=True)


def test_nobody_has_a_turn_while_the_call_is_unknown():
    said = told(Script(PLAN), 10_000)
    assert {(one.event, one.transcript) for _, one in said} == {("Update", "")}
    assert [at_ms for at_ms, _ in said] == [250 * n for n in range(1, 41)]


def test_a_turn_goes_from_its_start_to_its_end():
    script = Script(PLAN)
    script.begin(0)
    said = told(script, 1700)
    assert [(at_ms, one.event, one.transcript) for at_ms, one in said] == [
        (250, "Update", ""),
        (500, "Update", ""),
        (600, "StartOfTurn", ""),
        (850, "Update", "call"),
        (1100, "Update", "call 0 turn"),
        (1350, "Update", "call 0 turn 1 says"),
        (1400, "EndOfTurn", "call 0 turn 1 says hello"),
        (1650, "Update", ""),
    ]
    assert [one.turn for _, one in said] == [1, 1, 1, 1, 1, 1, 1, 2]
    end = said[6][1]
    assert (end.window_start_s, end.window_end_s) == (0.0, 1.4)
    assert said[7][1].window_start_s == 1.4
    assert [word for word, _, _ in end.words] == end.transcript.split()
    assert (end.words[0][1], end.words[-1][2]) == (0.6, pytest.approx(1.4))


def test_turns_come_one_after_another():
    script = Script(PLAN)
    script.begin(0)
    starts = [(one.turn, at) for at, one in told(script, 60_000) if one.event == "StartOfTurn"]
    assert starts == [(1 + n, 600 + 2000 * n) for n in range(30)]


def test_calls_are_spread_over_a_turn():
    def first_ms(call):
        script = Script(PLAN)
        script.begin(call)
        return next(at for at, one in told(script, 10_000) if one.event == "StartOfTurn")

    firsts = sorted(first_ms(call) for call in range(100))
    gaps = [b - a for a, b in zip(firsts, firsts[1:], strict=False)]
    assert firsts[0] >= 600 and firsts[-1] < 2600
    assert max(gaps) < 3 * 2000 / 100


def test_a_call_that_is_known_late_begins_at_once():
    script = Script(PLAN)
    told(script, 5000)
    script.begin(0)
    said = told(script, 5250)
    assert [one.event for _, one in said][0] == "StartOfTurn"


def test_speech_that_is_short_has_no_update():
    script = Script(Plan(first_turn_s=0.25, speech_s=0.1))
    script.begin(0)
    assert [one.event for _, one in told(script, 400)] == ["StartOfTurn", "EndOfTurn"]


def test_who_barges_in_does_so_in_the_middle_of_a_reply():
    assert Plan(barge_in=True).period_s == 4.0
    assert Plan(barge_in=True, turn_s=2.0).period_s == 2.0


def test_a_text_names_its_turn():
    assert named("") is None
    assert named("call 17") is None
    assert named("Call 17 turn 3: yes") == (17, 3)
    assert named("call 17 turn 3 says hello call 17 turn 4 says hello") == (17, 4)


@pytest.mark.parametrize("reply_s", [1.5, 6.0, 60.0])
def test_an_answer_is_as_long_as_asked_for(reply_s):
    text = answer((17, 3), reply_s)
    assert named(text) == (17, 3)
    assert len(text) * CHAR_S == pytest.approx(reply_s, abs=3 * CHAR_S)


def test_an_answer_always_says_whose_it_is():
    assert named(answer((17, 3), 0.0)) == (17, 3)
    assert named(answer(None, 6.0)) is None


def test_deltas_are_the_text():
    text = answer((1, 2), 6.0)
    assert "".join(deltas(text)) == text
    assert 5 <= len(deltas(text)) <= 10
