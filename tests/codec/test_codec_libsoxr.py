"""Where libsoxr comes from: the wheel, the system, python-soxr, or nowhere."""

import importlib
import json
import subprocess
import sys

import pytest

from voice_ai.codec import _door, libsoxr
from voice_ai.codec._soxr import Library, Soxr
from voice_ai.codec.pysoxr import PySoxr
from voice_ai.errors import UsageError

WHERE = list(libsoxr.candidates())
IN_THE_WHEEL = [(where, path) for where, path in WHERE if where == "the soxr wheel"]
LOADED = """
import json, sys
from pathlib import Path
maps = Path("/proc/self/maps")
def loaded():
    return "soxr" in sys.modules, "numpy" in sys.modules, "soxr_ext" in maps.read_text()
from voice_ai.codec import libsoxr
before = loaded()
n = len(libsoxr.soxr_stream(8000, 16000).process(bytes(320), last=True))
after = loaded()
import soxr
print(json.dumps([before, n, after, soxr.resample([0.0] * 99, 3, 2).size]))
"""


@pytest.fixture(autouse=True)
def afresh():
    libsoxr.found.cache_clear()
    yield
    libsoxr.found.cache_clear()


def only(monkeypatch, *candidates):
    monkeypatch.setattr(libsoxr, "candidates", lambda: iter(candidates))


def without(monkeypatch, name):
    monkeypatch.setitem(sys.modules, name, None)


def test_with_no_soxr_at_all_it_says_what_was_tried_and_what_to_install(monkeypatch):
    only(monkeypatch, ("the attic", "/no/such/libsoxr.so"))
    without(monkeypatch, "soxr")
    with pytest.raises(UsageError, match=r"the attic \(.*python-soxr .*pip install soxr"):
        libsoxr.soxr_stream(8000, 16000)
    assert libsoxr.describe().startswith("none: soxr is not here; tried the attic")
    with pytest.raises(UsageError, match="tried"):
        libsoxr.live_options()


def test_a_missing_numpy_is_a_missing_soxr(monkeypatch):
    only(monkeypatch)
    without(monkeypatch, "numpy")
    with pytest.raises(UsageError, match=r"tried python-soxr \(.*numpy"):
        libsoxr.found()


def test_bad_arguments_are_refused_before_anything_is_looked_for(monkeypatch):
    only(monkeypatch, ("the attic", "/no/such/libsoxr.so"))
    with pytest.raises(UsageError, match="in_rate is 0"):
        libsoxr.soxr_stream(0, 16000)
    assert libsoxr.found.cache_info().misses == 0


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/maps")
def test_nothing_is_loaded_before_the_first_stream_and_soxr_is_never_imported():
    ran = subprocess.run(
        [sys.executable, "-c", LOADED], capture_output=True, check=True, timeout=60
    )
    before, n_octets, after, n_resampled = json.loads(ran.stdout)
    assert before == [False, False, False]
    assert n_octets == 640
    assert after == [False, False, bool(IN_THE_WHEEL)]
    assert n_resampled == 66


@pytest.mark.skipif(not IN_THE_WHEEL, reason="this platform's wheel exports no C functions")
def test_the_wheels_comes_first():
    assert WHERE[0] == IN_THE_WHEEL[0]
    assert libsoxr.describe() == "libsoxr-0.1.3, from the soxr wheel"
    assert isinstance(libsoxr.soxr_stream(8000, 16000), Soxr)


def test_without_a_wheel_the_systems_is_looked_for(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert [path for _, path in libsoxr.candidates()] == list(libsoxr.SYSTEM_NAMES)
    tried = libsoxr.describe()
    assert tried.endswith((", from the system's libsoxr.so.0", "dylib", ", through python-soxr"))


def test_a_folder_without_the_extension_holds_no_candidate(monkeypatch, tmp_path):
    spec = importlib.util.find_spec("soxr")
    monkeypatch.setattr(spec, "submodule_search_locations", [str(tmp_path)])
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)
    assert [path for _, path in libsoxr.candidates()] == list(libsoxr.SYSTEM_NAMES)


def test_a_shared_object_that_is_not_libsoxr_is_passed_over(monkeypatch):
    with pytest.raises(OSError, match="does not export"):
        Library(_door.__file__)
    only(monkeypatch, ("a codec", _door.__file__), *WHERE)
    assert libsoxr.found().library.path == WHERE[0][1]


def test_another_version_is_passed_over_and_named(monkeypatch):
    only(monkeypatch, WHERE[0])
    monkeypatch.setattr(libsoxr, "VERSIONS", "libsoxr-9.")
    assert libsoxr.found().library is None
    without(monkeypatch, "soxr")
    libsoxr.found.cache_clear()
    with pytest.raises(UsageError, match=r"it is libsoxr-0\.1\.\d, libsoxr-9\.x is needed"):
        libsoxr.found()


def test_without_the_c_functions_python_soxr_runs(monkeypatch):
    only(monkeypatch)
    assert libsoxr.describe().endswith(", through python-soxr")
    stream = libsoxr.soxr_stream(8000, 16000)
    assert isinstance(stream, PySoxr)
    assert len(stream.process(bytes(320), last=True)) == 640
    with pytest.raises(UsageError, match="python-soxr has no phase"):
        libsoxr.soxr_stream(8000, 16000, phase="minimum")


def test_a_live_call_has_options_on_every_path(monkeypatch):
    assert libsoxr.live_options() is libsoxr.LIVE
    only(monkeypatch)
    libsoxr.found.cache_clear()
    options = libsoxr.live_options()
    assert options is libsoxr.LIVE_IN_PYTHON
    assert isinstance(libsoxr.soxr_stream(8000, 16000, **options), PySoxr)


@pytest.mark.parametrize("path", ["/no/such/libsoxr.so", "nul\0in it"])
def test_a_library_that_cannot_be_loaded_says_why(path):
    with pytest.raises((OSError, ValueError), match="such|null"):
        Library(path)
