"""How often an address may try passwords that fit nobody: a token bucket each. Time is an argument.

Right passwords cost nothing. Beyond the limit no password of that address is looked at, right or
wrong, for an answer would be what a guesser wants. Vehicles that share an address, behind a
carrier's translation, share its bucket: hence the large burst.
"""

import ipaddress
from typing import Final

from motorcade.gateway.rate import TokenBucket

ADDRESSES_MAX: Final = 10_000  # with failures lately; beyond, the one that began first is forgotten
IPV6_PREFIX_BITS: Final = 64  # one host has so many addresses to choose from


class FailedLogins:
    """What `admission.py` asks before it compares a password."""

    def __init__(self, *, per_s: float, burst: int) -> None:
        """`per_s` 0 means no limit."""
        self._per_s = per_s
        self._burst = burst
        self._buckets: dict[str, TokenBucket] = {}  # by address, of those that failed lately

    def may_try(self, address: str, now_s: float) -> bool:
        """Whether a password from there may be looked at."""
        bucket = self._buckets.get(_place(address))
        return bucket is None or bucket.available(now_s) >= 1

    def failed(self, address: str, now_s: float) -> None:
        """One was looked at, and fits nobody."""
        if not self._per_s:
            return
        place = _place(address)
        bucket = self._buckets.get(place)
        if bucket is None:
            if len(self._buckets) >= ADDRESSES_MAX:
                del self._buckets[next(iter(self._buckets))]
            bucket = self._buckets[place] = TokenBucket(self._per_s, self._burst, now_s)
        bucket.take(1)

    def forget(self, now_s: float) -> None:
        """Forget addresses whose failures are long ago."""
        for place, bucket in list(self._buckets.items()):
            if bucket.is_full(now_s):
                del self._buckets[place]


def _place(address: str) -> str:
    """What counts as one address: of IPv6 a whole network, of IPv4 inside IPv6 the inner one."""
    if ":" not in address:
        return address
    parsed = ipaddress.IPv6Address(address.partition("%")[0])
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(int(parsed) >> (128 - IPV6_PREFIX_BITS))
