"""The package as a library: its names, what importing it loads, and what a missing build says."""

import json
import runpy
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import voice_ai
from voice_ai import codec

NEW_MODULES = """
import json, sys
before = set(sys.modules)
import voice_ai
print(json.dumps(sorted({name.partition(".")[0] for name in set(sys.modules) - before})))
"""


@pytest.mark.parametrize(
    "missing", [path.stem for path in Path(codec.__file__).parent.glob("_*.pyi")]
)
def test_a_missing_extension_names_the_build_command(missing, monkeypatch):
    monkeypatch.delattr(codec, missing)
    monkeypatch.setitem(sys.modules, f"voice_ai.codec.{missing}", None)
    with pytest.raises(ImportError, match=r"python setup\.py build_ext --inplace") as refused:
        runpy.run_path(codec.__file__)
    assert missing in str(refused.value)


def test_importing_it_loads_no_event_loop_no_numpy_and_no_sdk():
    ran = subprocess.run(
        [sys.executable, "-c", NEW_MODULES], capture_output=True, check=True, timeout=60
    )
    loaded = set(json.loads(ran.stdout))
    assert "voice_ai" in loaded
    unwanted = {"asyncio", "logging", "numpy", "soxr", "orjson", "websockets", "httptools"}
    assert not loaded & (unwanted | {"deepgram", "openai", "twilio", "pydantic", "httpx"})


def test_the_public_names_are_there():
    for name in voice_ai.__all__:
        assert getattr(voice_ai, name) is not None
    for name in codec.__all__:
        assert getattr(codec, name) is not None


def test_info_names_what_does_each_job():
    kernels = {"avx2", "neon", "sse2", "portable"}
    info = codec.info()
    assert list(info) == ["g711", "fir", "base64", "soxr"]
    assert {info["g711"], info["fir"], info["base64"]} <= kernels
    assert info["soxr"].startswith("libsoxr-0.1.")


def test_the_version_is_the_projects():
    project = Path(__file__).parents[2] / "pyproject.toml"
    assert voice_ai.__version__ == tomllib.loads(project.read_text())["project"]["version"]
