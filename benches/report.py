"""The figures of a run as tables for people, and as JSON."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from benches.machine import machine
from benches.measuring import LAP_S, ROUND_S, Figures, Times, Unit
from benches.targets import judge

SIGNAL = {
    "delay_ms": "delay ms",
    "rejection_db": "image rejection dB",
    "ripple_db": "ripple dB to 3.4 kHz",
}


def as_json(figures: Figures) -> str:
    """Return the machine, every contender's times, the resamplers' signals and the verdicts."""
    times = [
        {"job": unit.job, "size": unit.size, "contender": name, **_numbers(times)}
        for unit, contenders in figures.times.items()
        for name, times in contenders.items()
    ]
    whole = {
        "machine": machine(),
        "unfit": figures.unfit,
        "round_s": ROUND_S,
        "lap_s": LAP_S,
        "times": times,
        "quality": figures.quality,
        "absent": figures.absent,
        "targets": [asdict(verdict) for verdict in judge(figures)],
    }
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"


def _numbers(times: Times) -> dict[str, Any]:
    if not times.seconds:
        return {"missing": times.missing}
    return {
        "min_s": times.min,
        "p99_s": times.p99,
        "n_rounds": len(times.seconds),
        "n_calls": times.n_calls,
    }


def as_markdown(figures: Figures) -> str:
    """Return a table a unit, what the resamplers do to a signal, and the targets last."""
    parts = [_header(figures)]
    parts += [_times(unit, contenders) for unit, contenders in figures.times.items()]
    if figures.quality or figures.absent:
        parts.append(_signals(figures))
    parts.append(_targets(figures))
    return "\n\n".join(parts) + "\n"


def _header(figures: Figures) -> str:
    about = machine()
    lines = [
        f"{about['python']}, {about['system']}, {about['cpu']}, {about['n_cpus']} processors",
        "kernels: " + ", ".join(f"{job} {name}" for job, name in about["kernels"].items()),
        "peers: " + ", ".join(f"{name} {text}" for name, text in about["peers"].items()),
    ]
    if figures.unfit:
        lines.append(f"NO FIGURE OF TIME HERE COUNTS: {figures.unfit}")
    return "\n".join(f"- {line}" for line in lines)


def _times(unit: Unit, contenders: dict[str, Times]) -> str:
    ours = next(iter(contenders.values()))
    rows = [_times_row(name, times, ours) for name, times in contenders.items()]
    head = [f"{unit.job}, {unit.size}", "min", "p99", "ratio of min", "of p99", "rounds", "calls"]
    return table([head, *rows])


def _times_row(name: str, times: Times, ours: Times) -> list[str]:
    if not times.seconds:
        return [name, f"not measured: {times.missing or 'it failed'}", *[""] * 5]
    ratios = ["-", "-"]
    if ours.seconds:
        ratios = [f"{times.min / ours.min:.2f}", f"{times.p99 / ours.p99:.2f}"]
    numbers = [str(len(times.seconds)), str(times.n_calls)]
    return [name, seconds(times.min), seconds(times.p99), *ratios, *numbers]


def _signals(figures: Figures) -> str:
    head = ["8k to 16k, 20 ms frames of int16", *SIGNAL.values()]
    rows = [
        [name, *(f"{quality[key]:.3g}" for key in SIGNAL)]
        for name, quality in figures.quality.items()
    ]
    rows += [[name, f"not measured: {why}", "", ""] for name, why in figures.absent.items()]
    return table([head, *rows])


def _targets(figures: Figures) -> str:
    head = ["to reach", "", "measured, by min", "by p99", ""]
    rows = [[v.row, v.reach, v.measured, v.p99, v.word] for v in judge(figures)]
    return table([head, *rows])


def seconds(value: float) -> str:
    """Write a time with three digits and its unit."""
    for unit, scale in (("ns", 1e9), ("µs", 1e6), ("ms", 1e3)):
        if value * scale < 999.5:
            return f"{value * scale:.3g} {unit}"
    return f"{value:.3g} s"


def table(rows: Sequence[Sequence[str]]) -> str:
    """Lay out rows as a Markdown table that reads well in a terminal too; the first is the head."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["| " + " | ".join(map(str.ljust, row, widths)) + " |" for row in rows]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)
