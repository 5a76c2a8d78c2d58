"""Our certificate as a client sees it: TLS between two contexts in memory, without a socket."""

import ssl
from pathlib import Path
from typing import Any, Final

from voice_ai.server.tls import open_tls

# A full handshake takes each side three turns at most.
TURNS: Final = 6


def presented(cert: Path, key: Path, host: str, *, to_the_public: bool = False) -> dict[str, Any]:
    """Shake hands as a client that dials `host`; returns the certificate that it was shown.

    Args:
        cert, key: PEM files.
        host: a name or an address.
        to_the_public: trust what the system trusts; else this very certificate, so that nothing
            but its dates and names is judged.

    Raises:
        UsageError: the files cannot be used.
        ssl.SSLCertVerificationError: the client refuses it, and says why.
    """
    server = open_tls(cert, key)
    assert server is not None, "both files are named"
    client = ssl.create_default_context(cafile=None if to_the_public else str(cert))
    if not to_the_public:
        client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        client.verify_flags &= ~ssl.VERIFY_X509_STRICT
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = server.wrap_bio(up, down, server_side=True)
    theirs = client.wrap_bio(down, up, server_hostname=host)
    for _ in range(TURNS):
        for side in (theirs, ours):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    return dict(theirs.getpeercert() or {})
