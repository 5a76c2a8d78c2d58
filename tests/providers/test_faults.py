"""A fault as a line of the log."""

import pytest

from voice_ai.providers.faults import Fault, log_fault


def test_a_fault_is_one_line_with_its_call(caplog: pytest.LogCaptureFixture) -> None:
    log_fault(Fault("CA1", "llm", "OpenAI gpt-5-nano", "OpenAI answered 503", "retried"))
    [record] = caplog.records
    assert record.levelname == "WARNING"
    assert record.message == "call CA1: llm: OpenAI gpt-5-nano: OpenAI answered 503: retried"


def test_what_a_service_wrote_cannot_begin_a_line_of_its_own(
    caplog: pytest.LogCaptureFixture,
) -> None:
    log_fault(
        Fault(
            "CA1", "stt", "Flux", "closed: 1011 x\ncall CA2: stt: all is well\r\x1b[2J", "gave up"
        )
    )
    [record] = caplog.records
    assert record.message.isprintable()
    assert len(record.message) < 400
