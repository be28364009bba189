"""Who is one too many, or comes too often: counts of accounts and clients, held against limits.

An account is a vehicle's or an operator's; a client is one session of it. Time is an argument.
"""

from collections import Counter
from typing import Final

from motorcade.config import MqttConfig
from motorcade.gateway.mqtt.session import Session
from motorcade.gateway.rate import TokenBucket
from motorcade.wire.mqtt.reasons import Reason

BUCKETS_MAX: Final = 20_000  # clients that came lately; beyond, new ones are not held to a rate


class Quotas:
    """What `admission.py` asks before it lets a client in."""

    def __init__(self, config: MqttConfig) -> None:
        self._config = config
        self._connected = 0
        self._sessions: Counter[str] = Counter()  # by account
        self._buckets: dict[str, TokenBucket] = {}  # by session key

    @property
    def connected(self) -> int:
        """Clients that are in."""
        return self._connected

    def entered(self) -> None:
        """A client was let in."""
        self._connected += 1

    def left(self) -> None:
        """Its connection is gone."""
        self._connected -= 1

    def session_added(self, key: str) -> None:
        """A session begins."""
        self._sessions[account_of(key)] += 1

    def session_removed(self, key: str) -> None:
        """A session ends."""
        account = account_of(key)
        self._sessions[account] -= 1
        if self._sessions[account] <= 0:
            del self._sessions[account]

    def judge(self, key: str, known: Session | None, now_s: float) -> Reason | None:
        """Why this client may not come in now; `None`: it may. Each call is one attempt.

        `known` is the session it has. Who takes over its own connection needs no further place.
        """
        if not self._in_time(key, now_s):
            return Reason.CONNECTION_RATE_EXCEEDED
        takes_over = known is not None and known.connection is not None
        if not takes_over and self._connected >= self._config.connections_max:
            return Reason.SERVER_BUSY
        if (
            known is None
            and self._sessions[account_of(key)] >= self._config.sessions_per_account_max
        ):
            return Reason.QUOTA_EXCEEDED
        return None

    def _in_time(self, key: str, now_s: float) -> bool:
        bucket = self._buckets.get(key)
        if bucket is None:
            if len(self._buckets) >= BUCKETS_MAX:
                return True
            config = self._config
            bucket = TokenBucket(
                config.connects_per_client_per_s, config.connects_per_client_burst, now_s
            )
            self._buckets[key] = bucket
        if bucket.available(now_s) < 1:
            return False
        bucket.take(1)
        return True

    def forget(self, now_s: float) -> None:
        """Forget clients that have not come for long."""
        for key, bucket in list(self._buckets.items()):
            if bucket.is_full(now_s):
                del self._buckets[key]


def account_of(key: str) -> str:
    """The account in a session's key: no account's name holds a slash."""
    return key[: key.index("/", key.index("/") + 1)]
