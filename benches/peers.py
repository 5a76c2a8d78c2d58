"""The peers, each if it is here; one that is not is reported, never left out."""

import importlib
import platform
import sys
import warnings
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType

from benches.measuring import Missing

PACKAGES = {
    "audioop": "audioop-lts",
    "g711": "g711",
    "matplotlib": "matplotlib",
    "numpy": "numpy",
    "orjson": "orjson",
    "pybase64": "pybase64",
    "samplerate": "samplerate",
    "scipy.signal": "scipy",
    "soxr": "soxr",
}


@cache
def peer(name: str) -> ModuleType:
    """Import a peer.

    Raises:
        Missing: it is not installed; the text says by which package it would be.
    """
    with warnings.catch_warnings():
        # audioop announces its removal in Python 3.13.
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            return importlib.import_module(name)
        except ImportError as missing:
            raise Missing(f"{PACKAGES.get(name, name)} is not installed") from missing


def versions() -> dict[str, str]:
    """Name the version of each peer's package, or that it is missing."""
    found = {package: _version(package) for package in PACKAGES.values()}
    if sys.version_info < (3, 13):
        del found["audioop-lts"]
        found["audioop"] = f"of Python {platform.python_version()}"
    return found


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"
