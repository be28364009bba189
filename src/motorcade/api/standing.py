"""Whether the tokens of apps still stand: what makes a revocation work at once, everywhere.

A token's signature says that it was good when it was made; the registry says whether its session,
grant, person and app stand. That is asked at the first use of a token and whenever a number in the
registry has risen, which costs one look-up of one row per request. Open streams are told.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final, NamedTuple

import structlog

from motorcade.identity.errors import SecretsError
from motorcade.identity.port import AccessToken, TokenVerifier
from motorcade.registry.errors import RegistryError
from motorcade.registry.people.port import People

CACHED_MAX: Final = 4_096
USES_WRITTEN_S: Final = 60.0  # "last used" is this far behind at most
Key = tuple[int, str, str]
Ended = Callable[[], None]


class _Watched(NamedTuple):
    token: AccessToken
    still: Callable[[], bool]


_log = structlog.get_logger()


class Standing:
    """Asks `People`; on the API's loop. Without one, every token stands."""

    def __init__(self, people: People | None, tokens: TokenVerifier, poll_s: float) -> None:
        self._people = people
        self._tokens = tokens
        self._generation = 0  # of the keys that the watcher saw last
        self._poll_s = poll_s
        self._changes = -1  # what `_held` was true at
        self._held: dict[Key, frozenset[str] | None] = {}
        self._looked = -1  # what every watched token was last looked at; a request moves it not
        self._watched: dict[Ended, _Watched] = {}
        self._unlooked: dict[Ended, _Watched] = {}
        self._used: set[int] = set()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Look and write from now on."""
        if self._people is not None:
            watching = asyncio.create_task(self._watch(self._people))
            self._tasks = [watching, asyncio.create_task(self._write())]

    async def stop(self) -> None:
        """Write what was used since."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._write_uses()

    def scopes(self, token: AccessToken) -> frozenset[str] | None:
        """What the token may do now, `None` when it was revoked.

        Only what the token endpoint gave has somebody who could revoke it (`token_id`).
        """
        if self._people is None or not token.token_id:
            return token.scopes
        self._forget_stale(self._people)
        return self._scopes(token, self._people)

    def _forget_stale(self, people: People) -> None:
        changes = people.people_changes()
        if changes != self._changes:
            self._changes = changes
            self._held.clear()

    def _scopes(self, token: AccessToken, people: People) -> frozenset[str] | None:
        key = (token.session, token.token_id, token.client_id)
        if key not in self._held:
            if len(self._held) >= CACHED_MAX:
                del self._held[next(iter(self._held))]
            self._held[key] = people.standing(*key)
        held = self._held[key]
        if held is None:
            return None
        if token.session and not token.shared:
            self._used.add(token.session)
        return token.scopes & held

    def watch(
        self,
        token: AccessToken,
        ended: Ended,
        generation: int,
        still: Callable[[], bool] = lambda: True,
    ) -> None:
        """Call `ended` once the token may do less than it says; `generation`: of its keys.

        `still`: whether what no token says, a role above all, is as it was; asked as often.

        A stream opens over some turns of the loop, in which a revocation may have come and been
        looked at: this token is looked at once more at the next turn of the watcher, and at once
        where a key was forgotten since.
        """
        self._watched[ended] = self._unlooked[ended] = _Watched(token, still)
        if generation < self._generation:
            self.unwatch(ended)
            ended()

    def unwatch(self, ended: Ended) -> None:
        self._watched.pop(ended, None)
        self._unlooked.pop(ended, None)

    def look(self) -> None:
        """Tell those whose tokens lost something, after a revocation here.

        What fails is logged: the revocation is done, and the watcher looks again.
        """
        if self._people is not None:
            with _logged():
                self._look_at_changes(self._people)

    def _look_at(self, watched: Mapping[Ended, _Watched], people: People) -> None:
        self._forget_stale(people)
        for ended, (token, still) in list(watched.items()):
            lost = bool(token.token_id) and self._scopes(token, people) != token.scopes
            lost = lost or not still()
            self._unlooked.pop(ended, None)
            if lost:
                self.unwatch(ended)
                ended()

    async def _watch(self, people: People) -> None:
        """Other processes revoke too: the command line."""
        while True:
            await asyncio.sleep(self._poll_s)
            with _logged():
                self._look_at_keys()
            with _logged():
                self._look_at_changes(people)

    def _look_at_changes(self, people: People) -> None:
        if not self._watched:
            return
        changes = people.people_changes()
        if changes != self._looked:
            self._look_at(self._watched, people)
            self._looked = changes
        elif self._unlooked:
            self._look_at(self._unlooked, people)

    def _look_at_keys(self) -> None:
        """A forgotten key may have signed any token: all connect again, and are asked."""
        generation = self._tokens.generation()
        if generation != self._generation:
            self._generation = generation
            watched, self._watched = list(self._watched), {}
            self._unlooked.clear()
            for ended in watched:
                ended()

    async def _write(self) -> None:
        while True:
            await asyncio.sleep(USES_WRITTEN_S)
            await self._write_uses()

    async def _write_uses(self) -> None:
        if self._used and self._people is not None:
            used = sorted(self._used)
            self._used.clear()
            with _logged():
                await asyncio.to_thread(self._people.used, used)


@contextmanager
def _logged() -> Iterator[None]:
    """A registry that is locked, a file that cannot be read for a while, ends no task.

    Both are asked again. `ValueError`: a file of keys that holds none.
    """
    try:
        yield
    except (RegistryError, SecretsError, ValueError, OSError) as error:
        _log.warning("standing_unknown", error=str(error))
