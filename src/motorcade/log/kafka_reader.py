"""Tails the Kafka topics of all writers: messages in, slices out, the cursor kept by us.

The consumer is told its partitions and offsets (`assign`), so no group rebalance moves them. Order
holds per (writer, topic, partition), as the port promises; records of different partition groups
come in any order.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from confluent_kafka import Consumer, KafkaError, Message
from confluent_kafka.admin import AdminClient

from motorcade.clock import Clock
from motorcade.config import KafkaConfig, LogConfig
from motorcade.events import RecordBatch, Topic
from motorcade.log import kafka_client as client
from motorcade.log.errors import CursorError, LogClosedError, LogCorruptError, LogError
from motorcade.log.kafka_cursor import Place
from motorcade.log.kafka_message import decode
from motorcade.log.port import AtTime, Cursor, Edge, LogSlice, Start
from motorcade.log.topics import lanes_of

_CURSOR_ERRORS: Final = (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE)


def place_of(
    start: Start, topics: frozenset[Topic], admin: AdminClient, kafka: KafkaConfig
) -> Place:
    """Turn a start into offsets, as of now."""
    if isinstance(start, bytes):
        return Place.of_cursor(Cursor(start))
    if start is Edge.EARLIEST:
        return Place()
    sizes = client.find_topics(admin, kafka, lanes_of(topics))
    ends = client.query_ends(admin, kafka, sizes)
    if not isinstance(start, AtTime):
        return Place(ends)
    # Messages carry their newest record's time in ms; the exact record is found when they come.
    found = client.query_offsets(admin, kafka, sizes, client.at_time(start.received_time_us))
    for topic, row in found.items():
        row[:] = [end if at < 0 else at for at, end in zip(row, ends[topic], strict=True)]
    return Place(found, start.received_time_us)


class KafkaReader:
    """See `LogReader`. Has no doorbell: waiting is done in the client library."""

    doorbell_fd: int | None = None

    def __init__(
        self,
        topics: frozenset[Topic],
        place: Place,
        admin: AdminClient,
        kafka: KafkaConfig,
        config: LogConfig,
        clock: Clock,
        on_close: Callable[[], None],
    ) -> None:
        self._topics = np.array(sorted(topics), np.uint8)
        self._lanes = lanes_of(topics)
        self._place = place
        self._admin = admin
        self._kafka = kafka
        self._config = config
        self._clock = clock
        self._on_close = on_close
        self._known: frozenset[str] = frozenset()
        self._discover_at_s = 0.0
        self._damaged: tuple[str, int, int] | None = None  # topic, partition, offset
        self._consumer: Consumer | None = None
        with client.wrapped("opening a reader"):
            self._consumer = Consumer(client.consumer_settings(kafka, config, "reader"))
            self._discover()

    @property
    def cursor(self) -> Cursor:
        """See `LogReader.cursor`."""
        return self._place.to_cursor()

    def poll(self, timeout_s: float) -> Sequence[LogSlice]:
        """See `LogReader.poll`."""
        self._damaged = None
        deadline_s = self._clock.monotonic_s() + timeout_s
        with client.wrapped("reading"):
            while True:
                messages = self._fetch(deadline_s)
                slices = self._slices(messages)
                if slices or self._clock.monotonic_s() >= deadline_s:
                    return slices

    def skip_damage(self) -> None:
        """See `LogReader.skip_damage`."""
        if self._damaged is not None:
            topic, partition, offset = self._damaged
            self._place.offsets[topic][partition] = offset + 1
            self._damaged = None
            self._go_to_place()

    def close(self) -> None:
        """See `LogReader.close`."""
        if self._consumer is not None:
            self._consumer.close()
            self._consumer = None
            del self._admin  # it has no close: its connections end with its last owner
            self._on_close()

    def _discover(self) -> None:
        """Take in writers that have appeared, from their first record."""
        assert self._consumer is not None
        self._discover_at_s = self._clock.monotonic_s() + self._kafka.discovery_ms / 1_000
        # Not by the consumer: on its connection the question waits behind the pending fetch.
        sizes = client.find_topics(self._admin, self._kafka, self._lanes)
        if self._known >= sizes.keys():
            return
        offsets = self._place.offsets
        for topic, size in sizes.items():
            if len(offsets.get(topic, ())) not in (0, size):
                raise CursorError(f"the cursor names other partitions of {topic} than there are")
        unnamed = {topic: size for topic, size in sizes.items() if topic not in offsets}
        firsts = client.query_offsets(self._admin, self._kafka, unnamed, client.EARLIEST)
        offsets.update(firsts)
        self._known = frozenset(sizes)
        self._go_to_place()

    def _go_to_place(self) -> None:
        """Fetch from where our place stands, forgetting what was fetched beyond it."""
        if self._consumer is None:
            raise LogClosedError("this reader was closed: open another")
        reading = {topic: self._place.offsets[topic] for topic in self._known}
        self._consumer.assign(client.assignment(reading))

    def _fetch(self, deadline_s: float) -> list[Message]:
        """What is there, up to `log.reader_bytes_max`; waits for the first message only."""
        messages: list[Message] = []
        size = 0
        while size < self._config.reader_bytes_max:
            if self._consumer is None:
                raise LogClosedError("this reader was closed: open another")
            now_s = self._clock.monotonic_s()
            if now_s >= self._discover_at_s:
                self._discover()
            wait_s = 0.0 if messages else min(deadline_s, self._discover_at_s) - now_s
            message = self._consumer.poll(max(wait_s, 0.0))
            if message is None:
                if messages or self._clock.monotonic_s() >= deadline_s:
                    break
                continue
            self._check(message)
            messages.append(message)
            size += len(message.value() or b"")
        return messages

    def _check(self, message: Message) -> None:
        error = message.error()
        if error is None:
            return
        if error.code() in _CURSOR_ERRORS:
            raise CursorError(
                f"Kafka no longer has what the cursor points at in {message.topic()}: "
                f"{error.str()}. Start from Edge.EARLIEST or a time"
            )
        if not client.transient(error):
            raise LogError(f"Kafka: reading failed: {error.str()} ({error.name()})")

    def _slices(self, messages: list[Message]) -> list[LogSlice]:
        """One slice per writer and lane, the cursor moving on with each.

        Damage is raised for by the poll that finds nothing before it.
        """
        by_topic: dict[str, list[Message]] = defaultdict(list)
        for message in messages:
            if message.error() is None:
                by_topic[str(message.topic())].append(message)
        slices: list[LogSlice] = []
        for topic, group in by_topic.items():
            parts = []
            try:
                for message in group:
                    part = self._part(topic, message)
                    if len(part):
                        parts.append(part)
            except LogCorruptError:
                self._go_to_place()
                if not (parts or slices):
                    raise
            ours = client.split_topic_name(self._kafka, topic)
            assert ours is not None  # we assigned it
            if parts:
                slices.append(LogSlice(*ours, RecordBatch.concat(parts), self.cursor))
            if self._damaged is not None:
                break
        return slices

    def _part(self, topic: str, message: Message) -> RecordBatch:
        """The wanted records of one message; moves the place past it."""
        partition, offset = message.partition(), message.offset()
        assert partition is not None
        assert offset is not None
        try:
            batch, _ = decode(message.value() or b"")
        except LogCorruptError as error:
            self._damaged = (topic, partition, offset)
            where = f"Kafka topic {topic}[{partition}] at offset {offset}"
            raise LogCorruptError(f"{where}: {error}") from error
        keep = self._from_time(topic, partition, batch)
        keep &= np.isin(batch.rows["topic"], self._topics)
        self._place.offsets[topic][partition] = offset + 1
        return batch.select(keep)

    def _from_time(self, topic: str, partition: int, batch: RecordBatch) -> npt.NDArray[np.bool_]:
        """Which rows stand at or after the first one received at `AtTime`."""
        keep = np.ones(len(batch), np.bool_)
        at_us = self._place.at_us
        if at_us is None:
            return keep
        begun = self._place.begun.setdefault(topic, [False] * len(self._place.offsets[topic]))
        if not begun[partition]:
            keep = np.maximum.accumulate(batch.rows["received_time_us"] >= at_us)
            begun[partition] = bool(keep.any())
        return keep
