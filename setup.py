"""Builds the compiled modules: `ext/a/b.pyx` becomes the module `a.b`.

`VOICE_AI_TRACE=1` makes a slow build whose lines coverage can see, and which no benchmark may use.
"""

import os
import sys
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

TRACED = os.environ.get("VOICE_AI_TRACE") == "1"

DIRECTIVES = {
    "language_level": 3,
    "boundscheck": False,
    "wraparound": False,
    "cdivision": True,
    "initializedcheck": False,
    "nonecheck": False,
    # Plain built-in functions: a call costs less than one of Cython's own function type, and
    # stubtest reads the signature that "clinic" leaves in the docstring.
    "binding": False,
    "embedsignature": True,
    "embedsignature.format": "clinic",
    "autotestdict": False,
    "linetrace": TRACED,
}
MACROS: list[tuple[str, str | None]] = [
    # The old tracer also on Python 3.13: coverage's Cython plugin reads no other.
    ("CYTHON_TRACE", "1"),
    ("CYTHON_TRACE_NOGIL", "1"),
    ("CYTHON_USE_SYS_MONITORING", "0"),
]
if sys.platform == "win32":
    FLAGS = ["/O2", "/W3"]
else:
    FLAGS = ["-O3", "-Wall", "-Wextra", "-Wno-unused-parameter"]


def extension(source: Path) -> Extension:
    """Name the module by its path below `ext/`."""
    headers = [*source.parent.glob("*.h"), *source.parent.glob("*.pxd")]
    return Extension(
        ".".join(source.relative_to("ext").with_suffix("").parts),
        [source.as_posix()],
        include_dirs=[source.parent.as_posix()],
        define_macros=MACROS if TRACED else [],
        extra_compile_args=FLAGS,
        depends=sorted(header.as_posix() for header in headers),
    )


setup(
    ext_modules=cythonize(
        [extension(source) for source in sorted(Path("ext").rglob("*.pyx"))],
        include_path=["ext"],
        compiler_directives=DIRECTIVES,
        force=TRACED,
    )
)
