"""What callers and services saw, put together on their one clock: delays, turns, barge-in."""

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from voice_ai.phone.load.histogram import Spread, spread
from voice_ai.phone.load.stream import Counts

LAG = "voice_ai_loop_lag_seconds"
# A segment's number is told modulo this.
N_NUMBERS = 256
# A clear that comes later after a start of turn than this has another cause.
CLEAR_WITHIN_S = 2.0
# A turn's stages in their order: each from the one before.
STAGES = ("end_of_turn", "request", "first_token", "first_text", "first_audio", "heard")

Calls = Sequence[Counts | None]
Turn = Mapping[str, Any]


def added_delays(calls: Calls, messages: Mapping[str, Sequence[Any]]) -> list[float]:
    """Return, for each message to Flux, the ms since its last frame was sent by its caller."""
    delays = []
    for call, frame, at in zip(*(messages[key] for key in ("call", "frame", "at")), strict=True):
        counts = calls[call] if 0 <= call < len(calls) else None
        if counts is None:
            continue
        place = frame - counts.first_frame
        if 0 <= place < len(counts.sent_at):
            delays.append((at - counts.sent_at[place]) * 1000)
    return delays


def turn_latencies(calls: Calls, turns: Iterable[Turn]) -> dict[str, Spread | None]:
    """Return each stage's latency in ms, and `total`: end of turn to the caller's first frame."""
    heard = _heard(calls)
    stages: dict[str, list[float]] = {f"{a}_to_{b}": [] for a, b in pairwise(STAGES)}
    stages["total"] = []
    for turn in turns:
        times = [turn.get(name) for name in STAGES[:-1]] + [_first_heard(heard, turn)]
        for name, (before, after) in zip(stages, pairwise(times), strict=False):
            if before is not None and after is not None:
                stages[name].append((after - before) * 1000)
        if times[0] is not None and times[-1] is not None:
            stages["total"].append((times[-1] - times[0]) * 1000)
    return {name: spread(times) for name, times in stages.items()}


def _heard(calls: Calls) -> dict[tuple[int, int], list[float]]:
    """Index when segments were heard by who spoke them and which they were; times in order."""
    index: dict[tuple[int, int], list[float]] = {}
    for counts in calls:
        for segment in counts.segments if counts else ():
            index.setdefault((segment.source, segment.number), []).append(segment.at)
    for times in index.values():
        times.sort()
    return index


def _first_heard(heard: Mapping[tuple[int, int], Sequence[float]], turn: Turn) -> float | None:
    segment, since = turn.get("segment"), turn.get("first_audio")
    if segment is None or since is None:
        return None
    return _after(heard.get((segment[0], segment[1] % N_NUMBERS), ()), since)


def _after(times: Sequence[float], since: float) -> float | None:
    place = bisect_left(times, since)
    return times[place] if place < len(times) else None


def barge_ins(calls: Calls, turns: Iterable[Turn]) -> list[float]:
    """Return the ms from each start of turn to the clear that it caused; none where nothing played.

    The time of a start of turn is when the service wrote it.
    """
    found = []
    for turn in turns:
        since, call = turn.get("start_of_turn"), turn["call"]
        counts = calls[call] if 0 <= call < len(calls) else None
        if since is None or counts is None:
            continue
        at = _after(counts.clears, since)
        if at is not None and at - since < CLEAR_WITHIN_S:
            found.append((at - since) * 1000)
    return found


def buckets(metrics: str) -> dict[float, float] | None:
    """Read the loop's lag from a server's metrics: how many times it was at most so many seconds.

    None of a server that does not tell it.
    """
    found: dict[float, float] = {}
    for family in text_string_to_metric_families(metrics):
        for sample in family.samples if family.name == LAG else ():
            if sample.name == f"{LAG}_bucket":
                edge = float(sample.labels["le"])
                found[edge] = found.get(edge, 0.0) + sample.value
    return found or None


def lag(
    before: Mapping[float, float] | None, after: Mapping[float, float] | None
) -> dict[str, float] | None:
    """Return the lag's quantiles in ms between two readings: the upper edges of their buckets.

    A quantile above the last bucket is told as that bucket's edge.
    """
    if not before or not after:
        return None
    edges = sorted(after)
    counts = array("d", (after[edge] - before.get(edge, 0.0) for edge in edges))
    if not counts[-1]:
        return None
    quantiles = {"p50": 0.5, "p99": 0.99, "p99_9": 0.999}
    finite = [edge for edge in edges if edge != float("inf")]
    return {
        name: round(1000 * min(edges[bisect_left(counts, q * counts[-1])], finite[-1]), 3)
        for name, q in quantiles.items()
    } | {"n": counts[-1]}
