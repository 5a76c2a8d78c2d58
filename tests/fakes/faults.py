"""What can befall a connection to the stand-in for Flux."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fault:
    """What befalls one handshake or connection; `FakeFlux.faults` holds one for each, in order.

    `refuse` is the status of a handshake. Otherwise it comes when `after_ms` of audio have come, or
    with the first StartOfTurn, or at CloseStream: a close frame with this code; without a code, a
    stall, open and silent; `abort` goes without a frame.
    """

    code: int | None = None
    after_ms: int = 0
    at: str = "audio"  # or "StartOfTurn", "CloseStream"
    refuse: int | None = None
    abort: bool = False


WELL = Fault(after_ms=10**9)
