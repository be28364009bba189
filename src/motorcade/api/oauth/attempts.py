"""Passwords, tried: a few at once, and so many failures of an e-mail and of an address.

Beyond a limit no password is looked at, right or wrong: an answer is what a guesser wants. An
account that is locked this way is free again within the minute that one attempt takes to refill.
"""

import asyncio
import ipaddress
from collections.abc import Hashable
from typing import Final

from motorcade.clock import Clock
from motorcade.config import ApiConfig
from motorcade.registry.people.port import People, Person

REMEMBERED_MAX: Final = 10_000  # e-mails or addresses that failed lately; more: the first goes
IPV6_PREFIX_BITS: Final = 64  # one host has so many addresses to choose from


class TooManyError(Exception):
    """Too many failures lately; the text is for the person."""


class _Failures:
    """When each will have all its attempts again, as the generic cell rate algorithm counts."""

    def __init__(self, per_s: float, burst: int) -> None:
        self._interval_s = 1 / per_s if per_s else 0.0
        self._burst_s = burst * self._interval_s
        self._full_s: dict[Hashable, float] = {}

    def too_many(self, key: Hashable, now_s: float) -> bool:
        owed_s = self._full_s.get(key, 0.0) - now_s
        return owed_s + self._interval_s > self._burst_s + 1e-9 if self._interval_s else False

    def add(self, key: Hashable, now_s: float) -> None:
        if not self._interval_s:
            return
        full_s = max(self._full_s.pop(key, 0.0), now_s) + self._interval_s
        if len(self._full_s) >= REMEMBERED_MAX:
            del self._full_s[next(iter(self._full_s))]
        self._full_s[key] = full_s

    def give_back(self, key: Hashable) -> None:
        """The attempt was no failure."""
        if key in self._full_s:
            self._full_s[key] -= self._interval_s


class SignIns:
    """Checks passwords for the sign-in page, in threads; on the API's loop."""

    def __init__(self, people: People, clock: Clock, config: ApiConfig) -> None:
        self._people = people
        self._clock = clock
        self._places = asyncio.Semaphore(config.sign_ins_concurrent_max)
        self._emails = _Failures(
            config.failed_sign_ins_per_email_per_s, config.failed_sign_ins_per_email_burst
        )
        self._addresses = _Failures(
            config.failed_sign_ins_per_address_per_s, config.failed_sign_ins_per_address_burst
        )

    async def check(self, address: str, email: str, password: str) -> Person | None:
        """Who this is. Raises `TooManyError`."""
        name, place = hash(email.strip().lower()), _place(address)
        async with self._places:
            now_s = self._clock.monotonic_s()
            if self._emails.too_many(name, now_s) or self._addresses.too_many(place, now_s):
                raise TooManyError("Too many attempts. Please wait a minute and try again.")
            # Counted before it is tried: attempts side by side are not more than one after another.
            self._emails.add(name, now_s)
            self._addresses.add(place, now_s)
            person = await asyncio.to_thread(self._people.check_password, email, password)
            if person is not None:
                self._emails.give_back(name)
                self._addresses.give_back(place)
            return person


def _place(address: str) -> str:
    """What counts as one address: of IPv6 a whole network."""
    if ":" not in address:
        return address
    parsed = ipaddress.IPv6Address(address.partition("%")[0])
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(int(parsed) >> (128 - IPV6_PREFIX_BITS))
