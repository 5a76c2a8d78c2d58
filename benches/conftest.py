"""The fixture that times a contender, the laps around the suite, and the tables at the end."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benches import measuring, report
from benches.machine import why_unfit
from benches.measuring import Figures, Missing, Unit, Work

BUILD = Path(__file__).parents[1] / "build" / "bench"
FIGURES = pytest.StashKey[Figures]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--laps", type=int, default=measuring.LAPS, help="times round the suite")
    parser.addoption(
        "--figures",
        type=Path,
        default=BUILD / "codec.json",
        help="where the figures go; beside it, as Markdown, the tables",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.stash[FIGURES] = Figures(unfit=why_unfit())


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "measure" in metafunc.fixturenames:
        metafunc.parametrize("lap", range(metafunc.config.getoption("--laps")))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=_lap)


def _lap(item: pytest.Item) -> int:
    """Return which time round the suite it is; what is not timed comes first."""
    params: dict[str, Any] = getattr(getattr(item, "callspec", None), "params", {})
    return int(params.get("lap", -1))


@pytest.fixture
def figures(pytestconfig: pytest.Config) -> Figures:
    return pytestconfig.stash[FIGURES]


@pytest.fixture
def figures_path(pytestconfig: pytest.Config) -> Path:
    return Path(pytestconfig.getoption("--figures"))


@pytest.fixture
def measure(
    benchmark: Any, figures: Figures, lap: int
) -> Callable[[Unit, str, Callable[[], Work]], None]:
    """Time one lap of a contender: `measure(unit, contender, prepare)`."""

    def measured(unit: Unit, contender: str, prepare: Callable[[], Work]) -> None:
        times = figures.of(unit, contender)
        benchmark.group = f"{unit.job} {unit.size}"
        try:
            work = prepare()
        except Missing as missing:
            times.missing = str(missing)
            pytest.skip(str(missing))
        measuring.run(benchmark, work, times)

    return measured


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    figures = config.stash[FIGURES]
    if not figures.times and not figures.quality:
        return
    path = config.getoption("--figures")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(report.as_json(figures))
    text = report.as_markdown(figures)
    path.with_suffix(".md").write_text(text)
    terminalreporter.write_line(text)
    terminalreporter.write_line(f"written: {path}, {path.with_suffix('.md').name}")
