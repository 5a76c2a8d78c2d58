"""Who has the console's password: pure, told the time.

A pass is what a browser shows once it has given the password: until when it holds, and a seal over
that. Nothing of it is kept, so every process of a server takes every pass of it; another password
ends all of them.
"""

import hmac
from hashlib import scrypt
from typing import Final

# A working day, after which the password is asked for again.
HOLDS_S: Final = 12 * 3600
# Some 50 ms and 16 MiB, once: what a password is guessed at by whoever has seen a pass
# (RFC 7914 section 2; N, r and p as OWASP's cheat sheet on password storage has them for logins).
SCRYPT: Final = {"n": 2**14, "r": 8, "p": 1}
SALT: Final = b"voice_ai console"
MAX_PASS_CHARS: Final = 128


class Passes:
    """Makes and checks the passes of one password."""

    def __init__(self, password: str) -> None:
        self._key = scrypt(password.encode(), salt=SALT, **SCRYPT)
        self._password = self._seal(password)

    def opens(self, password: str) -> bool:
        """Whether this is the password; in the same time for every wrong one."""
        return hmac.compare_digest(self._seal(password), self._password)

    def issue(self, now_s: float) -> str:
        """Make a pass."""
        until = str(int(now_s + HOLDS_S))
        return f"{until}.{self._seal(until)}"

    def holds(self, shown: str, now_s: float) -> bool:
        """Whether this is a pass of ours that still holds."""
        until, _, seal = shown[:MAX_PASS_CHARS].partition(".")
        right = hmac.compare_digest(self._seal(until).encode(), seal.encode(errors="replace"))
        return right and until.isascii() and until.isdigit() and now_s < int(until)

    def _seal(self, text: str) -> str:
        return hmac.new(self._key, text.encode(errors="replace"), "sha256").hexdigest()
