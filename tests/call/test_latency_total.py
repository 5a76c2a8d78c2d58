"""How long a caller waited, told in two ways that have to agree."""

from hypothesis import given
from hypothesis import strategies as st

from voice_ai.call.latency import Latency

moments = st.floats(0, 100)
maybe = st.none() | moments


def test_a_turn_without_a_frame_has_no_total() -> None:
    assert Latency(0.0, 0.2, 0.25, first_text=0.5, first_audio=0.75).total_ms is None
    assert Latency(0.0, 0.2, 0.25, sent=0.75).total_ms == 750


@given(moments, moments, moments, maybe, maybe, moments)
def test_the_total_is_that_of_the_stages(
    speech_end: float,
    decided: float,
    recognised: float,
    first_text: float | None,
    first_audio: float | None,
    sent: float,
) -> None:
    latency = Latency(speech_end, decided, recognised, first_text, first_audio, sent)
    assert latency.total_ms == latency.stages_ms()["total"]
