"""Passwords, tried: a few at once, and so many failures before no password is looked at.

Beyond a limit none is, right or wrong: an answer is what a guesser wants. Failures count three
times: of an address with an e-mail, strictly, which stops a guesser and locks out nobody else; of
an address; and of an e-mail wherever they come from, widely, which is what many addresses may guess
of one person. A browser that this person signed in with before shows it by a cookie and has a
budget of its own that strangers cannot use up (OWASP, "Slow Down Online Guessing Attacks with
Device Cookies"). All of it is memory of this process: a restart forgets it.
"""

import asyncio
import ipaddress
from collections.abc import Hashable
from typing import Final

from motorcade.clock import Clock
from motorcade.config import ApiConfig
from motorcade.registry.people.port import People, Person

REMEMBERED_MAX: Final = 10_000  # of each kind that failed lately; more: the first goes
IPV6_PREFIX_BITS: Final = 64  # one host has so many addresses to choose from


class TooManyError(Exception):
    """Too many failures lately; the text is for the person."""


class Failures:
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
        self._waiting = 0
        self._waiting_max = config.sign_ins_waiting_max
        self._strangers = asyncio.Semaphore(config.sign_ins_concurrent_max)
        self._known = asyncio.Semaphore(1)  # past those who wait
        self._pairs = Failures(
            config.failed_sign_ins_per_pair_per_s, config.failed_sign_ins_per_pair_burst
        )
        self._browsers = Failures(
            config.failed_sign_ins_per_pair_per_s, config.failed_sign_ins_per_pair_burst
        )
        self._emails = Failures(
            config.failed_sign_ins_per_email_per_s, config.failed_sign_ins_per_email_burst
        )
        self._addresses = Failures(
            config.failed_sign_ins_per_address_per_s, config.failed_sign_ins_per_address_burst
        )

    async def check(
        self, address: str, email: str, password: str, known_browser: str = ""
    ) -> Person | None:
        """Who this is. `known_browser`: names one that signed in with this e-mail before.

        Raises `TooManyError`, before anybody waits.
        """
        budgets = self._budgets(address, email, known_browser)
        now_s = self._clock.monotonic_s()
        if any(failures.too_many(key, now_s) for failures, key in budgets):
            raise TooManyError("Too many attempts. Please wait a minute and try again.")
        if not known_browser and self._waiting >= self._waiting_max:
            raise TooManyError("Too many people are signing in. Please try again.")
        # Counted before it is tried: attempts side by side are not more than one after another.
        for failures, key in budgets:
            failures.add(key, now_s)
        person = await self._try(email, password, self._known if known_browser else self._strangers)
        if person is not None:
            for failures, key in budgets:
                failures.give_back(key)
        return person

    async def _try(self, email: str, password: str, places: asyncio.Semaphore) -> Person | None:
        self._waiting += 1
        try:
            async with places:
                return await asyncio.to_thread(self._people.check_password, email, password)
        finally:
            self._waiting -= 1

    def _budgets(
        self, address: str, email: str, known_browser: str
    ) -> list[tuple[Failures, Hashable]]:
        if known_browser:
            return [(self._browsers, known_browser)]
        name, place = hash(email.strip().lower()), place_of(address)
        return [
            (self._pairs, (place, name)),
            (self._addresses, place),
            (self._emails, name),
        ]


def place_of(address: str) -> str:
    """What counts as one address: of IPv6 a whole network."""
    if ":" not in address:
        return address
    parsed = ipaddress.IPv6Address(address.partition("%")[0])
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(int(parsed) >> (128 - IPV6_PREFIX_BITS))
