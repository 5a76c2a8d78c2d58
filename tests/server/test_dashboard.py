"""docs/grafana/voice_ai.json: a dashboard of what `/metrics` says, all of it and nothing else."""

import json
import re
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from voice_ai.errors import Stage
from voice_ai.providers.cost import Tokens
from voice_ai.providers.faults import Fault
from voice_ai.server.metrics import Metrics

FILE = Path(__file__).parents[2] / "docs" / "grafana" / "voice_ai.json"
METRIC = re.compile(r"\bvoice_ai_\w+")
FUNCTIONS = {"sum", "max", "rate", "increase", "histogram_quantile", "by"}

pytestmark = pytest.mark.skipif(not FILE.exists(), reason="only beside the documents")


@pytest.fixture(scope="module")
def dashboard() -> Any:
    return json.loads(FILE.read_text())


def told() -> dict[str, set[str]]:
    """Every sample that `/metrics` has once all has happened, with its labels."""
    metrics, stage = Metrics(), "llm"
    assert stage in Stage.__args__  # type: ignore[attr-defined]
    metrics.watch_places(lambda: (1, 0))
    metrics.call_started()
    metrics.call_ended("the caller hung up")
    metrics.call_refused("full")
    metrics.provider_failed("llm")
    metrics.provider_fault(Fault("CA1", "llm", "OpenAI", "503", "retried"))
    metrics.used_model("gpt-5-nano", Tokens())
    samples: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(metrics.render().decode()):
        for sample in family.samples:
            samples.setdefault(sample.name, set()).update(sample.labels)
    return samples


def expressions(dashboard: Any) -> list[str]:
    return [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]


def test_it_can_be_imported(dashboard: Any) -> None:
    """What Grafana's own model of a dashboard wants (kinds/dashboard/dashboard_kind.cue)."""
    assert re.fullmatch(r"[a-zA-Z0-9_-]{1,40}", dashboard["uid"])
    assert dashboard["title"] and dashboard["schemaVersion"] >= 36
    assert "id" not in dashboard or dashboard["id"] is None  # it would overwrite somebody's
    names = {variable["name"] for variable in dashboard["templating"]["list"]}
    assert names == {"datasource", "job"}
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(ids)) == len(ids) > 10
    for panel in dashboard["panels"]:
        assert panel["type"] == "timeseries" and panel["title"] and panel["description"]
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert panel["fieldConfig"]["defaults"]["unit"]
        refs = [target["refId"] for target in panel["targets"]]
        assert refs and len(set(refs)) == len(refs)
        place = panel["gridPos"]
        assert 0 <= place["x"] and place["x"] + place["w"] <= 24 and place["h"] > 2
    assert not re.search(r"https?://|localhost", FILE.read_text())


def test_no_panel_lies_over_another(dashboard: Any) -> None:
    for one, other in combinations((panel["gridPos"] for panel in dashboard["panels"]), 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        below = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or below


def test_every_metric_in_it_is_there(dashboard: Any) -> None:
    samples = told()
    for expression in expressions(dashboard):
        named = METRIC.findall(expression)
        assert named and set(named) <= samples.keys(), expression
    for variable in dashboard["templating"]["list"][1:]:
        assert set(METRIC.findall(variable["definition"])) <= samples.keys()


def test_every_label_in_it_is_the_metrics(dashboard: Any) -> None:
    samples = told()
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            [*names] = METRIC.findall(target["expr"])
            labels = {"job"} | set.union(*(samples[name] for name in names))
            selected = re.findall(r"(\w+)=~?\"", target["expr"])
            grouped = re.findall(r"by \(([^)]*)\)", target["expr"])
            shown = re.findall(r"{{(\w+)}}", target["legendFormat"])
            by = {label.strip() for group in grouped for label in group.split(",")}
            assert {*selected, *by, *shown} <= labels, target
            assert set(shown) <= by


def test_every_metric_is_in_it(dashboard: Any) -> None:
    def family(name: str) -> str:
        return re.sub(r"_(total|bucket|sum|count|created)$", "", name)

    used = {family(name) for text in expressions(dashboard) for name in METRIC.findall(text)}
    assert {family(name) for name in told()} == used


def test_expressions_are_whole(dashboard: Any) -> None:
    """No parser of PromQL is at hand: brackets close, and functions are those that exist."""
    for text in expressions(dashboard):
        open_ones: list[str] = []
        for char in text:
            if char in "([{":
                open_ones.append(char)
            elif char in ")]}":
                assert "([{".index(open_ones.pop()) == ")]}".index(char), text
        assert open_ones == [], text
        assert set(re.findall(r"\b([a-z_]+) ?\(", text)) <= FUNCTIONS, text


def test_counters_are_read_as_rates(dashboard: Any) -> None:
    for text in expressions(dashboard):
        for name in METRIC.findall(text):
            if name.endswith(("_total", "_bucket")):
                assert re.search(rf"(rate|increase)\({name}{{[^}}]*}}\[\$__rate_interval\]\)", text)
