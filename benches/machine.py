"""What the figures were measured on, and what would make them worthless."""

import os
import platform
import sys
import sysconfig
from pathlib import Path
from typing import Any

from benches.peers import versions
from voice_ai import codec


def machine() -> dict[str, Any]:
    """Describe the processor, the Python, our kernels and the peers' versions."""
    return {
        "cpu": _cpu(),
        "n_cpus": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": _python(),
        "kernels": codec.info(),
        "peers": versions(),
    }


def _python() -> str:
    name = f"{platform.python_implementation()} {platform.python_version()}"
    options = sysconfig.get_config_var("CONFIG_ARGS") or ""
    # Every call costs more in such a build, and the peers' share of a call is not ours.
    return name if "--enable-optimizations" in options else f"{name}, built without PGO"


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def why_unfit() -> str:
    """Say why this build or this run proves nothing about speed; "" if it does."""
    if is_traced():
        return "the modules are built for tracing (VOICE_AI_TRACE=1)"
    if sys.gettrace() is not None:
        return "a tracer runs"
    return ""


def is_traced() -> bool:
    """Whether the lines of our compiled modules can be seen by a tracer: ask with a tracer."""
    seen: list[str] = []

    def tracer(frame: Any, event: str, arg: object) -> Any:
        seen.append(frame.f_code.co_filename)
        return tracer

    before = sys.gettrace()
    sys.settrace(tracer)
    try:
        codec.ulaw_decode(b"")
    finally:
        sys.settrace(before)
    return any(name.endswith((".pyx", ".pxd")) for name in seen)
