"""How often passwords that fit nobody may be tried: by an account from an address, and by the
address in all. Token buckets each; time is an argument.

Right passwords cost nothing. Beyond a limit no password is looked at, right or wrong, for an answer
would be what a guesser wants. Vehicles share an address behind a carrier's translation, and must
not pay for a neighbour. So a car that keeps trying a wrong password uses up its own account's
bucket, and hardly the address's; and an account that has come in from an address is not held to
what others do there (OWASP calls the idea device cookies), only to its own bucket.
"""

import ipaddress
from collections.abc import Hashable
from typing import Final

from motorcade.gateway.rate import TokenBucket

ADDRESSES_MAX: Final = 10_000  # with failures lately; beyond, the one that began first is forgotten
ACCOUNTS_MAX: Final = 10_000  # of addresses, likewise
KNOWN_MAX: Final = 100_000  # accounts that came in from an address; beyond, the oldest is forgotten
IPV6_PREFIX_BITS: Final = 64  # one host has so many addresses to choose from

Account = tuple[str, int]
"""An address and the hash of a user name, which may be long; Python's is keyed by the process."""


class FailedLogins:
    """What `admission.py` asks before it compares a password."""

    def __init__(
        self, *, per_s: float, burst: int, account_per_s: float = 0.0, account_burst: int = 1
    ) -> None:
        """Of an address, and of one account from it; a rate of 0 means no limit."""
        self._of_addresses = _Buckets(per_s, burst, ADDRESSES_MAX)
        self._of_accounts = _Buckets(account_per_s, account_burst, ACCOUNTS_MAX)
        self._known: dict[Account, None] = {}  # the latest to come in last

    def may_try(self, address: str, name: str, now_s: float) -> bool:
        """Whether a password for that user name may be looked at, from there."""
        place = _place(address)
        account = (place, hash(name))
        if not self._of_accounts.has(account, now_s):
            return False
        return account in self._known or self._of_addresses.has(place, now_s)

    def failed(self, address: str, name: str, now_s: float) -> None:
        """One was looked at, and fits nobody."""
        place = _place(address)
        self._of_accounts.take((place, hash(name)), now_s)
        self._of_addresses.take(place, now_s)

    def fitted(self, address: str, name: str) -> None:
        """One was right."""
        account = (_place(address), hash(name))
        self._known.pop(account, None)
        self._known[account] = None
        if len(self._known) > KNOWN_MAX:
            del self._known[next(iter(self._known))]

    def forget(self, now_s: float) -> None:
        """Forget whose failures are long ago."""
        self._of_addresses.forget(now_s)
        self._of_accounts.forget(now_s)


class _Buckets:
    """A bucket for each of those that failed lately."""

    def __init__(self, per_s: float, burst: int, count_max: int) -> None:
        self._per_s, self._burst, self._count_max = per_s, burst, count_max
        self._buckets: dict[Hashable, TokenBucket] = {}

    def __len__(self) -> int:
        return len(self._buckets)

    def has(self, key: Hashable, now_s: float) -> bool:
        bucket = self._buckets.get(key)
        return bucket is None or bucket.available(now_s) >= 1

    def take(self, key: Hashable, now_s: float) -> None:
        if not self._per_s:
            return
        bucket = self._buckets.get(key)
        if bucket is None:
            if len(self._buckets) >= self._count_max:
                del self._buckets[next(iter(self._buckets))]
            bucket = self._buckets[key] = TokenBucket(self._per_s, self._burst, now_s)
        if bucket.available(now_s):  # a known account's failures leave no debt to its neighbours
            bucket.take(1)

    def forget(self, now_s: float) -> None:
        for key, bucket in list(self._buckets.items()):
            if bucket.is_full(now_s):
                del self._buckets[key]


def _place(address: str) -> str:
    """What counts as one address: of IPv6 a whole network, of IPv4 inside IPv6 the inner one."""
    if ":" not in address:
        return address
    parsed = ipaddress.IPv6Address(address.partition("%")[0])
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(int(parsed) >> (128 - IPV6_PREFIX_BITS))
