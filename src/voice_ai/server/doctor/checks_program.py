"""The program itself: Python, the compiled codec and its kernels, libsoxr, uvloop, packages."""

import ast
import importlib.metadata
import importlib.util
import sys
from importlib import import_module
from pathlib import Path
from typing import Final

from voice_ai import __version__, codec
from voice_ai.server.doctor.outcome import Check, Outcome, check, failed, ok, warning
from voice_ai.server.doctor.situation import Situation

# pyproject.toml, requires-python.
PYTHONS: Final = ((3, 11), (3, 14))
# Processors for which the codec has kernels of its own.
FAST_ARCHS: Final = ("x86_64", "AMD64", "aarch64", "arm64")
REBUILD: Final = "Build it in the source folder: `python -m pip install -e .`"
# What serves with keys: import name -> the name that pip knows.
REMOTE_PACKAGES: Final = {
    "deepgram": {"deepgram": "deepgram-sdk", "websockets.legacy": "websockets<18"},
    "openai": {"openai": "openai", "httpx2": "httpx2", "aiohttp": "aiohttp"},
    "twilio": {"twilio": "twilio"},
}


@check(
    "python",
    "`pip install` builds for minutes and fails, or a package cannot be imported.",
    "Use Python 3.11, 3.12, 3.13 or 3.14.",
)
def python(situation: Situation) -> Outcome:
    """Compare Python's version with those that are tested."""
    version = ".".join(map(str, situation.machine.python))
    least, most = PYTHONS
    if not least <= situation.machine.python[:2] <= most:
        return failed(f"Python {version} is not among those that are tested")
    return ok(f"Python {version}, {situation.machine.arch}")


@check(
    "codec",
    "After an update the server ends at start with an ImportError or an AttributeError of `codec`.",
    f"The compiled part is older than the source. {REBUILD}.",
)
def compiled_codec(situation: Situation) -> Outcome:
    """Look whether the compiled modules have all that the source expects of them."""
    stubs = sorted(Path(codec.__file__).parent.glob("_*.pyi"))
    missing = []
    for stub in stubs:
        module = import_module(f"voice_ai.codec.{stub.stem}")
        names = [
            node.name
            for node in ast.parse(stub.read_text()).body
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
        ]
        missing += [f"{stub.stem}.{name}" for name in names if not hasattr(module, name)]
    if missing:
        return failed(f"the compiled codec lacks {', '.join(missing)}")
    return ok(f"{len(stubs)} compiled modules, for {sys.implementation.cache_tag}")


@check(
    "version",
    "An update changes nothing, or the server says another version than you installed.",
    "Install once more with the Python that starts the server: `python -m pip install -e .`.",
)
def version(situation: Situation) -> Outcome:
    """Compare the version of the source with the one that pip has installed."""
    try:
        installed = importlib.metadata.version("voice_ai")
    except importlib.metadata.PackageNotFoundError:
        return warning(f"voice_ai {__version__} is run from a folder, pip has not installed it")
    if installed != __version__:
        return warning(f"pip has installed {installed}, and {__version__} runs")
    return ok(f"voice_ai {__version__}")


@check(
    "kernels",
    "A call takes more of the processor than the README says.",
    f"The codec runs its portable loops: give the machine AVX2 (or NEON), or rebuild. {REBUILD}.",
)
def kernels(situation: Situation) -> Outcome:
    """Name the codec's kernels."""
    named = {name: kernel for name, kernel in codec.info().items() if name != "soxr"}
    told = ", ".join(f"{name} {kernel}" for name, kernel in named.items())
    if "portable" in named.values() and situation.machine.arch in FAST_ARCHS:
        return warning(f"{told}, on {situation.machine.arch}")
    return ok(told)


@check(
    "soxr",
    "With RESAMPLER=soxr callers and agent speak into each other, or the server does not start.",
    "Unset RESAMPLER (the FIR has 1.7 ms of delay), or `python -m pip install soxr` from a wheel.",
)
def soxr(situation: Situation) -> Outcome:
    """Name the libsoxr that was found."""
    name = codec.info()["soxr"]
    is_used = situation.settings.resampler == "soxr"
    if name.startswith("none"):
        return failed(name) if is_used else warning(name)
    if is_used and "python-soxr" in name:
        return warning(f"{name}: it delays a live call by 61 ms each way, the C functions by 7")
    return ok(name if is_used else f"{name}; live calls are resampled by the FIR")


@check(
    "event-loop",
    "The server does not start: there is no module uvloop.",
    "`python -m pip install uvloop`, on Linux or macOS.",
)
def event_loop(situation: Situation) -> Outcome:
    """Look whether uvloop is there."""
    if importlib.util.find_spec("uvloop") is None:
        return failed("uvloop is not installed")
    return ok(f"uvloop {importlib.metadata.version('uvloop')}")


@check(
    "packages",
    "The server ends at start: an adapter “cannot be used”, or a call fails with an ImportError.",
    "Install what is missing, at best all of it: `python -m pip install -r requirements.lock`.",
)
def packages(situation: Situation) -> Outcome:
    """Look whether the SDKs that serve are installed."""
    settings = situation.settings
    used = {
        "deepgram": "deepgram" in (settings.stt, settings.tts),
        "openai": settings.llm == "openai",
        "twilio": True,
    }
    wanted = {k: v for name in used if used[name] for k, v in REMOTE_PACKAGES[name].items()}
    missing = [pip_name for module, pip_name in wanted.items() if not _is_there(module)]
    if missing:
        return failed(f"not installed: {', '.join(missing)}")
    return ok(", ".join(name for name, is_used in used.items() if is_used))


def _is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


@check(
    "clean-log",
    "What callers say, or more than you want of it, is in the log.",
    "Unset LOG_TRANSCRIPTS and DEBUG where real people call.",
)
def clean_log(situation: Situation) -> Outcome:
    """Say what the log tells of callers."""
    settings = situation.settings
    if settings.log_transcripts:
        return warning("LOG_TRANSCRIPTS=1: what is said is written into the log")
    if settings.debug and settings.is_public:
        return warning("DEBUG=1 on a public address: asyncio's debug mode slows every call")
    return ok("no words of callers")


CHECKS: Final[tuple[Check, ...]] = (
    python,
    compiled_codec,
    version,
    kernels,
    soxr,
    event_loop,
    packages,
    clean_log,
)
