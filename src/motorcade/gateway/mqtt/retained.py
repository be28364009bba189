"""Retained messages: the last one of each topic, for whoever subscribes later (§3.3.1.3).

They follow from the log, so PUBACK promises them too: `recall.py` notes them in the store every
second and reads what came since back from the log. Memory holds all of them, within two limits.
"""

import heapq
from dataclasses import dataclass
from typing import Final

from motorcade.config import MqttConfig
from motorcade.events import Flags, Record
from motorcade.gateway.mqtt.message import Message, aged, expires_us
from motorcade.gateway.mqtt.records import topic_name
from motorcade.gateway.mqtt.session import session_key_of
from motorcade.gateway.mqtt.store import SessionStore, StoredRetained
from motorcade.wire.mqtt.topic_tree import TopicTree

OVERHEAD_BYTES: Final = 400  # what one costs beside its own bytes, in dictionaries and the tree
SPARE_EXPIRIES: Final = 1_000  # of messages that were replaced, before they are cleared out


@dataclass(frozen=True, slots=True)
class Retained:
    """One topic's message and when it ends, 0 for never."""

    row: StoredRetained
    expires_us: int

    def message(self, now_us: int) -> Message | None:
        """As it is sent now, `None` if it is over."""
        row = self.row
        properties = aged(row.properties, (now_us - row.received_time_us) // 1_000_000)
        if properties is None:
            return None
        return Message(
            row.topic,
            row.payload,
            properties,
            row.qos,
            True,
            row.publisher,
            kept=True,
            expires_us=self.expires_us,
        )

    @property
    def size(self) -> int:
        row = self.row
        return len(row.topic) + len(row.payload) + len(row.properties) + OVERHEAD_BYTES


class RetainedMessages:
    """See the module's text."""

    def __init__(self, config: MqttConfig, store: SessionStore) -> None:
        self._config = config
        self._store = store
        self._by_topic: dict[str, Retained] = {}
        self._tree: TopicTree[Retained] = TopicTree()
        self._expiries: list[tuple[int, str]] = []
        self._changed: set[str] = set()  # since the last note
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._by_topic)

    def restore(self) -> None:
        """Read what was noted; `apply` what the log holds since then."""
        for row in self._store.load_retained():
            self._put(Retained(row, expires_us(row.properties, row.received_time_us)))
        self._changed.clear()

    def fits(self, topic: str, payload_bytes: int) -> bool:
        """Whether a message may be kept; removing one always may."""
        if not payload_bytes:
            return True
        known = self._by_topic.get(topic)
        messages = len(self._by_topic) + (known is None)
        size = self.bytes - (known.size if known is not None else 0) + payload_bytes + len(topic)
        return (
            messages <= self._config.retained_messages_max
            and size + OVERHEAD_BYTES <= self._config.retained_bytes_max
        )

    def apply(self, record: Record) -> None:
        """A record is durable: keep it, or remove what an empty one names [MQTT-3.3.1-6]."""
        if not record.flags & Flags.RETAIN:
            return
        topic = topic_name(record)
        self._remove(topic)
        self._changed.add(topic)
        if record.payload:
            row = StoredRetained(
                topic,
                record.payload,
                record.properties,
                2 if record.flags & Flags.QOS_2 else 1 if record.flags & Flags.QOS_1 else 0,
                record.received_time_us,
                session_key_of(record),
            )
            self._put(Retained(row, expires_us(row.properties, row.received_time_us)))

    def matching(self, topic_filter: str) -> list[Retained]:
        """What a new subscription is to be told, as it is now."""
        return list(self._tree.match(topic_filter))

    def expire(self, now_us: int) -> None:
        """Forget what is over [MQTT-3.3.2-5]."""
        while self._expiries and self._expiries[0][0] <= now_us:
            ends_us, topic = heapq.heappop(self._expiries)
            known = self._by_topic.get(topic)
            if known is not None and known.expires_us == ends_us:
                self._remove(topic)
                self._changed.add(topic)

    def write(self) -> None:
        """Note what changed."""
        changed, self._changed = self._changed, set()
        for topic in changed:
            known = self._by_topic.get(topic)
            if known is None:
                self._store.remove_retained(topic)
            else:
                self._store.put_retained(known.row)

    def _put(self, retained: Retained) -> None:
        topic = retained.row.topic
        self._by_topic[topic] = retained
        self._tree.put(topic, retained)
        self.bytes += retained.size
        if retained.expires_us:
            heapq.heappush(self._expiries, (retained.expires_us, topic))
            if len(self._expiries) > 2 * len(self._by_topic) + SPARE_EXPIRIES:
                self._expiries = [
                    (each.expires_us, each.row.topic)
                    for each in self._by_topic.values()
                    if each.expires_us
                ]
                heapq.heapify(self._expiries)

    def _remove(self, topic: str) -> None:
        known = self._by_topic.pop(topic, None)
        if known is not None:
            self._tree.remove(topic)
            self.bytes -= known.size
