"""Finds libsoxr: in the soxr wheel, on the system, or through python-soxr's own class.

Nothing is loaded before the first `soxr_stream` or `describe`. Which one was found is kept for the
life of the process.
"""

import importlib
import importlib.util
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Unpack

from voice_ai.codec._soxr import Library, Soxr
from voice_ai.codec.pysoxr import PySoxr
from voice_ai.codec.soxr_design import SoxrDesign, SoxrOptions
from voice_ai.errors import UsageError

# Releases whose ABI is that of ext/voice_ai/codec/soxr_abi.h.
VERSIONS = "libsoxr-0.1."
ON_MACOS = ("libsoxr.0.dylib", "libsoxr.dylib")
SYSTEM_NAMES = ON_MACOS if sys.platform == "darwin" else ("libsoxr.so.0",)

# For a live call. Fed 20 ms at a time over 30 s, libsoxr never holds back more than 7.0 ms from 8
# to 16 kHz and from 16 to 8 (24 kHz: 12.7, 48: 15.4), where its own LQ holds 61 ms, HQ 115. Flat to
# 3.4 kHz within 0.001 dB, images and aliases of that 107 dB down. One block of 256 does it, of
# which the filter takes all but 6.7 ms: a stop band from 1.05 on needs 512, 22.5 ms.
LIVE: SoxrOptions = {
    "quality": "LQ",
    "phase": "minimum",
    "passband": 0.875,
    "stopband": 1.06,
    "log2_min_dft_size": 8,
    "log2_large_dft_size": 8,
}
# What python-soxr has for it, 61 ms. Its QQ holds 0.25 ms, and images only 10 dB down.
LIVE_IN_PYTHON: SoxrOptions = {"quality": "LQ"}


@dataclass(frozen=True, slots=True)
class Found:
    """What runs soxr streams here: libsoxr's functions, or with `library` None python-soxr."""

    name: str
    library: Library | None


def soxr_stream(in_rate: float, out_rate: float, **wanted: Unpack[SoxrOptions]) -> Soxr | PySoxr:
    """Open a stream of libsoxr, by whichever way there is to it.

    Args:
        in_rate: Hz of what comes in.
        out_rate: Hz of what goes out.
        **wanted: the other arguments of `SoxrDesign`.

    Raises:
        UsageError: an argument is out of its range or libsoxr refuses it; it needs libsoxr's C
            functions, which are not here; or there is no soxr at all.
    """
    design = SoxrDesign(in_rate, out_rate, **wanted)
    library = found().library
    return PySoxr(design) if library is None else Soxr(library, design)


def live_options() -> SoxrOptions:
    """Return the options of a stream in a live call: `LIVE`, or the best that python-soxr has.

    Raises:
        UsageError: there is no soxr at all.
    """
    return LIVE if found().library is not None else LIVE_IN_PYTHON


def describe() -> str:
    """Name what runs soxr streams, for logs and benches; looks for it if nobody has yet.

    E.g. "libsoxr-0.1.3, from the soxr wheel"; where there is none, what was tried.
    """
    try:
        return found().name
    except UsageError as missing:
        return f"none: {missing}"


@cache
def found() -> Found:
    """Look for libsoxr, once.

    Raises:
        UsageError: there is none; it says what was tried and what to install.
    """
    tried = []
    for where, path in candidates():
        try:
            library = Library(path)
        except OSError as refused:
            tried.append(f"{where} ({refused})")
            continue
        if library.version.startswith(VERSIONS):
            return Found(f"{library.version}, from {where}", library)
        tried.append(f"{where} (it is {library.version}, {VERSIONS}x is needed)")
    try:
        importlib.import_module("numpy")
        soxr = importlib.import_module("soxr")
    except ImportError as missing:
        tried.append(f"python-soxr ({missing})")
        raise UsageError(
            f"soxr is not here; tried {'; '.join(tried)}. Install it: `python -m pip install soxr`"
        ) from missing
    return Found(f"libsoxr-{soxr.__libsoxr_version__}, through python-soxr", None)


def candidates() -> Iterator[tuple[str, str]]:
    """Yield where libsoxr's C functions may be: in words, and as the loader takes it."""
    for path in _in_the_wheel():
        yield "the soxr wheel", str(path)
    for name in SYSTEM_NAMES:
        yield f"the system's {name}", name


def _in_the_wheel() -> Iterator[Path]:
    # Found, not imported: that would load NumPy. Wheels from 1.0 on export the C functions on Linux
    # and macOS, which is an accident of their build.
    spec = importlib.util.find_spec("soxr")
    for folder in (spec and spec.submodule_search_locations) or ():
        for suffix in EXTENSION_SUFFIXES:
            path = Path(folder, f"soxr_ext{suffix}")
            if path.is_file():
                yield path
