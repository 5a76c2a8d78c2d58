"""Whole frames out of separate libraries: what one writes who has no codec of his own.

A JSON parser, a base64 decoder, a µ-law decoder and a resampler, a call each; the message out is
made by joining bytes, which is cheaper than any JSON writer. What is float32 inside goes in and out
as int16, as a call needs it.
"""

import base64
import json
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benches.peers import peer
from benches.resamplers import PEERS

STREAM_SID = "MZ18ad3ab5a668481ce02b83e7395059f0"
HEAD = b'{"event":"media","streamSid":"' + STREAM_SID.encode() + b'","media":{"payload":"'
TAIL = b'"}}'

Resample = Callable[[bytes], Any]


def message(ulaw: bytes) -> str:
    """Write a message as Twilio does."""
    body = {"track": "inbound", "chunk": "17", "timestamp": "340"}
    media = body | {"payload": base64.b64encode(ulaw).decode()}
    fields = {"event": "media", "sequenceNumber": "18", "media": media, "streamSid": STREAM_SID}
    return json.dumps(fields, separators=(",", ":"))


def _int16(name: str, in_rate: int, out_rate: int) -> Resample:
    """Open a peer's stream for int16 octets; the result is any buffer of int16."""
    resampler = PEERS[name]
    stream = resampler.open(in_rate, out_rate)
    call, more = stream.call, stream.more
    if resampler.takes == "octets":
        return call
    if resampler.takes == "int16":
        return lambda pcm16: call(np.frombuffer(pcm16, np.int16))

    def by_float(pcm16: bytes) -> NDArray[np.int16]:
        made = call(np.frombuffer(pcm16, np.int16).astype(np.float32), *more)
        return np.clip(np.rint(made), -32768, 32767).astype(np.int16)

    return by_float


def _ways_in(fast: bool) -> tuple[Callable[[str], Any], Callable[[str], bytes]]:
    if fast:
        return peer("orjson").loads, peer("pybase64").b64decode
    return json.loads, base64.b64decode


def reader(resampler: str, *, fast: bool) -> Callable[[str], Any]:
    """Turn the text of a message into samples at 16 kHz."""
    loads, decode = _ways_in(fast)
    ulaw2lin = peer("audioop").ulaw2lin
    resample = _int16(resampler, 8000, 16000)
    return lambda text: resample(ulaw2lin(decode(loads(text)["media"]["payload"]), 2))


def writer(resampler: str, in_rate: int, *, fast: bool) -> Callable[[bytes], bytes]:
    """Turn samples into a message."""
    encode = peer("pybase64").b64encode if fast else base64.b64encode
    lin2ulaw = peer("audioop").lin2ulaw
    resample = _int16(resampler, in_rate, 8000)
    return lambda pcm16: HEAD + encode(lin2ulaw(resample(pcm16), 2)) + TAIL


# By name: the resampler, and whether JSON and base64 are the fast packages or the library's own.
PIPELINES = {
    "orjson, pybase64, audioop, soxr HQ": ("soxr.ResampleStream HQ", True),
    "orjson, pybase64, audioop, resample_poly": ("resample_poly, window precomputed", True),
    "orjson, pybase64, audioop, sinc_fastest": ("samplerate sinc_fastest", True),
    "orjson, pybase64, audioop, ratecv": ("audioop.ratecv", True),
    "json, base64, audioop, soxr HQ": ("soxr.ResampleStream HQ", False),
}
