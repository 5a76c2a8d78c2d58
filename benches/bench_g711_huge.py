"""Decoding a hundred million octets into a buffer that is there: the memory's speed, or ours?

memcpy of the input moves 100 MB to 100 MB, decoding 100 MB to 200 MB.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest

from benches.measuring import Unit, Work
from voice_ai.codec import g711

N_SAMPLES = 100_000_000
ROUNDS = 2


@cache
def octets() -> bytes:
    return np.random.default_rng(1).integers(0, 256, N_SAMPLES, np.uint8).tobytes()


def ours(law: str) -> Work:
    into = getattr(g711, f"{law}_decode_into")
    return Work(into, (octets(), bytearray(2 * N_SAMPLES)), rounds=ROUNDS)


def memcpy_input(law: str) -> Work:
    room = memoryview(bytearray(N_SAMPLES))
    return Work(room.__setitem__, (slice(None), octets()), rounds=ROUNDS)


def memcpy_output(law: str) -> Work:
    room = memoryview(bytearray(2 * N_SAMPLES))
    return Work(room.__setitem__, (slice(None), octets() * 2), rounds=ROUNDS)


CONTENDERS: dict[str, Callable[[str], Work]] = {
    "ours, into": ours,
    "memcpy of the input": memcpy_input,
    "memcpy of the output": memcpy_output,
}


@pytest.mark.parametrize("contender", CONTENDERS)
@pytest.mark.parametrize("law", ["µ-law", "A-law"])
def bench_g711_huge(measure: Any, law: str, contender: str) -> None:
    name = {"µ-law": "ulaw", "A-law": "alaw"}[law]
    measure(Unit(f"{law} decode", "1e8"), contender, lambda: CONTENDERS[contender](name))
