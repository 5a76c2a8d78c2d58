"""What may not be read in a log or an answer, taken out of a text: secrets, numbers, payloads.

Pure: a text in, a text out. Known secrets go wherever they stand and however they are encoded; what
looks like a key, a telephone number or a card goes too, for it may be somebody's we do not know.
"""

import re
from base64 import b64encode
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote, quote_plus

HIDDEN: Final = "***"
# Anything shorter stands in ordinary words, too.
MIN_SECRET_CHARS: Final = 4
# OpenAI's keys; and what HTTP authenticates with (RFC 6750, RFC 7617, Deepgram's `Token`).
KEY: Final = re.compile(r"\bsk-[\w-]{8,}")
CREDENTIALS: Final = re.compile(r"\b(Bearer|Basic|Token)( +)[\w.~+/=-]{16,}")
# E.164 has up to 15 digits, a card 12 to 19; people put spaces, hyphens and brackets between. Nine
# digits with no plus sign may be a number as well. Not within ids, fractions, addresses.
NUMBER: Final = re.compile(
    r"\+\d(?:[ ().-]{0,2}\d){6,14}(?!\w)|(?<![\w.:/-])\d(?:[ -]?\d){8,18}(?!\w)"
)
# As `repr` writes strings: behind a letter it is an apostrophe.
QUOTED: Final = re.compile(r"""(?<!\w)b?('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")""")


class Redaction:
    """Takes out of any text what may not be in it.

    Args:
        secrets: the settings' own.
        pairs: user names and passwords that are sent together, as `Basic`.
    """

    def __init__(self, secrets: Iterable[str] = (), pairs: Iterable[tuple[str, str]] = ()) -> None:
        forms = {form for secret in secrets for form in _forms(secret)}
        forms |= {b64encode(f"{name}:{secret}".encode()).decode() for name, secret in pairs}
        longest_first = sorted(filter(_is_long, forms), key=len, reverse=True)
        self._secrets = re.compile("|".join(map(re.escape, longest_first)) or "(?!)")

    def __call__(self, text: str) -> str:
        """Return the text as anybody may read it."""
        text = self._secrets.sub(HIDDEN, text)
        text = CREDENTIALS.sub(rf"\1\2{HIDDEN}", KEY.sub(f"sk-{HIDDEN}", text))
        return NUMBER.sub(lambda found: masked(found[0]), text)


def masked(number: str) -> str:
    """Return a number of which the country and the last two digits can be read: `+49*******34`."""
    digits = [char for char in number if char.isdigit()]
    plus = "+" if number.startswith("+") else ""
    return f"{plus}{''.join(digits[:2])}{'*' * (len(digits) - 4)}{''.join(digits[-2:])}"


def unquoted(text: str) -> str:
    """Return one of our own sentences without what it quotes of somebody else's message."""
    return QUOTED.sub("'...'", text)


def _forms(secret: str) -> set[str]:
    escaped = secret.encode("unicode_escape").decode()
    return {
        *(secret, quote(secret, safe=""), quote_plus(secret), escaped),
        b64encode(secret.encode()).decode(),
    }


def _is_long(form: str) -> bool:
    return len(form) >= MIN_SECRET_CHARS
