"""The log on Kafka: the engine for more than one machine. Not wired into the product yet.

What is where: `kafka_writer.py` (transactions, fencing, positions), `kafka_reader.py` (tailing),
`kafka_message.py` (what a message holds), `kafka_client.py` (names, settings, offsets). Needs
brokers 2.5 or later and the extra `motorcade[kafka]`.

- One Kafka topic per writer and lane; a record goes to the Kafka partition `record.partition %
  partition_groups`, so the order of a vehicle holds. One message per append and group.
- A consumer group's cursor is stored as its committed offsets, so Kafka's own tools show its lag.
  Kafka forgets a group that stores nothing for `offsets.retention.minutes` (7 days).
- Retention is off (positions are recovered from the last message of each partition).
- The newest writer of a name wins and fences the older one, see `kafka_writer.py`.
"""

import json
from typing import Any, Final

from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient

from motorcade.clock import Clock
from motorcade.config import KafkaConfig, LogConfig
from motorcade.events import Topic
from motorcade.log import kafka_client as client
from motorcade.log.errors import LogClosedError, LogError
from motorcade.log.kafka_cursor import Place
from motorcade.log.kafka_reader import KafkaReader, place_of
from motorcade.log.kafka_writer import KafkaWriter
from motorcade.log.port import Cursor, Edge, Start
from motorcade.log.topics import Lane

_ALL_LANES: Final = frozenset(Lane)


class KafkaLog:
    """See `Log`. Thread-safe as far as the port asks: open writers and readers from one thread."""

    def __init__(self, kafka: KafkaConfig, config: LogConfig, clock: Clock) -> None:
        self._kafka = kafka
        self._config = config
        self._clock = clock
        self._admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
        self._writers: dict[tuple[str, Lane], KafkaWriter] = {}
        self._readers: set[KafkaReader] = set()
        self._groups: dict[str, Consumer] = {}
        self._closed = False
        # A group's cursor of a log without writers has no offsets to commit: it stands here.
        self._anchor = f"{kafka.deployment}.cursors"

    def writer(self, name: str, lane: Lane) -> KafkaWriter:
        """See `Log.writer`. A writer of this name in another process is fenced."""
        self._check_open()
        key = (name, lane)
        if key in self._writers:
            raise LogError(f"writer {name} {lane.value} is open in this process: close it first")

        def closed() -> None:
            self._writers.pop(key, None)

        writer = KafkaWriter(name, lane, self._kafka, self._config, closed)
        self._writers[key] = writer
        return writer

    def reader(self, topics: frozenset[Topic], start: Start) -> KafkaReader:
        """See `Log.reader`."""
        self._check_open()
        with client.wrapped("finding where to start"):
            place = place_of(start, topics, self._admin, self._kafka)
        reader = KafkaReader(
            topics,
            place,
            self._admin,
            self._kafka,
            self._config,
            self._clock,
            lambda: self._readers.discard(reader),
        )
        self._readers.add(reader)
        return reader

    def end(self, topics: frozenset[Topic]) -> Cursor:
        """See `Log.end`."""
        self._check_open()
        with client.wrapped("asking for the end"):
            return place_of(Edge.LATEST, topics, self._admin, self._kafka).to_cursor()

    def load_cursor(self, consumer_group: str) -> Cursor | None:
        """See `Log.load_cursor`."""
        self._check_open()
        with client.wrapped(f"loading the cursor of {consumer_group}"):
            sizes = client.find_topics(self._admin, self._kafka, _ALL_LANES)
            wanted = [TopicPartition(self._anchor, 0)]
            wanted += client.assignment({topic: [0] * size for topic, size in sizes.items()})
            consumer = self._group(consumer_group)
            anchor, *stored = consumer.committed(wanted, timeout=self._kafka.timeout_s)
        if anchor.offset < 0:
            return None
        place = Place(**json.loads(anchor.metadata or "{}"))
        for each in stored:
            if each.offset >= 0:
                place.offsets.setdefault(each.topic, [0] * sizes[each.topic])
                place.offsets[each.topic][each.partition] = each.offset
        return place.to_cursor()

    def store_cursor(self, consumer_group: str, cursor: Cursor) -> None:
        """See `Log.store_cursor`. One request, which the group's coordinator writes as one."""
        self._check_open()
        place = Place.of_cursor(cursor)
        metadata: dict[str, Any] = {}
        if place.at_us is not None:
            metadata = {"at_us": place.at_us, "begun": place.begun}
        with client.wrapped(f"storing the cursor of {consumer_group}"):
            # A topic that the cursor does not name is read from its start: say so, or an offset
            # stored earlier would stand.
            sizes = client.find_topics(self._admin, self._kafka, _ALL_LANES)
            offsets = client.query_offsets(self._admin, self._kafka, sizes, client.EARLIEST)
            offsets |= place.offsets
            commits = client.assignment(offsets)
            commits.append(TopicPartition(self._anchor, 0, 0, json.dumps(metadata)))
            consumer = self._group(consumer_group)
            for each in consumer.commit(offsets=commits, asynchronous=False) or ():
                if each.error is not None:
                    raise LogError(f"Kafka: cursor of {consumer_group}: {each.error.str()}")

    def close(self) -> None:
        """See `Log.close`."""
        if self._closed:
            return
        self._closed = True
        for writer in list(self._writers.values()):
            writer.close()
        for reader in list(self._readers):
            reader.close()
        for consumer in self._groups.values():
            consumer.close()
        self._groups.clear()
        del self._admin  # it has no close: its connections end with its last owner

    def _group(self, name: str) -> Consumer:
        """The client that commits for a group, kept because connecting costs more than asking."""
        if name not in self._groups:
            client.create_topic(self._admin, self._kafka, self._anchor, 1)
            settings = client.consumer_settings(self._kafka, self._config, f"group.{name}")
            self._groups[name] = Consumer(settings)
        return self._groups[name]

    def _check_open(self) -> None:
        if self._closed:
            raise LogClosedError("this log was closed: open another")
