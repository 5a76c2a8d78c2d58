"""A load's report for people, from the same document that programs read."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

MAX_LINES = 5
HEAD = ("calls", "cores", "us/pair", "calls/core", "late p99", "lag p99", "turn p99", "lost", "")


def as_text(result: Mapping[str, Any]) -> str:
    """Return the whole report of one load."""
    parts = [_title(result), _costs(result), _frames(result["frames"]), _times(result)]
    parts.append(_verdict(result))
    return "\n\n".join(part for part in parts if part)


def as_rows(results: Sequence[Mapping[str, Any]]) -> str:
    """Return a line for each load of a sweep."""
    rows = [list(HEAD)]
    for result in results:
        server = result["server"] or {}
        rows.append(
            [
                str(result["n_calls"]),
                _cell(server.get("cores"), 3),
                _cell(server.get("cpu_us_per_frame_pair"), 1),
                _cell(server.get("calls_per_core"), 0),
                _cell(_of(result["callers_late_ms"], "p99"), 2),
                _cell(_of(result["loop_lag_ms"], "p99"), 1),
                _cell(_of(result["turn_ms"]["total"], "p99"), 1),
                str(sum(one["lost"] or 0 for one in result["frames"].values())),
                "" if result["ok"] else "not valid" if not result["valid"] else "failed",
            ]
        )
    return "\n".join(_aligned(rows))


def _title(result: Mapping[str, Any]) -> str:
    what = result.get("program") or "voice_ai"
    return f"{result['n_calls']} calls, {result['seconds']:.1f} s, to {what}"


def _costs(result: Mapping[str, Any]) -> str:
    server, rig = result["server"], result["rig"]
    lines = []
    if server:
        rss = server["rss_mb"]
        lines += [
            ["CPU a frame pair", f"{_cell(server['cpu_us_per_frame_pair'], 1)} us"],
            ["CPU of the server", f"{server['cores']:.3f} cores"],
            ["calls a core, 80 % busy", _cell(server["calls_per_core"], 0)],
            ["memory a call", f"{_cell(server['rss_kb_per_call'], 0)} KB"],
            ["memory", f"{rss['idle']:.1f} MB idle, {rss['begin']:.1f} to {rss['end']:.1f} MB"],
        ]
    services = _cell(rig["services_cores"], 3)
    lines.append(["CPU of callers, services", f"{rig['callers_cores']:.3f}, {services} cores"])
    if rig["stolen_cores"]:
        lines.append(["taken by the host", f"{rig['stolen_cores']:.3f} cores"])
    return "\n".join(f"{name:<26}{value}" for name, value in lines)


def _frames(frames: Mapping[str, Mapping[str, int | None]]) -> str:
    names = ("sent", "received", "lost", "late", "out_of_order", "held_back", "dead", "garbled")
    rows = [["frames", *(name.replace("_", " ") for name in names)]]
    rows += [[way, *(_cell(frames[way].get(name), 0) for name in names)] for way in ("in", "out")]
    return "\n".join(_aligned(rows))


def _times(result: Mapping[str, Any]) -> str:
    rows = [["ms", "n", "p50", "p99", "p99.9", "max"]]
    rows += [row for name, times in _named(result) if (row := _row(name, times))]
    return "\n".join(_aligned(rows))


def _named(result: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, float] | None]]:
    yield "callers' own lateness", result["callers_late_ms"]
    yield "server's loop lag", result["loop_lag_ms"]
    yield "caller's frame to Flux", result["added_delay_ms"]["caller_to_flux"]
    for name, times in result["turn_ms"].items():
        yield ("end of turn to caller" if name == "total" else name.replace("_", " ")), times
    yield "start of turn to clear", result["barge_in_ms"]


def _row(name: str, times: Mapping[str, float] | None) -> list[str]:
    if not times:
        return []
    values = [_cell(times.get(key), 2) for key in ("p50", "p99", "p99_9", "max")]
    return [name, _cell(times["n"], 0), *values]


def _verdict(result: Mapping[str, Any]) -> str:
    lines = [f"Not valid: {why}." for why in result["invalid"]]
    lines += [f"Missed: {what}." for what in result["missed"]]
    for name in ("faults", "violations"):
        lines += [f"  {one}" for one in list(result[name])[:MAX_LINES]]
    return "\n".join(lines or ["Valid; nothing was lost."])


def _of(times: Mapping[str, float] | None, key: str) -> float | None:
    return times.get(key) if times else None


def _cell(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _aligned(rows: list[list[str]]) -> Iterator[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        yield "  ".join(cells).rstrip()
