"""Runs of the load rig as subprocesses: which programs, how each is started, what it told."""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benches.load.rows import FASTAPI, OURS, RAW, WINDOW, Calls, Load

PEERS = Path(__file__).parent / "peers"
SDK, PIPECAT = "websockets, SDK", "pipecat"
BATCHED = "FastAPI, 80 ms"
# Beside what is asked for: services and server come up, calls are opened and closed.
OVERHEAD_S = 120.0
# What to say of a run that failed: the end of what it wrote.
TAIL = 300

WAYS: Mapping[str, Sequence[str]] = {
    "PCM16": (),
    "100 ms bursts": ("--tts-chunk-ms", "100"),
    "mulaw": ("--stt-audio", "mulaw/8000", "--tts-audio", "mulaw/8000"),
    "barge-in": ("--barge-in",),
}
COMMANDS: Mapping[str, Sequence[str]] = {
    OURS: (),
    FASTAPI: ("fastapi_design.py",),
    WINDOW: ("fastapi_design.py", "--window"),
    BATCHED: ("fastapi_design.py", "--batch-ms", "80"),
    SDK: ("websockets_sdk.py",),
    RAW: ("raw_uvloop.py",),
    PIPECAT: ("pipecat_twilio.py",),
}
NEEDS: Mapping[str, Sequence[str]] = {
    FASTAPI: ("fastapi", "uvicorn", "scipy"),
    WINDOW: ("fastapi", "uvicorn", "scipy"),
    BATCHED: ("fastapi", "uvicorn", "scipy"),
}


@dataclass(frozen=True, slots=True)
class Rig:
    """How long the rig measures, and with which Python pipecat runs; times in s."""

    seconds: float
    warmup: float
    pipecat_python: Path

    def absent(self) -> Iterator[tuple[str, str]]:
        """Yield the programs that cannot run here, and why."""
        for program, modules in NEEDS.items():
            if missing := [module for module in modules if find_spec(module) is None]:
                yield program, f"{', '.join(missing)} not installed"
        if not self.pipecat_python.exists():
            yield PIPECAT, f"not installed: no {self.pipecat_python}"

    def run(self, load: Load) -> dict[str, Any]:
        """Put a load on a program and return the rig's document of it; a failure is one too."""
        command = [sys.executable, "-m", "server", "load", "--json", *WAYS[load.way]]
        command += ["--calls", str(load.n_calls), "--seconds", f"{self.seconds:g}"]
        command += ["--warmup", f"{self.warmup:g}", *self._program(load.program)]
        limit_s = self.seconds + self.warmup + OVERHEAD_S
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=limit_s, check=False
            )
            document = json.loads(done.stdout)
        except subprocess.TimeoutExpired:
            return _failed(f"no end within {limit_s:g} s")
        except json.JSONDecodeError:
            return _failed((done.stderr or done.stdout).strip()[-TAIL:])
        return document if isinstance(document, dict) else _failed("no document of one load")

    def _program(self, program: str) -> list[str]:
        if not COMMANDS[program]:
            return []
        python = self.pipecat_python if program == PIPECAT else Path(sys.executable)
        file, *options = COMMANDS[program]
        return ["--program", shlex.join([str(python), str(PEERS / file), *options])]


def _failed(why: str) -> dict[str, Any]:
    return {"valid": False, "invalid": [f"the run failed: {why}"], "missed": []}


def plan(calls: Calls, ways: Sequence[str], *, batched: bool) -> list[Load]:
    """Return what is to be measured; those that are compared are neighbours."""
    programs = {
        "PCM16": [OURS, FASTAPI, WINDOW, SDK, RAW, PIPECAT, *([BATCHED] if batched else [])],
        "100 ms bursts": [OURS, FASTAPI, RAW],
        "mulaw": [OURS, RAW, FASTAPI],
    }
    loads = []
    for way in ways:
        if way in programs:
            loads += [Load(program, calls.few, way) for program in programs[way]]
            if way != "mulaw":  # Which is told beside the peers' PCM16.
                loads += [Load(program, calls.peers, way) for program in (FASTAPI, WINDOW)]
            loads += [Load(program, calls.full, way) for program in (OURS, RAW)]
    if "PCM16" in ways:
        loads += [Load(OURS, n_calls) for n_calls in (calls.middle, calls.many)]
    if "barge-in" in ways:
        loads.append(Load(OURS, calls.many, "barge-in"))
    return loads


def machine() -> dict[str, Any]:
    """Return what the figures were measured on."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    cpus = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "cpu": cpus[0] if cpus else "unknown",
        "n_cpus": os.cpu_count(),
        "python": sys.version.split()[0],
        "load_average": os.getloadavg()[0],
    }
