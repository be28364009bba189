"""A session's exchanges at QoS 2 as the store keeps them: `window.Journal` on `SessionStore`."""

import asyncio
from collections.abc import Callable, Iterable
from concurrent.futures import Future

from motorcade.gateway.mqtt.store import SessionStore, StoredExchange
from motorcade.gateway.mqtt.window import Sent, Stage, Window
from motorcade.wire.mqtt.publish import Publish


class SessionJournal:
    """See the module's text. All calls come from the loop."""

    def __init__(
        self,
        store: SessionStore,
        key: str,
        loop: asyncio.AbstractEventLoop,
        failed: Callable[[], None],
    ) -> None:
        self._store = store
        self._key = key
        self._loop = loop
        self._failed = failed

    def put(self, packet_id: int, sent: Sent, then: Callable[[], None]) -> None:
        """See `window.Journal.put`."""
        publish = sent.publish
        row = StoredExchange(
            self._key,
            sent.ordinal,
            sent.stage,
            packet_id,
            sent.place,
            (publish.topic, publish.payload, publish.qos, publish.retain, publish.properties)
            if sent.stage is Stage.SENT
            else None,
        )

        def durable(future: Future[None]) -> None:
            if future.exception() is None:
                then()
            else:
                self._failed()

        self._store.put_exchange(row).add_done_callback(
            lambda future: self._loop.call_soon_threadsafe(durable, future)
        )

    def done(self, sent: Sent) -> None:
        """See `window.Journal.done`."""
        row = StoredExchange(self._key, sent.ordinal, Stage.DONE, 0, sent.place, None)
        self._store.put_exchange(row)

    def forget(self, ordinals: Iterable[int]) -> None:
        """See `window.Journal.forget`."""
        for ordinal in ordinals:
            self._store.remove_exchange(self._key, ordinal)


def restore(window: Window, row: StoredExchange) -> None:
    """Put an exchange of an earlier process back. Rows come in the order of their ordinals."""
    window.ordinal = row.ordinal
    stage = Stage(row.stage)
    if stage is Stage.DONE:
        window.done[row.place] = (row.ordinal, None)
        return
    topic, payload, qos, retain, properties = row.message or ("", b"", 2, False, b"")
    window.sent[row.packet_id] = Sent(
        Publish(topic, payload, qos, None, retain, True, properties),
        None,
        row.place,
        stage=stage,
        ordinal=row.ordinal,
        journaled=True,
        written=True,
    )
