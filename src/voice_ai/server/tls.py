"""TLS by our own certificate; whoever has a proxy before the server needs none."""

import ssl
from pathlib import Path

from voice_ai.errors import UsageError


def open_tls(cert: Path | None, key: Path | None) -> ssl.SSLContext | None:
    """Read a certificate, its chain behind it, and its key; None where the settings name none.

    Raises:
        UsageError: a file cannot be read or is none, or the two do not belong together.
    """
    if cert is None or key is None:
        return None
    for name, path in (("TLS_CERT", cert), ("TLS_KEY", key)):
        try:
            path.read_bytes()
        except OSError as error:
            raise UsageError(f"{name}={path} cannot be read: {error.strerror}") from error
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(cert, key, password=_refuse_password)
    except ssl.SSLError as error:
        raise UsageError(_why_not(error, cert, key)) from error
    return context


def _refuse_password() -> str:
    raise UsageError("TLS_KEY has a password, which nobody could type at each start: remove it")


def _why_not(error: ssl.SSLError, cert: Path, key: Path) -> str:
    if error.reason == "KEY_VALUES_MISMATCH":
        return f"TLS_KEY={key} is not the key of the certificate TLS_CERT={cert}"
    return f"TLS_CERT={cert} and TLS_KEY={key} cannot be used: {error.reason or 'no PEM in one'}"
