"""Which request is to fail, and how: rules in their order. No IO, no clock.

The answers are the API's own (`api/errors.py`), so that an app cannot tell them from real ones.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Final

from motorcade.api.errors import (
    LOGIN_REQUIRED,
    SIGNING_REQUIRED,
    TOKEN_EXPIRED,
    ApiError,
    elsewhere,
    offline,
    retry_later,
    unauthorized,
    unregistered,
)

ISSUER_PATH: Final = "/oauth2/v3"
FAULTS_MAX: Final = 1_000
LATENCY_S_MAX: Final = 60.0
RETRY_S_DEFAULT: Final = 60
EUROPE: Final = "https://fleet-api.prd.eu.vn.cloud.tesla.com"
WHY: Final = "the sandbox was told to answer so"


@dataclass(frozen=True, slots=True)
class Asked:
    """What is known of a request before anybody looks at it."""

    method: str
    path: str
    vin: str = ""
    world: str = ""
    client_id: str = ""


@dataclass(frozen=True, slots=True)
class Fault:
    """One rule. An empty word fits everything."""

    id: int
    world: str = ""
    vin: str = ""
    method: str = ""
    path: str = ""  # `*` stands for any characters
    answer: int = 0  # an HTTP status of `ANSWERS`; 0: go on to the real answer
    latency_s: float = 0.0  # before the answer
    times: int | None = 1  # how often it is applied; None: until it is removed
    retry_s: int = RETRY_S_DEFAULT  # of 429 and 503
    base_url: str = EUROPE  # of 421

    def fits(self, asked: Asked) -> bool:
        """Whether this is about that request."""
        return (
            self.world in ("", asked.world)
            and self.vin in ("", asked.vin)
            and self.method in ("", asked.method)
            and (not self.path or fnmatchcase(asked.path, self.path))
        )


Maker = Callable[[Fault, Asked], ApiError]

ANSWERS: Final[Mapping[int, Maker]] = MappingProxyType(
    {
        401: lambda _fault, asked: unauthorized(
            LOGIN_REQUIRED if asked.path.startswith(ISSUER_PATH) else TOKEN_EXPIRED
        ),
        402: lambda _fault, _asked: ApiError(402, "payment required", WHY),
        403: lambda _fault, _asked: ApiError(403, SIGNING_REQUIRED, WHY),
        408: lambda _fault, _asked: offline(WHY),
        412: lambda fault, asked: unregistered(asked.client_id, fault.base_url),
        421: lambda fault, _asked: elsewhere(fault.base_url),
        423: lambda _fault, _asked: ApiError(423, "locked", WHY),
        429: lambda fault, _asked: retry_later(fault.retry_s, WHY),
        500: lambda _fault, _asked: ApiError(500, "internal server error"),
        503: lambda fault, _asked: ApiError(
            503, "service unavailable", WHY, headers={"Retry-After": str(fault.retry_s)}
        ),
        504: lambda _fault, _asked: ApiError(504, "gateway timeout", WHY),
        540: lambda _fault, _asked: ApiError(540, "vehicle error", WHY),
    }
)
"""Protocol page of the Fleet API, §1.5."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is done to a request."""

    latency_s: float = 0.0
    error: ApiError | None = None  # None: it goes on


NOTHING: Final = Verdict()


class Faults:
    """The rules. Used on one loop."""

    def __init__(self) -> None:
        self._rules: list[Fault] = []
        self._count = 0

    def add(self, fault: Fault) -> Fault:
        """Take a rule, with an id of its own. Raises `OverflowError`."""
        if len(self._rules) >= FAULTS_MAX:
            raise OverflowError(f"{FAULTS_MAX} faults are the most: remove some first")
        self._count += 1
        rule = replace(fault, id=self._count)
        self._rules.append(rule)
        return rule

    def of(self, world: str = "") -> list[Fault]:
        """The rules, of one world or all."""
        return [rule for rule in self._rules if world in ("", rule.world)]

    def remove(self, fault_id: int) -> bool:
        """Forget one; whether it was there."""
        before = len(self._rules)
        self._rules = [rule for rule in self._rules if rule.id != fault_id]
        return len(self._rules) < before

    def clear(self, world: str = "") -> None:
        """Forget a world's, or all."""
        self._rules = [rule for rule in self._rules if world not in ("", rule.world)]

    def take(self, asked: Asked) -> Verdict:
        """What is done to this request. Latencies add up; the first answer is the answer."""
        if not self._rules:
            return NOTHING
        latency_s = 0.0
        for rule in self._rules:
            if not rule.fits(asked):
                continue
            self._count_down(rule)
            latency_s += rule.latency_s
            if rule.answer:
                return Verdict(latency_s, ANSWERS[rule.answer](rule, asked))
        return Verdict(latency_s)

    def _count_down(self, rule: Fault) -> None:
        if rule.times is None:
            return
        place = self._rules.index(rule)
        if rule.times <= 1:
            # A new list: whoever walks the old one is not disturbed.
            self._rules = [*self._rules[:place], *self._rules[place + 1 :]]
        else:
            less = replace(rule, times=rule.times - 1)
            self._rules = [*self._rules[:place], less, *self._rules[place + 1 :]]
