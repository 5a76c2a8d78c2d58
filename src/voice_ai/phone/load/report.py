"""A load as programs read it and as people do: what it cost, what was lost, whether it counts."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from voice_ai.phone.load.histogram import Spread, spread
from voice_ai.phone.load.measure import added_delays, barge_ins, turn_latencies
from voice_ai.phone.load.run import Measured
from voice_ai.phone.load.stream import Counts
from voice_ai.phone.load.usage import Usage

# A caller that is later than this measures itself.
MAX_LATE_MS = 2.0
# Nor does a figure count when one of ours had no CPU left.
MAX_RIG_CORES = 0.9
BUSY = 0.8
# A host that takes as much is told as what may have made the callers late.
TOLD_STOLEN = 0.02
# Of what the services saw violated and the server was refused, so much is told.
MAX_TOLD = 20

Document = dict[str, Any]


def document(measured: Measured, how: Mapping[str, Any]) -> Document:
    """Return all of it as JSON has it; `how` says what was run, and is put in front."""
    calls = [counts for counts in measured.calls if counts is not None]
    services = measured.services or {}
    frames = {"in": _frames_in(calls, services), "out": _frames_out(calls, services)}
    result: Document = dict(how) | {
        "n_calls": measured.n_calls,
        "seconds": round(measured.seconds, 3),
        "frames": frames,
        "server": _server(measured, frames),
        "callers_late_ms": _ms(measured.late),
        "loop_lag_ms": measured.lag,
        "added_delay_ms": _delays(measured),
        "turn_ms": _turns(measured),
        "barge_in_ms": _ms(spread(barge_ins(measured.calls, services.get("turns", ())))),
        "rig": _rig(measured, services),
        "faults": dict(measured.faults.most_common()),
        "violations": _violations(calls, services),
        "calls": [_call(n, counts) for n, counts in enumerate(measured.calls)],
    }
    result["invalid"] = _invalid(measured)
    result["missed"] = _missed(result, measured)
    return {"valid": not result["invalid"], "ok": is_ok(result)} | result


def is_ok(result: Document) -> bool:
    """Whether the figures count and nothing was lost."""
    return not result["invalid"] and not result["missed"]


def _invalid(measured: Measured) -> list[str]:
    why = []
    late = measured.late
    if late is None:
        why.append("no caller sent a frame")
    elif late.p99 > MAX_LATE_MS:
        stolen = measured.stolen_s / measured.seconds
        host = f"; the machine's host took {stolen:.2f} cores" if stolen >= TOLD_STOLEN else ""
        told = f"the callers were late: p99 {late.p99:.2f} ms; {MAX_LATE_MS:g} are allowed"
        why.append(told + host)
    parts = {"callers": measured.rig_cpu_s, "services": measured.services_cpu_s or 0.0}
    for name, cpu_s in parts.items():
        if cpu_s / measured.seconds > MAX_RIG_CORES:
            why.append(f"the {name} took {cpu_s / measured.seconds:.2f} cores: they had no rest")
    return why


def _missed(result: Document, measured: Measured) -> list[str]:
    """Say what went wrong with the calls."""
    missed = []
    if measured.n_up < measured.n_calls:
        missed.append(f"{measured.n_up} of {measured.n_calls} calls were up at the end")
    for way, counts in result["frames"].items():
        for name in ("lost", "out_of_order", "held_back", "dead", "garbled", "unknown"):
            if counts.get(name):
                missed.append(f"{counts[name]} frames {way}: {name.replace('_', ' ')}")
    for what in ("faults", "violations"):
        if result[what]:
            missed.append(f"{len(result[what])} {what}")
    return missed


def _frames_in(calls: list[Counts], services: Mapping[str, Any]) -> Document:
    """Count the callers' frames, from them to Flux."""
    stt = services.get("stt", {})
    return {
        "sent": sum(counts.n_sent for counts in calls),
        "held_back": sum(counts.n_held_back for counts in calls),
        "received": stt.get("n_frames"),
        "lost": stt.get("n_lost"),
        "out_of_order": stt.get("n_out_of_order"),
        "unknown": stt.get("n_unknown"),
    }


def _frames_out(calls: list[Counts], services: Mapping[str, Any]) -> Document:
    """Count our voice's frames, from Aura to the callers."""
    heard = [counts.heard for counts in calls]
    return {
        "sent": services.get("tts", {}).get("n_frames"),
        "received": sum(one.n_frames for one in heard),
        "lost": sum(one.n_lost for one in heard),
        "late": sum(counts.n_late for counts in calls),
        "out_of_order": sum(one.n_out_of_order for one in heard),
        "dead": sum(one.n_dead for one in heard),
        "garbled": sum(one.n_garbled for one in heard),
    }


def _server(measured: Measured, frames: Document) -> Document | None:
    idle, begin, end = measured.idle, measured.begin, measured.end
    if idle is None or begin is None or end is None:
        return None
    cpu_s = end.cpu_s - begin.cpu_s
    n_in, n_out = frames["in"]["sent"], frames["out"]["received"]
    return {
        "cpu_s": round(cpu_s, 4),
        "cores": round(cpu_s / measured.seconds, 4),
        "cpu_us_per_frame_pair": _per(cpu_s * 1e6, (n_in + n_out) / 2),
        "cpu_us_per_frame_in": _per(cpu_s * 1e6, n_in),
        "calls_per_core": _per(BUSY * measured.n_calls, cpu_s / measured.seconds),
        "rss_kb_per_call": _per((end.rss - idle.rss) / 1024, measured.n_calls),
        "rss_mb": {"idle": _mb(idle), "begin": _mb(begin), "end": _mb(end)},
        "switches_per_s": round((end.n_switches - begin.n_switches) / measured.seconds),
        "n_processes": end.n_processes,
    }


def _per(what: float, of: float) -> float | None:
    return round(what / of, 2) if of else None


def _mb(one: Usage) -> float:
    return round(one.rss / 2**20, 2)


def _delays(measured: Measured) -> Document:
    messages = (measured.services or {}).get("messages")
    to_flux = added_delays(measured.calls, messages) if messages else []
    turns = (measured.services or {}).get("turns", ())
    latencies = turn_latencies(measured.calls, turns)
    return {"caller_to_flux": _ms(spread(to_flux)), "aura_to_caller": _ms(latencies[_VOICE])}


_VOICE = "first_audio_to_heard"


def _turns(measured: Measured) -> Document:
    turns = (measured.services or {}).get("turns", ())
    return {name: _ms(one) for name, one in turn_latencies(measured.calls, turns).items()}


def _rig(measured: Measured, services: Mapping[str, Any]) -> Document:
    taken = measured.services_cpu_s
    return {
        "callers_cores": round(measured.rig_cpu_s / measured.seconds, 4),
        "services_cores": None if taken is None else round(taken / measured.seconds, 4),
        "services_late_ms": services.get("late_ms"),
        "stolen_cores": round(measured.stolen_s / measured.seconds, 4),
    }


def _violations(calls: list[Counts], services: Mapping[str, Any]) -> list[str]:
    told = [violation for counts in calls for violation in counts.violations]
    return (told + list(services.get("violations", ())))[:MAX_TOLD]


def _call(n: int, counts: Counts | None) -> Document:
    if counts is None:
        return {"call": n, "sent": 0}
    heard = asdict(counts.heard)
    return {
        "call": n,
        "sent": counts.n_sent,
        "held_back": counts.n_held_back,
        "received": counts.heard.n_frames,
        "late": counts.n_late,
        **{name.removeprefix("n_"): heard[name] for name in heard if name != "n_octets"},
        "callers_late_max_ms": round(counts.late_ms, 3),
        "n_segments": len(counts.segments),
        "n_marks": counts.n_marks,
        "n_clears": len(counts.clears),
    }


def _ms(one: Spread | None) -> dict[str, float] | None:
    return one.as_dict() if one else None
