import pytest

from fakes.openai_checks import EFFORTS
from voice_ai.providers.openai.effort import quickest_effort


@pytest.mark.parametrize(
    "model", ["", "gpt-4o", "llama-3.1-8b", "gpt-50", "my-gpt-5", "gpt-5-pro", "gpt-60"]
)
def test_a_model_that_is_not_known_is_asked_for_none(model: str) -> None:
    assert quickest_effort(model) is None


@pytest.mark.parametrize("model", EFFORTS)
def test_the_effort_is_one_that_the_model_takes(model: str) -> None:
    assert quickest_effort(model) in (EFFORTS[model] or (None,))


@pytest.mark.parametrize(
    ("model", "effort"),
    [
        ("gpt-5-nano", "minimal"),
        ("gpt-5-nano-2025-08-07", "minimal"),
        ("gpt-5-mini", "minimal"),
        ("gpt-5", "minimal"),
        ("gpt-5.1", "none"),
        ("gpt-5.6-luna", "none"),
        ("gpt-5.6-luna-2026-05-01", "none"),
        ("gpt-6-luna", "none"),
        ("gpt-6-luna-2026-09-22", "none"),
        ("gpt-6-astra", "low"),
        ("gpt-6.1-sol", "low"),
    ],
)
def test_the_least_effort_of_each_family(model: str, effort: str) -> None:
    assert quickest_effort(model) == effort
