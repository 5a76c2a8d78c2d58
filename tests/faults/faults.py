"""The rows of the matrix: what can befall a call's three services.

What befalls the wire is the same for all of them and is done by the proxy; the rest they do
themselves. A fault is a transient: it befalls one connection or request. Those at the end of each
list are for good.
"""

from collections.abc import Callable, Iterator
from functools import partial

from fakes.fault_proxy import FaultProxy, WireFault
from fakes.faults import Fault, VoiceFault
from faults.world import MatrixFault, Trouble

FLUX, AURA = "/v2/listen", "/v1/speak"
SERVICES: dict[str, Callable[[Trouble], tuple[FaultProxy, str]]] = {
    "flux": lambda trouble: (trouble.deepgram_wire, FLUX),
    "aura": lambda trouble: (trouble.deepgram_wire, AURA),
    "openai": lambda trouble: (trouble.openai_wire, "/v1/"),
}
# Handshakes; more than any call makes.
ALWAYS = 100
# Octets a second. Flux is sent 32,000, Aura's 8,000 are what is played.
SLOW = {"flux": 24_000.0, "aura": 6_000.0, "openai": 2_000.0}

WIRE = {
    "reset": WireFault("reset"),
    "reset in mid-message": WireFault("reset", after=120),
    "FIN from the service": WireFault("fin"),
    "FIN to the service": WireFault("fin", "up"),
    "nothing comes any more": WireFault("stall"),
    "stalls after 100 octets": WireFault("stall", after=100),
    "nothing goes out any more": WireFault("stall", "up"),
    "300 ms of delay each way": WireFault("delay", "both", 300),
    "up to 600 ms of jitter": WireFault("jitter", "down", 600),
    "a wrong octet in a head": WireFault("corrupt"),
    "a wrong octet in a message": WireFault("corrupt", amount=60),
    "a wrong octet sent": WireFault("corrupt", "up", amount=20),
}
WIRE_FOR_GOOD = {
    "refused for good": WireFault("reset"),
    "a black hole for good": WireFault("stall", "both"),
}


def _on_the_wire(service: str, name: str, fault: WireFault, *, for_good: bool) -> MatrixFault:
    def arm(trouble: Trouble) -> None:
        proxy, door = SERVICES[service](trouble)
        proxy.arm(fault, door, for_good=for_good)

    return MatrixFault(f"{service}: {name}", arm, for_good)


def _wire(service: str) -> Iterator[MatrixFault]:
    slow = WireFault("rate", "up" if service == "flux" else "down", SLOW[service])
    named = {**WIRE, f"{slow.amount:,.0f} octets a second": slow}
    for name, fault in named.items():
        yield _on_the_wire(service, name, fault, for_good=False)
    for name, fault in WIRE_FOR_GOOD.items():
        yield _on_the_wire(service, name, fault, for_good=True)


def _drop(trouble: Trouble, door: str) -> None:
    """Have a new connection made: the handshake is what fails."""
    if trouble.deepgram_wire.n_open(door):
        trouble.deepgram_wire.arm(WireFault("reset"), door)


def _flux(name: str, *faults: Fault, for_good: bool = False) -> MatrixFault:
    def arm(trouble: Trouble) -> None:
        if any(fault.refuse for fault in faults):
            _drop(trouble, FLUX)
        for fault in faults:
            trouble.flux.befall(fault)

    return MatrixFault(f"flux: {name}", arm, for_good)


def _flux_without_connected(trouble: Trouble) -> None:
    _drop(trouble, FLUX)
    trouble.flux.suffer([Fault(withholds="Connected")])


def _flux_refuses(trouble: Trouble) -> None:
    _drop(trouble, FLUX)
    trouble.flux.suffer([Fault(refuse=401)] * ALWAYS)


FLUX_ERROR = '{"type":"Error","code":"INTERNAL_SERVER_ERROR","description":"told to"}'
FLUX_FAULTS = (
    _flux("1011", Fault(1011)),
    _flux("1011 half a second later", Fault(1011, after_ms=500)),
    _flux("1000 in the middle of the call", Fault(1000)),
    _flux("an Error", Fault(1011, text=FLUX_ERROR)),
    _flux("half a JSON", Fault(text='{"type":"TurnInfo","event":"Upd')),
    _flux("Updates stop", Fault(withholds="Update")),
    _flux("open and silent", Fault()),
    _flux("429 at the next handshake", Fault(refuse=429)),
    _flux("500 at three handshakes", Fault(refuse=500), Fault(refuse=500), Fault(refuse=500)),
    MatrixFault("flux: no Connected", _flux_without_connected),
    MatrixFault("flux: 401 for good", _flux_refuses, for_good=True),
)


def _aura(name: str, fault: VoiceFault, *, barges: bool = False) -> MatrixFault:
    def arm(trouble: Trouble) -> None:
        if fault.refuse:
            _drop(trouble, AURA)
        trouble.aura.befall(fault)

    return MatrixFault(f"aura: {name}", arm, barges=barges)


def _aura_refuses(trouble: Trouble) -> None:
    _drop(trouble, AURA)
    for _ in range(ALWAYS):
        trouble.aura.befall(VoiceFault(refuse=401))


AURA_ERROR = '{"type":"Error","code":"INTERNAL","description":"told to"}'
AURA_FAULTS = (
    _aura("1011", VoiceFault(1011)),
    _aura("1011 after half a second of voice", VoiceFault(1011, after=4000)),
    _aura("an Error", VoiceFault(1011, text=AURA_ERROR)),
    _aura("half a JSON", VoiceFault(text='{"type":"Flus')),
    _aura("silent after half a second of voice", VoiceFault(after=4000, stalls=True)),
    _aura("Flushed never sent", VoiceFault(withholds="Flushed")),
    _aura("a Flush ignored, with a Warning", VoiceFault(withholds="Flush")),
    _aura("Cleared never sent", VoiceFault(withholds="Cleared"), barges=True),
    _aura("429 at the next handshake", VoiceFault(refuse=429)),
    MatrixFault("aura: 401 for good", _aura_refuses, for_good=True),
)


def _openai(name: str, kind: str, *, for_good: bool = False, **details: object) -> MatrixFault:
    details = {"at": "any", "live": True, "lasts": for_good, **details}
    arm = partial(_fail, kind, details)
    return MatrixFault(f"openai: {name}", arm, for_good)


def _fail(kind: str, details: dict[str, object], trouble: Trouble) -> None:
    trouble.openai.fail(kind, **details)  # type: ignore[arg-type]


OPENAI_FAULTS = (
    _openai("429, Retry-After 20 s", "status", status=429, code="rate", retry_after="20"),
    _openai("500", "status", status=500),
    _openai("no answer to a request", "mute"),
    _openai("first token after 4 s", "late", late_s=4.0),
    _openai("the stream is cut", "cut"),
    _openai("the stream is cut after 9 words", "cut", after_deltas=9),
    _openai("ends without an end", "end", after_deltas=3),
    _openai("half a JSON", "malformed", after_deltas=3),
    _openai("falls silent after 3 words", "stall", after_deltas=3),
    _openai("response.failed", "failed"),
    _openai("response.failed after 9 words", "failed", after_deltas=9),
    _openai("an error event", "error"),
    _openai("response.incomplete", "incomplete"),
    _openai("401 for good", "status", status=401, code="invalid_api_key", for_good=True),
    _openai("no tokens for good", "stall", for_good=True),
)

FAULTS = (
    *_wire("flux"),
    *FLUX_FAULTS,
    *_wire("aura"),
    *AURA_FAULTS,
    *_wire("openai"),
    *OPENAI_FAULTS,
)
