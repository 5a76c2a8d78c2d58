"""Why a service or a server could not be had, in words, and what to do about it."""

import re
import socket
import ssl
from typing import Final

from voice_ai.server.doctor.outcome import Outcome, failed

# What adapters and clients say, and what it means for who set this up; the first found counts.
REASONS: Final = (
    (r"\b401\b|invalid_api_key|20003", "The key is wrong: copy it once more from the console."),
    (r"\b402\b|insufficient_quota", "The account has no credit: add some, or a payment method."),
    (r"\b403\b", "The key may not use this: look at its permissions, and the project's."),
    (r"model_not_found", "The account knows no such model: correct its name, or ask for access."),
    (r"\b404\b", "There is nothing at this address: correct the URL; /v1 is a part of OpenAI's."),
    (r"\b429\b", "The account's limit is reached: wait, or have the limit raised."),
    (
        r"[Nn]ame or service not known|getaddrinfo|DNS|nodename nor servname|name resolution",
        "The host's name is not known here: correct the URL, or this machine's DNS.",
    ),
    (
        r"CERTIFICATE|[Cc]ertificate|SSL|TLS",
        "The certificate is not trusted: look at this machine's clock and its ca-certificates, "
        "and whether a firewall opens TLS.",
    ),
    (
        r"in time|within [\d.]+ s|[Tt]imeout|timed out|ETIMEDOUT",
        "Nobody answers: look whether a firewall lets this machine out to port 443, and at the "
        "vendor's status page.",
    ),
    (r"\b5\d\d\b|silent", "The service itself has trouble: look at its status page, try again."),
    (
        r"[Cc]onnection ?[Rr]efused|Connect call failed|connection attempts failed|ConnectorError",
        "Nobody listens there: start that server, or correct its URL and port.",
    ),
)


def out_of_reach(text: str) -> Outcome:
    """Return a failure with what is to be done about this one."""
    for pattern, remedy in REASONS:
        if re.search(pattern, text):
            return failed(text, remedy)
    return failed(text)


def words_of(error: BaseException) -> str:
    """Say an error of a client's in words: the cause at the bottom, which names it best."""
    cause: BaseException = error
    while (deeper := cause.__cause__ or cause.__context__) is not None:
        cause = deeper
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"the certificate is refused: {cause.verify_message}"
    if isinstance(cause, socket.gaierror):
        return f"the name is not known: {cause.strerror}"
    return f"{type(error).__name__}: {error or cause}".rstrip(": ")
