"""What can befall a connection to the stand-ins for Flux and Aura."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Fault:
    """What befalls one handshake or connection; `FakeFlux.faults` holds one for each, in order.

    `refuse` is the status of a handshake. Otherwise it comes when `after_ms` of audio have come, or
    with the first StartOfTurn, or at CloseStream: a close frame with this code; without a code, a
    stall, open and silent; `abort` goes without a frame. `how` is RST; FIN, one way; or UPDATES,
    which stop while the service still says other things. `text` is sent as it is, and then the
    service goes on, if there is no code. `withholds` are messages that are told no more.
    """

    code: int | None = None
    after_ms: int = 0
    at: str = "audio"  # or "StartOfTurn", "CloseStream"
    refuse: int | None = None
    abort: bool = False
    how: str = ""
    text: str = ""
    withholds: Literal["", "Connected", "Update"] = ""


WELL = Fault(after_ms=10**9)


@dataclass(frozen=True, slots=True)
class VoiceFault:
    """What befalls one handshake with or connection to the stand-in for Aura.

    `refuse` is the status of a handshake. Otherwise it comes with the first request, or when
    `after` octets of audio have been sent from then on: a close frame with this code; a `text`,
    behind which the service goes on if there is no code; nothing more, if it `stalls`. `withholds`
    is what is never answered; a withheld Flush is refused by a Warning.
    """

    code: int | None = None
    after: int = 0
    refuse: int | None = None
    text: str = ""
    stalls: bool = False
    withholds: Literal["", "Flush", "Flushed", "Cleared"] = ""
