"""All sessions of the door: found by key, kept while they must be, written before they count."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import replace

from motorcade.config import MqttConfig
from motorcade.gateway.mqtt import journal
from motorcade.gateway.mqtt.quotas import Quotas
from motorcade.gateway.mqtt.receipts import Receipts
from motorcade.gateway.mqtt.session import Session
from motorcade.gateway.mqtt.shares import Group, inner_filter, is_shared
from motorcade.gateway.mqtt.store import SessionStore, StoredWill
from motorcade.log.errors import LogError
from motorcade.log.port import Cursor
from motorcade.wire.mqtt.subscribe import Subscription
from motorcade.wire.mqtt.trie import SubscriptionTrie


class Sessions:
    """The table of sessions and the trie of the filters of those that are connected."""

    def __init__(
        self,
        config: MqttConfig,
        store: SessionStore,
        receipts: Receipts,
        loop: asyncio.AbstractEventLoop,
        failed: Callable[[Session], None],
        bequeath: Callable[[Session, StoredWill], None],
    ) -> None:
        """`failed` is called when an exchange of a session could not be written down, `bequeath`
        when the will of one that is not connected is due."""
        self._config = config
        self.quotas = Quotas(config)
        self.subscription_count = 0  # of all sessions
        self._store = store
        self._receipts = receipts
        self._loop = loop
        self._failed = failed
        self._bequeath = bequeath
        self._ending: dict[str, asyncio.Future[None]] = {}  # sessions whose end is being logged
        self._by_key: dict[str, Session] = {}
        self._stored: set[str] = set()  # keys with a row
        self._live_cursor: Cursor | None = None  # as stored
        self._off_own_row: set[str] = set()  # connected, but stored with a cursor of their own
        self._groups: dict[str, Group] = {}
        self.trie: SubscriptionTrie[Session | Group, Subscription] = SubscriptionTrie()

    def restore(self, now_us: int) -> Cursor | None:
        """Read what was stored; returns the live cursor, `None` at the very first start."""
        live_cursor = self._store.load_live_cursor()
        for row in self._store.load():
            self._stored.add(row.key)
            session = self._by_key[row.key] = Session.restored(row, live_cursor, now_us)
            self.quotas.session_added(row.key)
            self.subscription_count += len(session.subscriptions)
            if not row.cursor:  # the live cursor will move on; what it missed stays its own
                self._put(session, session.cursor)
            for subscription in session.subscriptions.values():
                if is_shared(subscription.topic_filter):
                    self._join(session, subscription)
        for key, cursor in self._store.load_groups():
            if key in self._groups:
                self._groups[key].stored = Cursor(cursor)
        for group in self._groups.values():
            group.cursor = group.stored = group.stored or Cursor(live_cursor)
            self._store.put_group(group.key, group.stored)
        for exchange in self._store.load_exchanges():
            known = self._by_key.get(exchange.session)
            if known is not None:
                journal.restore(known.window, exchange)
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
        if session.key not in self._by_key:
            self.quotas.session_added(session.key)
        self._by_key[session.key] = session
        for subscription in session.subscriptions.values():
            self._listen(session, subscription)
        session.window.journal = None
        if session.persistent:
            session.window.journal = journal.SessionJournal(
                self._store, session.key, self._loop, lambda: self._failed(session)
            )
            return self._put_place(session, session.owed_from(session.cursor))
        return self._remove(session.key)

    def put(self, session: Session) -> Future[None] | None:
        """Its subscriptions changed. The future, if any, is to be awaited for SUBACK."""
        if not session.persistent:
            return None
        return self._put_place(session, session.owed_from(session.cursor))

    def close(self, session: Session, now_us: int) -> None:
        """The client is gone; the router has set the session's cursor."""
        for topic_filter in session.subscriptions:
            if not is_shared(topic_filter):
                self.trie.remove(topic_filter, session)
        session.window.lost()
        session.offline_since_us = now_us
        for group in self.groups_of(session):
            if group.connection is None:
                self.trie.remove(group.topic_filter, group)
        if not session.persistent:
            self.discard(session)
            return
        self._put(session, session.owed_from(session.cursor))

    def discard(self, session: Session) -> None:
        """Forget a session that is not connected."""
        if self._by_key.get(session.key) is session:
            del self._by_key[session.key]
            self.quotas.session_removed(session.key)
            self.subscription_count -= len(session.subscriptions)
        self._off_own_row.discard(session.key)
        self._remove(session.key)
        self._publish_will(session)
        for topic_filter in session.subscriptions:
            if is_shared(topic_filter):
                self._leave(session, topic_filter)
        for sent in session.window.sent.values():
            if sent.share is not None:  # [MQTT-4.8.2-4] is for QoS 2, which groups do not have
                sent.share.group.give_back(sent.share)
        ended: asyncio.Future[None] = self._loop.create_future()
        waiting = 0

        def durable(error: LogError | None) -> None:
            nonlocal waiting
            waiting -= 1
            if not waiting:
                self._ending.pop(session.key, None)
                ended.set_result(None)

        waiting = self._receipts.end(session, durable)
        if waiting:
            self._ending[session.key] = ended

    def _publish_will(self, session: Session) -> None:
        will, session.will = session.will, None
        if will is not None:
            self._bequeath(session, will)

    async def ended(self, key: str) -> None:
        """Wait until nothing is known any more of earlier sessions of this key."""
        ending = self._ending.get(key)
        if ending is not None:
            await asyncio.shield(ending)

    def _put(self, session: Session, cursor: Cursor | None) -> Future[None]:
        self._stored.add(session.key)
        return self._store.put(session.stored(cursor))

    def _remove(self, key: str) -> Future[None] | None:
        if key not in self._stored:
            return None
        self._stored.discard(key)
        return self._store.remove(key)

    def is_over(self, session: Session, now_us: int) -> bool:
        """Whether a session that is not connected has expired [MQTT-4.1.0-2]."""
        return now_us - session.offline_since_us > session.expiry_s * 1_000_000

    def sweep(self, now_us: int, live_cursor: Cursor | None) -> None:
        """Drop expired sessions; write down how far the connected ones have come."""
        for session in list(self._by_key.values()):
            if session.connection is not None:
                continue
            if self.is_over(session, now_us):
                self.discard(session)
            elif session.will is not None and 0 < session.will.due_us <= now_us:
                self._publish_will(session)
                self._put(session, session.owed_from(session.cursor))
        self._write_progress(live_cursor)

    def _write_progress(self, live_cursor: Cursor | None) -> None:
        """One row moves all live sessions; those that owe or lag get rows of their own."""
        passed: list[tuple[Session, Cursor | None]] = []
        for session in self._by_key.values():
            if session.connection is None or not session.persistent:
                continue
            owed = session.owed_from(session.cursor)
            if owed is not None or session.key in self._off_own_row:
                self._put_place(session, owed)
            if session.window.done and session.seen is None:
                passed.append((session, owed or live_cursor))
        if live_cursor is not None and live_cursor != self._live_cursor:
            self._live_cursor = live_cursor
            self._store.put_live_cursor(live_cursor)
        self._write_groups()
        for session, cursor in passed:
            session.window.trim(cursor)

    def write_received(self) -> None:
        """Write down the packet identifiers that changed since the last call."""
        for session in self._by_key.values():
            if session.received_changed:
                session.received_changed = False
                if session.persistent:
                    self._put_place(session, session.owed_from(session.cursor))

    def _put_place(self, session: Session, owed: Cursor | None) -> Future[None]:
        if owed is not None:
            self._off_own_row.add(session.key)
        else:
            self._off_own_row.discard(session.key)
        return self._put(session, owed)

    def subscribe(self, session: Session, subscription: Subscription, qos: int) -> bool | None:
        """Add or replace; whether it is new. `None`: there are as many as may be."""
        topic_filter = subscription.topic_filter
        known = topic_filter in session.subscriptions
        full = (
            len(session.subscriptions) >= self._config.subscriptions_per_session_max
            or self.subscription_count >= self._config.subscriptions_max
        )
        if full and not known:
            return None
        self.subscription_count += not known
        granted = replace(subscription, qos=qos)
        session.subscriptions[topic_filter] = granted
        self._listen(session, granted)
        if is_shared(topic_filter):
            group = self._groups[self._group_key(session, topic_filter)]
            group.live = group.live or group.cursor is None  # a new one misses nothing from now on
        return not known

    def unsubscribe(self, session: Session, topic_filter: str) -> bool:
        """Forget a subscription. False: there was none."""
        if session.subscriptions.pop(topic_filter, None) is None:
            return False
        self.subscription_count -= 1
        if is_shared(topic_filter):
            self._leave(session, topic_filter)
            return True
        return self.trie.remove(topic_filter, session)

    # --- groups ------------------------------------------------------------------------------

    def groups_of(self, session: Session) -> list[Group]:
        """The groups it is a member of."""
        keys = [self._group_key(session, each) for each in session.subscriptions if is_shared(each)]
        return [self._groups[key] for key in keys if key in self._groups]

    def _listen(self, session: Session, subscription: Subscription) -> None:
        """Have the router ask it, or its group."""
        topic_filter = subscription.topic_filter
        if is_shared(topic_filter):
            group = self._join(session, subscription)
            self.trie.add(group.topic_filter, group, subscription)
        else:
            self.trie.add(topic_filter, session, subscription)

    def _join(self, session: Session, subscription: Subscription) -> Group:
        topic_filter = subscription.topic_filter
        key = self._group_key(session, topic_filter)
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = Group(key, inner_filter(topic_filter))
        group.members[session] = subscription
        return group

    def _leave(self, session: Session, topic_filter: str) -> None:
        key = self._group_key(session, topic_filter)
        group = self._groups.get(key)
        if group is None:
            return
        group.members.pop(session, None)
        if group.connection is None:
            self.trie.remove(group.topic_filter, group)
        if not group.members:
            del self._groups[key]
            if group.stored is not None:
                self._store.remove_group(key)

    def _group_key(self, session: Session, topic_filter: str) -> str:
        account = session.key.split("/", 2)[:2]
        return "/".join((*account, topic_filter))

    def _write_groups(self) -> None:
        """A group without a place of its own goes on from the live cursor after a crash."""
        for group in self._groups.values():
            place = group.owed_from(group.cursor) or Cursor(b"")
            if group.persistent and place != (group.stored or b""):
                group.stored = place
                self._store.put_group(group.key, place)


async def written(future: Future[None] | None) -> None:
    """Wait for a write of the store."""
    if future is not None:
        await asyncio.wrap_future(future)
