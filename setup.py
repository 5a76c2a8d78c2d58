"""Builds the compiled modules: `ext/a/b.pyx` becomes the module `a.b`.

Two slow flavours, which no benchmark may use: `VOICE_AI_TRACE=1` for coverage of the lines,
`VOICE_AI_SANITIZE=1` for GCC's or Clang's Address- and UndefinedBehaviourSanitizer. `.ci/flavour`
builds each in a tree of its own and runs the tests there.
"""

import os
import sys
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

TRACED = os.environ.get("VOICE_AI_TRACE") == "1"
SANITIZED = os.environ.get("VOICE_AI_SANITIZE") == "1"

# Not among them: freethreading_compatible, until the tests have run on a free-threaded Python.
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
    # The old tracer also on Python 3.13 and later: coverage's Cython plugin reads no other.
    ("CYTHON_TRACE", "1"),
    ("CYTHON_TRACE_NOGIL", "1"),
    ("CYTHON_USE_SYS_MONITORING", "0"),
]
SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
# Python's own -fwrapv would make every overflow a defined one.
STRICT = ["-O1", "-g", "-fno-wrapv", "-fno-omit-frame-pointer"]
if sys.platform == "win32":
    FLAGS = ["/O2", "/W3"]
else:
    FLAGS = ["-O3", "-Wall", "-Wextra", "-Wno-unused-parameter"]
if SANITIZED:
    FLAGS += STRICT + SANITIZERS
# dlopen was a library of its own until glibc 2.34.
LIBRARIES = ["dl"] if sys.platform == "linux" else []


def extension(source: Path) -> Extension:
    """Name the module by its path below `ext/`."""
    headers = [*source.parent.glob("*.h"), *source.parent.glob("*.pxd")]
    return Extension(
        ".".join(source.relative_to("ext").with_suffix("").parts),
        [source.as_posix()],
        include_dirs=[source.parent.as_posix()],
        define_macros=MACROS if TRACED else [],
        extra_compile_args=FLAGS,
        extra_link_args=SANITIZERS if SANITIZED else [],
        libraries=LIBRARIES,
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
