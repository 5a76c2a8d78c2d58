"""How much a client may ask of us, and who has to go when too many wait: pure, told the time.

Two kinds of bound. A `Throttle` counts requests: token buckets, one for each client and one for all
clients together. A `Crowd` counts connections that wait for their client: when it is full, whoever
has waited longest goes for the newcomer. So slow clients, however many, push out each other and
nobody who has something to say.
"""

import ipaddress
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Generic, TypeAlias, TypeVar

# Clients that are remembered; above it the one seen longest ago is forgotten, some 200 octets each.
MAX_CLIENTS: Final = 10_000
# A network gets so many addresses of IPv6 at once (RFC 6177: a site 48 to 64 bits): counted as one.
IPV6_SITE_BITS: Final = 64

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
T = TypeVar("T")
# A proxy or a tunnel on this machine, and this machine itself.
LOOPBACK: Final[tuple[Network, ...]] = (
    ipaddress.ip_network("127.0.0.0/8"),
    ipaddress.ip_network("::1"),
)


@dataclass(frozen=True, slots=True)
class Rate:
    """So many a second in the long run, and `burst` at once after a rest."""

    per_s: float
    burst: float


@dataclass(slots=True)
class Bucket:
    """The tokens of one client."""

    n_left: float
    since_s: float

    def take(self, rate: Rate, now_s: float) -> float:
        """Take a token and return 0, or return the seconds until there is one."""
        left = min(rate.burst, self.n_left + max(0.0, now_s - self.since_s) * rate.per_s)
        self.since_s = now_s
        if left < 1:
            self.n_left = left
            return (1 - left) / rate.per_s
        self.n_left = left - 1
        return 0.0


@dataclass(frozen=True, slots=True)
class Refused:
    """`status` 429 is this client's own fault, 503 everybody's; try again after `wait_s`."""

    status: int
    wait_s: float


class Throttle:
    """Buckets of the clients seen lately and one for them all; nobody is held up by another's."""

    def __init__(self, per_client: Rate, overall: Rate, *, max_clients: int = MAX_CLIENTS) -> None:
        self._per_client = per_client
        self._overall = overall
        self._max_clients = max_clients
        self._all = Bucket(overall.burst, 0.0)
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()  # seen longest ago first

    def __len__(self) -> int:
        return len(self._buckets)

    def refuse(self, client: str, now_s: float) -> Refused | None:
        """Count a request of this client; None when it may be answered."""
        bucket = self._buckets.pop(client, None) or Bucket(self._per_client.burst, now_s)
        while len(self._buckets) >= self._max_clients:
            self._buckets.popitem(last=False)
        self._buckets[client] = bucket
        wait_s = bucket.take(self._per_client, now_s)
        if wait_s:
            return Refused(429, wait_s)
        wait_s = self._all.take(self._overall, now_s)
        return Refused(503, wait_s) if wait_s else None


@dataclass(slots=True)
class Crowd(Generic[T]):
    """Those who wait, longest first.

    Args:
        limit: how many may wait.
        per_client: of one client; clients without a name (this machine, a proxy) are not counted.
    """

    limit: int
    per_client: int
    _waiting: "OrderedDict[T, str]" = field(default_factory=OrderedDict)
    _of_client: dict[str, OrderedDict[T, None]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._waiting)

    def enter(self, who: T, client: str) -> T | None:
        """Let somebody wait; returns who has to go for it, and waits no more."""
        self.leave(who)
        own = self._of_client.get(client)
        gone: T | None = None
        if own is not None and len(own) >= self.per_client:
            gone = next(iter(own))
        elif len(self._waiting) >= self.limit:
            gone = next(iter(self._waiting))
        if gone is not None:
            self.leave(gone)
        self._waiting[who] = client
        if client:
            self._of_client.setdefault(client, OrderedDict())[who] = None
        return gone

    def leave(self, who: T) -> None:
        """Have somebody wait no more. Idempotent."""
        client = self._waiting.pop(who, None)
        own = self._of_client.get(client) if client else None
        if client is None or own is None:
            return
        own.pop(who, None)
        if not own:
            del self._of_client[client]


def client_of(peer: str, forwarded: str, proxies: Sequence[Network]) -> str:
    """Return whom a request is counted for; nobody, the empty string, if this machine asks itself.

    Args:
        peer: the address that the connection comes from.
        forwarded: the `X-Forwarded-For` field, to which each proxy appends whom it speaks for.
        proxies: whose word is taken. The last address that is none of theirs is the client.
    """
    if not _is_in(peer, proxies):
        return _site(peer)
    for address in reversed([part.strip() for part in forwarded.split(",")]):
        if address and not _is_in(address, proxies):
            return _site(address)
    return peer if forwarded.strip() else ""


def _is_in(address: str, networks: Sequence[Network]) -> bool:
    found = _address(address)
    return found is not None and any(found in network for network in networks)


def _site(address: str) -> str:
    found = _address(address)
    if isinstance(found, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((found, IPV6_SITE_BITS), strict=False))
    # What is no address is no client's word, but a proxy's: one name for all of it.
    return str(found) if found else "unknown"


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Read an address, which some proxies give with a port; IPv4 within IPv6 is IPv4."""
    bare = text[1 : text.find("]")] if text.startswith("[") else text
    if bare.count(":") == 1:
        bare = bare.partition(":")[0]
    try:
        found = ipaddress.ip_address(bare.partition("%")[0])
    except ValueError:
        return None
    return (found.ipv4_mapped or found) if isinstance(found, ipaddress.IPv6Address) else found
