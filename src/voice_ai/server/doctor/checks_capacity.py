"""How many calls there is room for: the settings', the services', and the machine's own limits."""

from typing import Final

from voice_ai.server.doctor.outcome import Check, Outcome, check, failed, ok, skipped, warning
from voice_ai.server.doctor.situation import Situation
from voice_ai.server.providers import LOCAL_CALLS, capacity
from voice_ai.server.running import MAX_DESCRIPTORS
from voice_ai.server.settings import Settings

# Of one call: its stream, Flux's, Aura's, and the model's connection (docs/LOAD.md).
DESCRIPTORS_A_CALL: Final = 4
# Files, the event loop, the port, and connections that wait for their client.
DESCRIPTORS_BESIDE: Final = 128
# Measured with `python -m server load`: 95 MB idle, 0.4 MB a call; 400 MB with the local models.
PROCESS_MB: Final = 100
LOCAL_MB: Final = 400
CALL_MB: Final = 0.4
MB: Final = 1024 * 1024


def _limits(settings: Settings) -> dict[str, int]:
    """Return what bounds the calls at once, by the variables' names."""
    limits = {
        "MAX_CALLS": settings.max_calls,
        "FLUX_CONCURRENCY": (
            settings.flux_concurrency - settings.n_spares if settings.stt == "deepgram" else None
        ),
        "AURA_CONCURRENCY": settings.aura_concurrency if settings.tts == "deepgram" else None,
        "LLM_CONCURRENCY": settings.llm_concurrency if settings.llm == "openai" else None,
        "what local models carry": (
            LOCAL_CALLS if "local" in (settings.stt, settings.tts) else None
        ),
    }
    return {name: limit for name, limit in limits.items() if limit is not None}


@check(
    "concurrency",
    "Callers hear that all lines are busy, long before MAX_CALLS.",
    "Ask the vendors for more concurrent streams, then raise FLUX_CONCURRENCY and "
    "AURA_CONCURRENCY to what they gave; or lower MAX_CALLS.",
)
def concurrency(situation: Situation) -> Outcome:
    """Say how many calls fit, and which limit is the narrowest."""
    settings = situation.settings
    n_calls, limits = capacity(settings), _limits(settings)
    narrowest = min(limits, key=lambda name: limits[name])
    if n_calls < 1:
        return failed(f"no call fits: {narrowest} leaves {n_calls}")
    if settings.max_calls is not None and settings.max_calls > n_calls:
        return warning(f"MAX_CALLS={settings.max_calls}, but {narrowest} is {n_calls}")
    return ok(f"{n_calls} calls at once, by {narrowest}")


@check(
    "descriptors",
    "With many calls new ones fail, and the log has “Too many open files”.",
    "Raise the hard limit: `ulimit -Hn 10240`, systemd's `LimitNOFILE=10240`, Docker's "
    "`--ulimit nofile=10240:10240`.",
)
def descriptors(situation: Situation) -> Outcome:
    """Compare the file descriptors that a process may have with what its calls take."""
    n_calls = capacity(situation.settings)
    needed = n_calls * DESCRIPTORS_A_CALL + DESCRIPTORS_BESIDE
    most = min(situation.machine.max_descriptors, MAX_DESCRIPTORS)
    told = f"{most} file descriptors, {needed} for {n_calls} calls"
    if most < needed:
        where = " in this container" if situation.machine.in_container else ""
        return failed(f"{told}{where}")
    return ok(told)


@check(
    "cpus",
    "Voices stutter, or callers are told that lines are busy, and one core is full.",
    "Take as many `--workers` as there are CPUs, and no more; a container needs that quota.",
)
def cpus(situation: Situation) -> Outcome:
    """Compare the processes with the CPUs that they may use."""
    settings, n_cpus = situation.settings, situation.machine.n_cpus
    told = f"{n_cpus:g} CPUs, WORKERS={settings.workers}"
    if settings.workers > max(1.0, n_cpus):
        return warning(f"{told}: the processes take them from each other")
    if n_cpus < 1:
        return warning(f"{told}: less than one core, so that voices wait for their turn")
    if "local" in (settings.stt, settings.tts) and n_cpus < 2:
        return warning(f"{told}: {LOCAL_CALLS} calls of local models need two")
    return ok(told)


@check(
    "memory",
    "The server disappears under load; the kernel's log has “Out of memory”, Docker's 137.",
    "Give it more memory, fewer WORKERS (each loads the local models), or fewer MAX_CALLS.",
)
def memory(situation: Situation) -> Outcome:
    """Compare the memory with what processes, models and calls take."""
    settings, octets = situation.settings, situation.machine.memory_octets
    if octets is None:
        return skipped("how much memory there is cannot be told here")
    is_local = "local" in (settings.stt, settings.tts, *settings.tts_fallback)
    a_process = LOCAL_MB if is_local else PROCESS_MB
    needed = settings.workers * a_process + capacity(settings) * CALL_MB
    told = (
        f"{octets / MB:.0f} MB, {needed:.0f} MB for {settings.workers} x {a_process} MB and calls"
    )
    if octets / MB < needed:
        return failed(told)
    return ok(told)


CHECKS: Final[tuple[Check, ...]] = (concurrency, descriptors, cpus, memory)
