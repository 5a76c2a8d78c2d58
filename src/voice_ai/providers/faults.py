"""A provider's fault and what was done about it, as one event for logs and metrics."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from voice_ai.errors import Stage

# What was done: asked again; a connection replaced by a new one; another provider took over; the
# provider not asked, since its breaker is open; nothing, the caller is told.
Action = Literal["retried", "replaced", "fell back", "skipped", "gave up"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of one call's provider. `what` holds no key, and nothing of what was said."""

    call_sid: str
    stage: Stage
    provider: str
    what: str
    action: Action


# Takes a fault, at once; never raises.
Report: TypeAlias = Callable[[Fault], None]


# A close reason has 123 octets (RFC 6455 section 5.5); the rest is words of ours.
MAX_WHAT_CHARS: Final = 300


def log_fault(fault: Fault) -> None:
    """Write a fault as one line of the log, whatever a service wrote into it."""
    what = "".join(filter(str.isprintable, fault.what))[:MAX_WHAT_CHARS]
    logger.warning(
        "call %s: %s: %s: %s: %s",
        fault.call_sid,
        fault.stage,
        fault.provider,
        what,
        fault.action,
    )
