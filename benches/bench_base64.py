"""Base64, both ways: our kernels, which have no public name, beside `pybase64` and `binascii`.

The floor is memcpy: new bytes as long as the output.
"""

import binascii
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from benches.measuring import Unit, Work, memcpy
from benches.peers import peer
from voice_ai.codec import _base64

SIZES = {"160": 160, "1e6": 1_000_000}

CONTENDERS: dict[str, dict[str, Callable[[], Callable[[bytes], object]]]] = {
    "encode": {
        "ours": lambda: _base64.encode,
        "pybase64": lambda: peer("pybase64").b64encode,
        "binascii": lambda: lambda data: binascii.b2a_base64(data, newline=False),
    },
    "decode": {
        "ours": lambda: _base64.decode,
        "pybase64": lambda: peer("pybase64").b64decode,
        "pybase64, validate": lambda: lambda text: peer("pybase64").b64decode(text, validate=True),
        "binascii": lambda: binascii.a2b_base64,
    },
}
CASES = [(job, name) for job, each in CONTENDERS.items() for name in [*each, "memcpy"]]


@pytest.mark.parametrize(("job", "contender"), CASES)
@pytest.mark.parametrize("size", SIZES)
def bench_base64(measure: Any, size: str, job: str, contender: str) -> None:
    def prepare() -> Work:
        octets = np.random.default_rng(1).integers(0, 256, SIZES[size], np.uint8).tobytes()
        text = binascii.b2a_base64(octets, newline=False)
        data, made = (octets, text) if job == "encode" else (text, octets)
        if contender == "memcpy":
            return memcpy(len(made))
        call = CONTENDERS[job][contender]()
        assert call(data) == made
        return Work(call, (data,))

    measure(Unit(f"base64 {job}", size), contender, prepare)
