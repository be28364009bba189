"""Open streams hear of every revocation, whoever else asked in between. No socket."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from motorcade.api.standing import Standing
from motorcade.identity.errors import SecretsError
from motorcade.identity.port import AccessToken
from motorcade.registry.errors import RegistryUnavailableError

POLL_S = 0.002
TOKEN = AccessToken("owner", frozenset({"openid"}), 1 << 60, "app", 1, "t1")
OTHER = AccessToken("owner", frozenset({"openid"}), 1 << 60, "other", 2, "t2")


class FakePeople:
    """Sessions that stand, and the number that rises when one ends."""

    def __init__(self) -> None:
        self.standing_sessions = {1, 2}
        self.changes = 1
        self.failures = 0
        self.written: list[int] = []

    def end(self, session: int) -> None:
        self.standing_sessions.discard(session)
        self.changes += 1

    def people_changes(self) -> int:
        if self.failures:
            self.failures -= 1
            raise RegistryUnavailableError("locked")
        return self.changes

    def used(self, session_ids: list[int]) -> None:
        self.written.extend(session_ids)

    def standing(self, session: int, _token_id: str, _client_id: str) -> frozenset[str] | None:
        return frozenset({"openid"}) if session in self.standing_sessions else None


class FakeTokens:
    def __init__(self) -> None:
        self.forgotten = 0
        self.failures: list[Exception] = []

    def verify(self, bearer: str) -> AccessToken:
        raise AssertionError(bearer)

    def generation(self) -> int:
        if self.failures:
            raise self.failures.pop()
        return self.forgotten


def watched(
    act: Callable[[Standing, FakePeople, FakeTokens], None], token: AccessToken = TOKEN
) -> list[str]:
    """Watch a token, let `act` happen and the watcher look; who was told."""

    async def main() -> list[str]:
        people: Any = FakePeople()
        tokens = FakeTokens()
        standing = Standing(people, tokens, POLL_S)
        told: list[str] = []
        standing.start()
        standing.watch(token, lambda: told.append(token.token_id), 0)
        await asyncio.sleep(5 * POLL_S)
        assert told == []
        act(standing, people, tokens)
        await asyncio.sleep(25 * POLL_S)
        await standing.stop()
        return told

    return asyncio.run(main())


def test_a_revocation_elsewhere_is_told() -> None:
    assert watched(lambda _standing, people, _tokens: people.end(1)) == ["t1"]


def test_a_request_right_after_a_revocation_hides_it_from_no_stream() -> None:
    """The request reads the number first; the watcher must still see that it rose."""

    def act(standing: Standing, people: FakePeople, _tokens: FakeTokens) -> None:
        people.end(1)
        assert standing.scopes(OTHER) == OTHER.scopes

    assert watched(act) == ["t1"]


def test_what_was_revoked_before_it_was_watched_is_told() -> None:
    """A stream opens over some turns of the loop: the watcher may have looked in between."""

    async def main() -> list[str]:
        people: Any = FakePeople()
        standing = Standing(people, FakeTokens(), POLL_S)
        told: list[str] = []
        standing.start()
        standing.watch(OTHER, lambda: told.append("other"), 0)
        assert standing.scopes(TOKEN) == TOKEN.scopes
        people.end(1)
        await asyncio.sleep(25 * POLL_S)
        standing.watch(TOKEN, lambda: told.append("late"), 0)
        await asyncio.sleep(25 * POLL_S)
        await standing.stop()
        return told

    assert asyncio.run(main()) == ["late"]


def test_a_registry_that_was_locked_for_a_moment_ends_no_watcher() -> None:
    def act(_standing: Standing, people: FakePeople, _tokens: FakeTokens) -> None:
        people.failures = 3
        people.end(1)

    assert watched(act) == ["t1"]


def test_a_forgotten_key_ends_every_stream() -> None:
    def act(_standing: Standing, _people: FakePeople, tokens: FakeTokens) -> None:
        tokens.forgotten += 1

    assert watched(act) == ["t1"]


def test_a_key_forgotten_while_a_stream_opened_ends_it() -> None:
    """The watcher has seen it already: nothing will be told later."""

    async def main() -> list[str]:
        people: Any = FakePeople()
        tokens = FakeTokens()
        standing = Standing(people, tokens, POLL_S)
        told: list[str] = []
        standing.start()
        tokens.forgotten += 1
        await asyncio.sleep(25 * POLL_S)
        standing.watch(TOKEN, lambda: told.append("before"), 0)
        standing.watch(OTHER, lambda: told.append("after"), 1)
        await asyncio.sleep(25 * POLL_S)
        await standing.stop()
        return told

    assert asyncio.run(main()) == ["before"]


@pytest.mark.parametrize(
    "error", [SecretsError("cannot read"), ValueError("no PEM block in it"), OSError("no file")]
)
def test_a_key_file_that_cannot_be_read_for_a_moment_ends_no_watcher(error: Exception) -> None:
    def act(_standing: Standing, people: FakePeople, tokens: FakeTokens) -> None:
        tokens.failures = [error, error]
        people.end(1)

    assert watched(act) == ["t1"]
