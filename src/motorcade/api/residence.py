"""Whether an account lives in this region (421) and its app is registered here (412).

Both are looked up in the registry and remembered for `api.residence_s_max`: they change once in a
lifetime, and every request asks.
"""

from collections.abc import Callable
from typing import Final, Generic, TypeVar

from motorcade.api.errors import elsewhere, unregistered
from motorcade.clock import Clock
from motorcade.identity.port import OPERATOR_CLIENTS, AccessToken
from motorcade.registry.people.port import People
from motorcade.registry.sharing.port import Home, Sharing

REMEMBERED_MAX: Final = 10_000
_Told = TypeVar("_Told")


class Residence:
    """Asked with every token. Used on the loop only."""

    def __init__(
        self,
        sharing: Sharing | None,
        people: People | None,
        *,
        clock: Clock,
        base_url: str,
        remembered_s: float,
    ) -> None:
        self._sharing, self._people = sharing, people
        self._base_url = base_url
        self._homes = Remembered(self._home, clock, remembered_s)
        self._registered = Remembered(self._is_registered, clock, remembered_s)

    def check(self, access: AccessToken) -> None:
        """Raises the 421 and the 412."""
        home = self._homes.of(access.subject)
        if home is not None:
            raise elsewhere(home.base_url)
        if access.client_id not in OPERATOR_CLIENTS and not self._registered.of(access.client_id):
            raise unregistered(access.client_id, self._base_url)

    def home(self, subject: str) -> Home | None:
        """Where an account lives; `None`: here."""
        return self._homes.of(subject)

    def forget(self) -> None:
        """Something was changed: look it up anew."""
        self._homes.forget()
        self._registered.forget()

    def _home(self, subject: str) -> Home | None:
        return self._sharing.home(subject) if self._sharing is not None else None

    def _is_registered(self, client_id: str) -> bool:
        """An app of the command line is registered by the operator who added it."""
        app = self._people.app(client_id) if self._people is not None else None
        if app is None or app.person_id is None or self._sharing is None:
            return True
        return self._sharing.registration(client_id) is not None


class Remembered(Generic[_Told]):
    """Answers of `look_up`, each for so long, and so many."""

    def __init__(self, look_up: Callable[[str], _Told], clock: Clock, remembered_s: float) -> None:
        self._look_up, self._clock, self._remembered_s = look_up, clock, remembered_s
        self._told: dict[str, tuple[float, _Told]] = {}

    def of(self, name: str) -> _Told:
        now_s = self._clock.monotonic_s()
        told = self._told.get(name)
        if told is not None and now_s < told[0]:
            return told[1]
        answer = self._look_up(name)
        self._told.pop(name, None)
        if len(self._told) >= REMEMBERED_MAX:
            del self._told[next(iter(self._told))]
        self._told[name] = (now_s + self._remembered_s, answer)
        return answer

    def forget(self) -> None:
        self._told.clear()
