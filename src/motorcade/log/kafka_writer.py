"""The single writer of one (name, lane) in Kafka: packs appends, one transaction per group commit.

The transaction makes an append whole or nothing over all partition groups, and its id fences: the
newest writer of a name wins and every older one fails from then on (`LogWriteError`), where the
embedded engine refuses the second. Either way no two write. The newest must win here, because
Kafka cannot tell a dead writer from a slow one sooner than a timeout would.
"""

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final, NamedTuple

import numpy as np
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from motorcade.config import KafkaConfig, LogConfig
from motorcade.events import RecordBatch
from motorcade.log import kafka_client as client
from motorcade.log.errors import LogBusyError, LogClosedError, LogError, LogWriteError
from motorcade.log.kafka_message import Positions, compact, decode, encode, number, record_bytes
from motorcade.log.topics import Lane

_POLL_S: Final = 0.1


class _Taken(NamedTuple):
    batch: RecordBatch
    size: int  # bytes, of `log.queue_bytes_max`
    future: Future[RecordBatch]


class KafkaWriter:
    """See `LogWriter`. A thread of its own commits; appends only queue."""

    def __init__(
        self,
        name: str,
        lane: Lane,
        kafka: KafkaConfig,
        config: LogConfig,
        on_close: Callable[[], None],
    ) -> None:
        """Take over the name and find where its positions stand.

        Raises:
            LogError: the brokers cannot be reached or refuse.
        """
        self.topic = client.topic_name(kafka, name, lane)
        self._kafka = kafka
        self._config = config
        self._on_close = on_close
        with client.wrapped(f"opening writer {name} {lane.value}"):
            admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
            client.create_topic(admin, kafka, self.topic, kafka.partition_groups)
            self._producer = Producer(client.producer_settings(kafka, config, self.topic))
            # Fences the name's older writer and ends what it left open, so: before recovery.
            self._take_over()
            self._positions = _recover(admin, self.topic, kafka, config)
        self._groups = len(self._positions)
        self._changed = threading.Condition()
        self._queue: deque[_Taken] = deque()
        self._queue_bytes = 0
        self._closing = False
        self._broken: LogWriteError | None = None
        self._thread = threading.Thread(target=self._run, name=f"kafka {self.topic}", daemon=True)
        self._thread.start()

    def append(self, batch: RecordBatch) -> Future[RecordBatch]:
        """See `LogWriter.append`."""
        size = batch.rows.nbytes + int(record_bytes(batch.rows).sum())
        future: Future[RecordBatch] = Future()
        with self._changed:
            if self._closing:
                raise LogClosedError(f"writer {self.topic} was closed: open it again to append")
            if self._broken is not None:
                future.set_exception(self._broken)
                return future
            if self._queue_bytes + size > self._config.queue_bytes_max:
                raise LogBusyError(
                    f"{self._queue_bytes} bytes wait in {self.topic}, limit "
                    f"{self._config.queue_bytes_max}: wait for a future, then append again"
                )
            self._queue_bytes += size
            self._queue.append(_Taken(batch, size, future))
            self._changed.notify()
        return future

    def close(self) -> None:
        """See `LogWriter.close`."""
        with self._changed:
            if self._closing:
                return
            self._closing = True
            self._changed.notify()
        self._thread.join()
        if self._broken is None:
            self._producer.close()
        del self._producer  # a broken one refuses to close: its connections end here
        self._on_close()

    def _take_over(self) -> None:
        """Fence the older writer of this name; a coordinator that just starts is asked again."""
        for attempt in client.attempts(self._kafka, client.RETRY_S):
            try:
                self._producer.init_transactions(self._kafka.timeout_s)
            except KafkaException as error:
                if attempt == 0 or not client.transient(error.args[0]):
                    raise
            else:
                return

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queue or self._closing)
                taken = list(self._queue)
                self._queue.clear()
            if not taken:
                return
            self._settle(taken)

    def _settle(self, taken: list[_Taken]) -> None:
        """Commit, then answer: every future of one transaction shares its fate."""
        try:
            if self._broken is not None:
                raise self._broken
            done = self._commit(taken)
        except Exception as error:
            failure = (
                error
                if isinstance(error, LogWriteError)
                else LogWriteError(
                    f"writer {self.topic}: {error!r}; nothing of this append is durable"
                )
            )
            self._release(taken)
            for each in taken:
                each.future.set_exception(failure)
        else:
            self._release(taken)
            for each, batch in zip(taken, done, strict=True):
                each.future.set_result(batch)

    def _release(self, taken: list[_Taken]) -> None:
        with self._changed:
            self._queue_bytes -= sum(each.size for each in taken)

    def _commit(self, taken: list[_Taken]) -> list[RecordBatch]:
        """Write the batches in one transaction; positions move on only when it is committed."""
        positions = [dict(each) for each in self._positions]
        numbered = []
        failures: list[KafkaError] = []
        begun = False
        try:
            for each in taken:
                rows = each.batch.rows.copy()
                numbered.append(RecordBatch(rows, each.batch.buffer))
                if len(rows) and not begun:
                    self._producer.begin_transaction()
                    begun = True
                self._produce(numbered[-1], positions, failures)
            if begun:
                self._finish(failures)
        except KafkaException as error:
            self._give_up(error, begun)
        self._positions = positions
        return numbered

    def _produce(
        self, batch: RecordBatch, positions: list[Positions], failures: list[KafkaError]
    ) -> None:
        """Hand one append to the client library: a message per partition group it touches."""

        def delivered(error: KafkaError | None, _message: object) -> None:
            if error is not None:
                failures.append(error)

        groups = batch.rows["partition"] % self._groups
        for group in np.unique(groups):
            where = groups == group
            part = compact(batch.select(where))
            number(part.rows, positions[group])
            batch.rows["position"][where] = part.rows["position"]
            newest_us = int(part.rows["received_time_us"].max())
            message = encode(part, positions[group])
            self._send(message, int(group), max(newest_us, 0) // 1_000, delivered)

    def _send(
        self, message: bytes, group: int, time_ms: int, delivered: Callable[..., None]
    ) -> None:
        while True:
            try:
                self._producer.produce(
                    self.topic, message, partition=group, timestamp=time_ms, on_delivery=delivered
                )
            except BufferError:  # the library's queue is full: let it send
                self._producer.poll(_POLL_S)
            else:
                return

    def _finish(self, failures: list[KafkaError]) -> None:
        """Commit the transaction, asking again while the library says that this is safe."""
        patience = int(self._kafka.commit_s_max / self._kafka.timeout_s) + 1
        while True:
            try:
                self._producer.commit_transaction(self._kafka.timeout_s)
            except KafkaException as error:
                patience -= 1
                if failures or patience == 0 or not error.args[0].retriable():
                    raise
            else:
                return

    def _give_up(self, error: KafkaException, begun: bool) -> None:
        """Abort. Where that fails the outcome is unknown or the writer fenced: it ends for good.

        Raises:
            LogWriteError: always.
        """
        failure = LogWriteError(
            f"writer {self.topic}: {client.describe(error)}; nothing of this append is durable. "
            "If another process took over this writer's name, stop one of the two."
        )
        try:
            if begun:
                self._producer.abort_transaction(self._kafka.timeout_s)
        except KafkaException:
            self._broken = failure
        if error.args[0].fatal():
            self._broken = failure
        raise failure from error


def _recover(
    admin: AdminClient, topic: str, kafka: KafkaConfig, config: LogConfig
) -> list[Positions]:
    """The next positions of each partition group, from the last committed message of each."""
    sizes = {topic: client.find_topics(admin, kafka, frozenset(Lane))[topic]}
    firsts = client.query_offsets(admin, kafka, sizes, client.EARLIEST)[topic]
    ends = client.query_ends(admin, kafka, sizes)[topic]
    positions: list[Positions] = [{} for _ in ends]
    settings = client.consumer_settings(kafka, config, "recovery") | {"enable.partition.eof": True}
    consumer = Consumer(settings)
    try:
        # The end is a transaction's marker, the message stands before it; after aborted
        # transactions it stands further back.
        back = 2
        missing = {group for group, end in enumerate(ends) if end > firsts[group]}
        while missing:
            starts = {group: max(firsts[group], ends[group] - back) for group in missing}
            for group, message in _last_messages(consumer, topic, starts, kafka).items():
                positions[group] = decode(message)[1]
                missing.discard(group)
            missing -= {group for group, start in starts.items() if start == firsts[group]}
            back *= 8
    finally:
        consumer.close()
    return positions


def _last_messages(
    consumer: Consumer, topic: str, starts: dict[int, int], kafka: KafkaConfig
) -> dict[int, bytes]:
    """Read partitions from `starts` to their ends; the last message of each that has one."""
    consumer.assign([TopicPartition(topic, group, start) for group, start in starts.items()])
    last: dict[int, bytes] = {}
    reading = set(starts)
    while reading:
        message = consumer.poll(kafka.timeout_s)
        if message is None:
            raise LogError(f"Kafka: no answer in {kafka.timeout_s} s while recovering {topic}")
        error = message.error()
        group = message.partition()
        assert group is not None  # we assigned it
        if error is None:
            last[group] = message.value() or b""
        elif error.code() == KafkaError._PARTITION_EOF:
            reading.discard(group)
        else:
            raise KafkaException(error)
    return last
