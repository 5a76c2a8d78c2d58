"""Who may call: a bounded number of calls, and one-use tokens that tie a stream to its webhook.

One loop's tasks use these and nothing here awaits, so each method is atomic.
"""

import hmac
import secrets
import time
from collections.abc import Callable
from typing import Final, Protocol

# DESIGN section 3. Twilio opens the stream within a second or two of the TwiML.
HOLD_S: Final = 60.0
# Calls whose token was used are remembered so long: a call of a day has ended by its own limit.
USED_S: Final = 86_400.0
# So many of them; above it the oldest is forgotten. Some 200 octets each.
MAX_USED: Final = 50_000
# Calls that have been answered and whose stream has not begun. Above it the oldest is forgotten:
# that call is refused at `start`. With admission in front of it the number is never near.
MAX_TOKENS: Final = 10_000
TOKEN_OCTETS: Final = 32

Clock = Callable[[], float]


class TokenStore(Protocol):
    """Tokens, or what several processes have in their stead (shared.py)."""

    def issue(self, call_sid: str) -> str:
        """Make a token for this call."""

    def redeem(self, token: str, call_sid: str) -> bool:
        """Return whether this is the call's token, and use it up."""

    def was_used(self, call_sid: str) -> bool:
        """Whether a token of this call was used in the last USED_S."""


class Places(Protocol):
    """Admission, or what several processes have in its stead (shared.py)."""

    limit: int

    def __len__(self) -> int:
        """Places that are taken."""

    def admit(self, call_sid: str) -> bool:
        """Hold a place for a call; False if there is none."""

    def begin(self, call_sid: str) -> bool:
        """Make a call's place last until `release`."""

    def release(self, call_sid: str) -> None:
        """Give the place back."""


class Tokens:
    """One-use tokens, each bound to a CallSid, which has one: a repeated webhook replaces it."""

    def __init__(
        self, *, clock: Clock = time.monotonic, valid_s: float = HOLD_S, limit: int = MAX_TOKENS
    ) -> None:
        self._clock = clock
        self._valid_s = valid_s
        self._limit = limit
        self._by_call: dict[str, tuple[str, float]] = {}  # oldest first
        self._used: dict[str, float] = {}  # likewise

    def __len__(self) -> int:
        return len(self._by_call)

    def was_used(self, call_sid: str) -> bool:
        """Whether a token of this call was used in the last USED_S."""
        return self._used.get(call_sid, 0.0) > self._clock()

    def issue(self, call_sid: str) -> str:
        """Make a token for this call."""
        self._by_call.pop(call_sid, None)
        self._forget_expired()
        if len(self._by_call) >= self._limit:
            del self._by_call[next(iter(self._by_call))]
        token = secrets.token_urlsafe(TOKEN_OCTETS)
        self._by_call[call_sid] = token, self._clock() + self._valid_s
        return token

    def redeem(self, token: str, call_sid: str) -> bool:
        """Return whether this is the call's token, and use it up; a wrong one uses up none."""
        self._forget_expired()
        known, _ = self._by_call.get(call_sid, ("", 0.0))
        shown = token.encode("utf-8", "surrogatepass")
        if not known or not hmac.compare_digest(known.encode(), shown):
            return False
        del self._by_call[call_sid]
        self._used.pop(call_sid, None)
        if len(self._used) >= MAX_USED:
            del self._used[next(iter(self._used))]
        self._used[call_sid] = self._clock() + USED_S
        return True

    def _forget_expired(self) -> None:
        now = self._clock()
        while self._by_call:
            call_sid, (_, until) = next(iter(self._by_call.items()))
            if until > now:
                return
            del self._by_call[call_sid]


class Admission:
    """Places for calls.

    The webhook takes one by `admit`; it is held for `hold_s`, and given back if no stream comes.
    The stream makes it last by `begin` and ends with `release`.

    Args:
        limit: how many there are; may be changed.
        takes_new: asked before a place is given to a call that has none.
    """

    def __init__(
        self,
        limit: int,
        *,
        takes_new: Callable[[], bool] = lambda: True,
        clock: Clock = time.monotonic,
        hold_s: float = HOLD_S,
    ) -> None:
        self.limit = limit
        self._takes_new = takes_new
        self._clock = clock
        self._hold_s = hold_s
        self._held: dict[str, float] = {}  # until when; oldest first
        self._begun: set[str] = set()

    def __len__(self) -> int:
        """Places that are taken, be it by a call or by a hold."""
        self._forget_expired()
        return len(self._held) + len(self._begun)

    @property
    def n_calls(self) -> int:
        """Calls that have begun and not ended."""
        return len(self._begun)

    @property
    def full(self) -> bool:
        """Whether the next call would be refused."""
        return len(self) >= self.limit

    def admit(self, call_sid: str) -> bool:
        """Hold a place for a call; False if there is none. A call that has one keeps it."""
        if call_sid in self._begun:
            return True
        self._forget_expired()
        is_new = self._held.pop(call_sid, None) is None
        if self.full or (is_new and not self._takes_new()):
            return False
        self._held[call_sid] = self._clock() + self._hold_s
        return True

    def begin(self, call_sid: str) -> bool:
        """Make a call's place last until `release`; False if it has none or has begun already.

        A call whose hold has run out, or that never had one (a browser), gets a free place, if any.
        """
        if call_sid in self._begun or not self.admit(call_sid):
            return False
        del self._held[call_sid]
        self._begun.add(call_sid)
        return True

    def release(self, call_sid: str) -> None:
        """Give the place back. Idempotent."""
        self._begun.discard(call_sid)
        self._held.pop(call_sid, None)

    def _forget_expired(self) -> None:
        now = self._clock()
        while self._held:
            call_sid, until = next(iter(self._held.items()))
            if until > now:
                return
            del self._held[call_sid]
