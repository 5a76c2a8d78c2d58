"""G.711, both laws, both ways: 20 ms of a call and a million samples, as new bytes.

Peers: `audioop` (from Python 3.13 on the package audioop-lts), a NumPy table, and the package
`g711`, whose samples are float32. The floor is memcpy: new bytes as long as the output.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from benches.measuring import Unit, Work, memcpy
from benches.peers import peer
from voice_ai.codec import g711

LAWS = {"µ-law": "ulaw", "A-law": "alaw"}
SIZES = {"160": 160, "1e6": 1_000_000}


def ours(law: str, job: str, data: bytes) -> Work:
    return Work(getattr(g711, f"{law}_{job}"), (data,))


def ours_into(law: str, job: str, data: bytes) -> Work:
    made = getattr(g711, f"{law}_{job}")(data)
    return Work(getattr(g711, f"{law}_{job}_into"), (data, bytearray(len(made))))


def audioop(law: str, job: str, data: bytes) -> Work:
    name = f"{law}2lin" if job == "decode" else f"lin2{law}"
    return Work(getattr(peer("audioop"), name), (data, 2))


def numpy_table(law: str, job: str, data: bytes) -> Work:
    if job == "decode":
        decoded = np.frombuffer(getattr(g711, f"{law}_decode")(bytes(range(256))), "<i2")
        return Work(lambda octets: decoded[np.frombuffer(octets, np.uint8)].tobytes(), (data,))
    all_samples = np.arange(65536).astype("<u2").tobytes()
    encoded = np.frombuffer(getattr(g711, f"{law}_encode")(all_samples), np.uint8)
    return Work(lambda pcm: encoded[np.frombuffer(pcm, "<u2")].tobytes(), (data,))


def package_g711(law: str, job: str, data: bytes) -> Work:
    call = getattr(peer("g711"), f"{job}_{law}")
    if job == "decode":
        return Work(call, (data,))
    return Work(call, (np.frombuffer(data, "<i2").astype(np.float32) / 32768,))


def floor(law: str, job: str, data: bytes) -> Work:
    return memcpy(2 * len(data) if job == "decode" else len(data) // 2)


CONTENDERS: dict[str, Callable[[str, str, bytes], Work]] = {
    "ours": ours,
    "ours, into": ours_into,
    "audioop": audioop,
    "numpy table": numpy_table,
    "g711 (float32)": package_g711,
    "memcpy": floor,
}
SAME = ("ours", "audioop", "numpy table")


def samples(law: str, job: str, n_samples: int) -> bytes:
    octets = np.random.default_rng(1).integers(0, 256, n_samples, np.uint8).tobytes()
    return octets if job == "decode" else getattr(g711, f"{law}_decode")(octets)


@pytest.mark.parametrize("contender", CONTENDERS)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("job", ["decode", "encode"])
@pytest.mark.parametrize("law", LAWS)
def bench_g711(measure: Any, law: str, job: str, size: str, contender: str) -> None:
    def prepare() -> Work:
        name = LAWS[law]
        data = samples(name, job, SIZES[size])
        work = CONTENDERS[contender](name, job, data)
        if contender in SAME:
            assert work.call(*work.args) == getattr(g711, f"{name}_{job}")(data)
        return work

    measure(Unit(f"{law} {job}", size), contender, prepare)
