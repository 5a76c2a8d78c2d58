"""Loads of different sizes as a picture: what they cost, and how late things came."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from voice_ai.errors import UsageError

Results = Sequence[Mapping[str, Any]]
DPI = 120


def draw(results: Results, file: Path) -> None:
    """Write a picture with a point for each load: CPU above, p99 of lateness below, by calls.

    Raises:
        UsageError: the file cannot be written, or its ending names no kind of picture.
    """
    figure = Figure(figsize=(8, 8), layout="constrained")
    cpu, late = figure.subplots(2, 1, sharex=True)
    _plot(cpu, "CPU of the server, cores", _points(results, "server", "cores"))
    cpu.set_ylabel("cores")
    lines = {
        "end of turn to caller's first frame": ("turn_ms", "total", "p99"),
        "caller's frame to Flux": ("added_delay_ms", "caller_to_flux", "p99"),
        "Aura's first audio to caller": ("added_delay_ms", "aura_to_caller", "p99"),
        "server's loop lag": ("loop_lag_ms", "p99"),
        "the callers' own lateness": ("callers_late_ms", "p99"),
    }
    for label, path in lines.items():
        _plot(late, label, _points(results, *path))
    late.set_ylabel("p99, ms")
    late.set_xlabel("calls")
    for axes in (cpu, late):
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
        axes.legend()
    try:
        figure.savefig(file, dpi=DPI)
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot write {file}: {error}") from error


def _plot(axes: Any, label: str, points: list[tuple[int, float]]) -> None:
    if points:
        axes.plot(*zip(*points, strict=True), marker="o", label=label)


def _points(results: Results, *path: str) -> list[tuple[int, float]]:
    """Return calls and the value at a path, of those loads that have one."""
    points = []
    for result in results:
        value: Any = result
        for key in path:
            value = value.get(key) if isinstance(value, Mapping) else None
        if value is not None:
            points.append((result["n_calls"], float(value)))
    return sorted(points)
