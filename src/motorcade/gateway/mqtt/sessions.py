"""All sessions of the door: found by key, kept while they must be, written before they count."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import replace

from motorcade.config import MqttConfig
from motorcade.gateway.mqtt.session import Session
from motorcade.gateway.mqtt.store import SessionStore
from motorcade.log.port import Cursor
from motorcade.wire.mqtt.subscribe import Subscription
from motorcade.wire.mqtt.trie import SubscriptionTrie


class Sessions:
    """The table of sessions and the trie of the filters of those that are connected."""

    def __init__(self, config: MqttConfig, store: SessionStore) -> None:
        self._config = config
        self._store = store
        self._by_key: dict[str, Session] = {}
        self._stored: set[str] = set()  # keys with a row
        self._live_cursor: Cursor | None = None  # as stored
        self._off_own_row: set[str] = set()  # connected, but stored with a cursor of their own
        self.trie: SubscriptionTrie[Session, Subscription] = SubscriptionTrie()

    def restore(self, now_us: int) -> Cursor | None:
        """Read what was stored; returns the live cursor, `None` at the very first start."""
        live_cursor = self._store.load_live_cursor()
        for row in self._store.load():
            self._stored.add(row.key)
            self._by_key[row.key] = Session.restored(row, live_cursor, now_us)
        return Cursor(live_cursor) if live_cursor else None

    def load_quiet_since_us(self) -> int | None:
        """See `SessionStore.load_quiet_since_us`."""
        return self._store.load_quiet_since_us()

    def put_quiet_since_us(self, time_us: int | None) -> Future[None]:
        """See `SessionStore.put_quiet_since_us`."""
        return self._store.put_quiet_since_us(time_us)

    def find(self, key: str) -> Session | None:
        return self._by_key.get(key)

    def __iter__(self) -> Iterator[Session]:
        return iter(self._by_key.values())

    def __len__(self) -> int:
        return len(self._by_key)

    def open(self, session: Session) -> Future[None] | None:
        """A client is connected to `session`. The future, if any, is to be awaited for CONNACK."""
        self._by_key[session.key] = session
        for topic_filter, subscription in session.subscriptions.items():
            self.trie.add(topic_filter, session, subscription)
        if session.persistent:
            if session.cursor is not None:
                self._off_own_row.add(session.key)
            return self._put(session, session.cursor)
        return self._remove(session.key)

    def put(self, session: Session) -> Future[None] | None:
        """Its subscriptions changed. The future, if any, is to be awaited for SUBACK."""
        if not session.persistent:
            return None
        return self._put(session, session.cursor)

    def close(self, session: Session, now_us: int) -> None:
        """The client is gone; the router has set the session's cursor."""
        for topic_filter in session.subscriptions:
            self.trie.remove(topic_filter, session)
        session.connection = None
        session.offline_since_us = now_us
        if not session.persistent:
            self.discard(session)
            return
        self._put(session, session.owed_from(session.cursor))

    def discard(self, session: Session) -> Future[None] | None:
        """Forget a session that is not connected."""
        if self._by_key.get(session.key) is session:
            del self._by_key[session.key]
        self._off_own_row.discard(session.key)
        return self._remove(session.key)

    def _put(self, session: Session, cursor: Cursor | None) -> Future[None]:
        self._stored.add(session.key)
        return self._store.put(session.stored(cursor))

    def _remove(self, key: str) -> Future[None] | None:
        if key not in self._stored:
            return None
        self._stored.discard(key)
        return self._store.remove(key)

    def sweep(self, now_us: int, live_cursor: Cursor | None) -> None:
        """Drop expired sessions; write down how far the connected ones have come."""
        for session in list(self._by_key.values()):
            offline_us = now_us - session.offline_since_us
            if session.connection is None and offline_us > session.expiry_s * 1_000_000:
                self.discard(session)
        self._write_progress(live_cursor)

    def _write_progress(self, live_cursor: Cursor | None) -> None:
        """One row moves all live sessions; those that owe or lag get rows of their own."""
        for session in self._by_key.values():
            if session.connection is None or not session.persistent:
                continue
            owed = session.owed_from(session.cursor)
            if owed is not None:
                self._off_own_row.add(session.key)
                self._put(session, owed)
            elif session.key in self._off_own_row:
                self._off_own_row.discard(session.key)
                self._put(session, None)
        if live_cursor is not None and live_cursor != self._live_cursor:
            self._live_cursor = live_cursor
            self._store.put_live_cursor(live_cursor)

    def subscribe(self, session: Session, subscription: Subscription, qos: int) -> bool:
        """Add or replace. False: the session has as many as it may."""
        topic_filter = subscription.topic_filter
        known = topic_filter in session.subscriptions
        if not known and len(session.subscriptions) >= self._config.subscriptions_per_session_max:
            return False
        granted = replace(subscription, qos=qos)
        session.subscriptions[topic_filter] = granted
        self.trie.add(topic_filter, session, granted)
        return True

    def unsubscribe(self, session: Session, topic_filter: str) -> bool:
        """Forget a subscription. False: there was none."""
        if session.subscriptions.pop(topic_filter, None) is None:
            return False
        return self.trie.remove(topic_filter, session)


async def written(future: Future[None] | None) -> None:
    """Wait for a write of the store."""
    if future is not None:
        await asyncio.wrap_future(future)
