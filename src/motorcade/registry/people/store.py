"""What the parts of the embedded engine of people and apps stand on: the registry's file."""

import hashlib
import hmac
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import Connection, update

from motorcade.clock import Clock
from motorcade.config import RegistryConfig
from motorcade.registry.passwords import make_password
from motorcade.registry.people.tables import PEOPLE_CHANGES


class Rows(Protocol):
    """Runs a look-up of `statements.py` with its parameters."""

    def __call__(self, statement: str, *values: str | int) -> list[Any]: ...


@dataclass(frozen=True, slots=True)
class Store:
    """One registry file, its clock and its chance."""

    rows: Rows
    changing: Callable[[], AbstractContextManager[Connection]]
    clock: Clock
    entropy: Callable[[int], bytes]
    account_key: bytes
    config: RegistryConfig

    def draw(self) -> str:
        """A new secret: 43 characters that need no quoting anywhere."""
        return make_password(self.entropy(32))

    def hash(self, kind: str, secret: str) -> str:
        """What is stored of a drawn secret, in hex; `kind` keeps a code from passing for a token.

        Keyed and not stretched, for the reasons that `passwords.py` gives. The secret is the peer's
        text: hashing it first bounds its length.
        """
        digest = hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
        return hmac.digest(self.account_key, kind.encode() + b"\0" + digest, "sha256").hex()


def shrink(connection: Connection) -> None:
    """Let every process see that a token may have lost something."""
    connection.execute(update(PEOPLE_CHANGES).values(value=PEOPLE_CHANGES.c.value + 1))


def words(text: str) -> tuple[str, ...]:
    """A stored list of scopes."""
    return tuple(text.split())
