import pytest
from prometheus_client.parser import text_string_to_metric_families

from voice_ai.providers.faults import Fault
from voice_ai.server.metrics import MAX_PROVIDERS, MAX_REASONS, Metrics


@pytest.fixture
def metrics():
    return Metrics()


def samples(metrics):
    families = text_string_to_metric_families(metrics.render().decode())
    return {
        (sample.name.removeprefix("voice_ai_"), *sorted(sample.labels.values())): sample.value
        for family in families
        for sample in family.samples
    }


def test_a_fresh_server_has_no_calls(metrics):
    assert samples(metrics)[("calls",)] == 0 and samples(metrics)[("calls_started_total",)] == 0
    assert metrics.content_type.startswith("text/plain")


def test_two_servers_in_a_process_do_not_meet(metrics):
    metrics.call_started()
    assert samples(Metrics())[("calls_started_total",)] == 0


def test_calls_come_and_go(metrics):
    for _ in range(3):
        metrics.call_started()
    metrics.call_ended("caller hung up")
    metrics.call_refused("full")
    got = samples(metrics)
    assert got[("calls",)] == 2 and got[("calls_started_total",)] == 3
    assert got[("calls_ended_total", "caller hung up")] == 1
    assert got[("calls_refused_total", "full")] == 1


def test_reasons_are_bounded(metrics):
    for i in range(MAX_REASONS + 5):
        metrics.call_started()
        metrics.call_ended(f"reason {i}")
    got = samples(metrics)
    assert got[("calls_ended_total", "other")] == 5 and got[("calls",)] == 0


def test_faults_are_counted_by_what_was_done(metrics):
    for action in ("retried", "fell back", "fell back"):
        metrics.provider_fault(Fault("CA1", "llm", "OpenAI gpt-5-nano", "503", action))
    got = samples(metrics)
    assert got[("provider_faults_total", "OpenAI gpt-5-nano", "fell back", "llm")] == 2
    assert got[("provider_faults_total", "OpenAI gpt-5-nano", "llm", "retried")] == 1
    assert "CA1" not in metrics.render().decode()


def test_providers_are_bounded(metrics):
    for i in range(MAX_PROVIDERS + 5):
        metrics.provider_fault(Fault("CA1", "llm", f"Model {i}", "503", "retried"))
    assert samples(metrics)[("provider_faults_total", "llm", "other", "retried")] == 5


def test_frames_failures_and_violations(metrics):
    metrics.frames(n_in=50, n_out=49)
    metrics.frames(n_in=1)
    metrics.provider_failed("llm")
    metrics.protocol_violated()
    got = samples(metrics)
    assert (got[("frames_in_total",)], got[("frames_out_total",)]) == (51, 49)
    assert got[("provider_failures_total", "llm")] == 1
    assert got[("protocol_violations_total",)] == 1


def test_latencies_are_told_in_seconds_by_stage(metrics):
    metrics.turn_latency("total", 400.0)
    metrics.turn_latency("total", 20_000.0)
    got = samples(metrics)
    assert got[("turn_latency_seconds_count", "total")] == 2
    assert got[("turn_latency_seconds_sum", "total")] == pytest.approx(20.4)
    assert got[("turn_latency_seconds_bucket", "0.5", "total")] == 1
    assert got[("turn_latency_seconds_bucket", "10.0", "total")] == 1
