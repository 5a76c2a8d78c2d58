"""This machine and no other: what the console and an open door are for."""

import ipaddress

from voice_ai.server.http import Request

# A tunnel or a proxy on this machine connects from the loopback too; these tell that it speaks for
# another.
FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP", "Via")


def is_loopback(host: str) -> bool:
    """Whether a name or an address is this machine's own."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def from_this_machine(request: Request) -> bool:
    """Whether a request comes from this machine for this machine.

    The `Host` is looked at as well: what a page of another site sends from this machine's browser,
    under a name that resolves to the loopback, is not ours.
    """
    if any(name in request.headers for name in FORWARDED):
        return False
    host = request.headers.get("Host").rpartition("@")[2]
    name = host[1 : host.find("]")] if host.startswith("[") else host.partition(":")[0]
    return is_loopback(request.peer) and is_loopback(name)
