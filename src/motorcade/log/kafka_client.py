"""What the parts of the Kafka engine share: names, settings of the clients, offsets, errors.

Kafka topics are named `{deployment}.{writer}.{lane}`, one per writer and lane like the directories
of the embedded engine, so one writer's positions and order never meet another's.
"""

import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, Final

from confluent_kafka import IsolationLevel, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # public, but not marked so
    AdminClient,
    NewTopic,
    OffsetSpec,
)

from motorcade.config import KafkaConfig, LogConfig
from motorcade.log.errors import LogError
from motorcade.log.topics import Lane

EARLIEST: Final[Any] = OffsetSpec.earliest()  # type: ignore[no-untyped-call]
LATEST: Final[Any] = OffsetSpec.latest()  # type: ignore[no-untyped-call]
_NO_TIME_LIMIT_MS: Final = (1 << 63) - 1
_MARKER_WAIT_S: Final = 0.005  # between two looks whether a transaction's end is written
RETRY_S: Final = 0.02
_NO_LEADER_YET: Final = (
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError._UNKNOWN_PARTITION,
    KafkaError._UNKNOWN_TOPIC,
)
Offsets = dict[str, list[int]]  # Kafka topic -> the next offset of each of its partitions


@contextmanager
def wrapped(doing: str, error_class: type[LogError] = LogError) -> Iterator[None]:
    """Turn Kafka's own errors into ours, saying what was being done."""
    try:
        yield
    except KafkaException as error:
        raise error_class(f"Kafka: {doing} failed: {describe(error)}") from error


def describe(error: KafkaException) -> str:
    """The broker's or the client library's own words."""
    cause = error.args[0] if error.args else error
    return f"{cause.str()} ({cause.name()})" if isinstance(cause, KafkaError) else str(cause)


def transient(error: KafkaError) -> bool:
    """Whether asking again is the answer."""
    return not error.fatal() and (error.retriable() or error.code() in _NO_LEADER_YET)


def topic_name(kafka: KafkaConfig, writer: str, lane: Lane) -> str:
    """The Kafka topic of one writer and lane."""
    if not writer or not all(letter.isalnum() or letter in "-_" for letter in writer):
        raise LogError(f"writer name {writer!r}: use letters, digits, - and _ only")
    return f"{kafka.deployment}.{writer}.{lane.value}"


def split_topic_name(kafka: KafkaConfig, topic: str) -> tuple[str, Lane] | None:
    """The (writer, lane) of a Kafka topic; `None` when it is none of ours."""
    prefix = f"{kafka.deployment}."
    writer, _, lane = topic.removeprefix(prefix).rpartition(".")
    if not topic.startswith(prefix) or lane not in {each.value for each in Lane}:
        return None
    return (writer, Lane(lane)) if writer and "." not in writer else None


def consumer_settings(kafka: KafkaConfig, config: LogConfig, group: str) -> dict[str, Any]:
    """A consumer that is told where to read, sees committed messages only, commits by hand."""
    return {
        "bootstrap.servers": kafka.bootstrap,
        "group.id": f"{kafka.deployment}.{group}",
        "isolation.level": "read_committed",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "error",  # we name offsets: a missing one must be told, not guessed
        "fetch.wait.max.ms": 100,
        "fetch.max.bytes": kafka.message_bytes_max,
        "message.max.bytes": kafka.message_bytes_max,
        "receive.message.max.bytes": kafka.message_bytes_max + (1 << 20),
        "queued.max.messages.kbytes": max(1_024, config.reader_bytes_max >> 10),
    }


def producer_settings(kafka: KafkaConfig, config: LogConfig, transaction: str) -> dict[str, Any]:
    """An idempotent, transactional producer: acks=all, and it fences its older namesake."""
    return {
        "bootstrap.servers": kafka.bootstrap,
        "transactional.id": transaction,
        "transaction.timeout.ms": int(kafka.commit_s_max * 1_000),
        "message.timeout.ms": int(kafka.commit_s_max * 1_000),
        "enable.idempotence": True,
        "acks": "all",
        "linger.ms": 0,  # messages are packed already
        "message.max.bytes": kafka.message_bytes_max,
        "queue.buffering.max.kbytes": 2 * config.queue_bytes_max // 1_024 + 4_096,
    }


def create_topic(admin: AdminClient, kafka: KafkaConfig, topic: str, partitions: int) -> None:
    """Create a Kafka topic unless it is there. Nothing in it expires by itself."""
    if topic in admin.list_topics(timeout=kafka.timeout_s).topics:
        return
    new = NewTopic(
        topic,
        num_partitions=partitions,
        replication_factor=kafka.replication,
        config={
            "retention.ms": "-1",
            "retention.bytes": "-1",
            "max.message.bytes": str(kafka.message_bytes_max),
            # Kafka refuses messages an hour ahead of its clock; P3 decides that for us, earlier.
            "message.timestamp.after.max.ms": str(_NO_TIME_LIMIT_MS),
        },
    )
    try:
        admin.create_topics([new], operation_timeout=kafka.timeout_s)[topic].result()
    except KafkaException as error:
        if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
            raise


def find_topics(client: Any, kafka: KafkaConfig, lanes: frozenset[Lane]) -> dict[str, int]:
    """Our topics of these lanes with their number of partitions, in a stable order."""
    found = client.list_topics(timeout=kafka.timeout_s).topics
    sizes = {}
    for name in sorted(found):
        ours = split_topic_name(kafka, name)
        if ours is not None and ours[1] in lanes and found[name].partitions:
            sizes[name] = len(found[name].partitions)
    return sizes


def at_time(time_us: int) -> Any:
    """Asks for the first message of this time, in Kafka's ms, or later."""
    return OffsetSpec.for_timestamp(max(time_us, 0) // 1_000)


def query_offsets(
    admin: AdminClient,
    kafka: KafkaConfig,
    sizes: Mapping[str, int],
    spec: Any,
    isolation: IsolationLevel = IsolationLevel.READ_COMMITTED,
) -> Offsets:
    """The offset that `spec` means in every partition; -1 where it means none.

    Asks again while a partition, a new one say, has no leader yet.
    """
    wanted: dict[TopicPartition, Any] = {
        TopicPartition(topic, partition): spec
        for topic, size in sizes.items()
        for partition in range(size)
    }
    offsets: Offsets = {topic: [0] * size for topic, size in sizes.items()}
    for attempt in attempts(kafka, RETRY_S):
        futures: Mapping[TopicPartition, Future[Any]] = admin.list_offsets(
            wanted, isolation_level=isolation, request_timeout=kafka.timeout_s
        )
        for place, future in futures.items():
            try:
                offsets[place.topic][place.partition] = future.result().offset
            except KafkaException as error:
                if attempt == 0 or not transient(error.args[0]):
                    raise
            else:
                del wanted[place]
        if not wanted:
            break
    return offsets


def query_ends(admin: AdminClient, kafka: KafkaConfig, sizes: Mapping[str, int]) -> Offsets:
    """Where every partition ends, such that all before it is decided, committed or aborted.

    A commit is acknowledged a little before its marker stands in the partitions, so the last
    decided offset may lie before records that are durable: wait until it reaches the end.

    Raises:
        LogError: a transaction stays open for longer than a request may take.
    """
    ends = query_offsets(admin, kafka, sizes, LATEST, IsolationLevel.READ_UNCOMMITTED)
    for _ in attempts(kafka, _MARKER_WAIT_S):
        decided = query_offsets(admin, kafka, sizes, LATEST)
        if all(
            done >= end
            for topic, row in ends.items()
            for done, end in zip(decided[topic], row, strict=True)
        ):
            return ends
    raise LogError(f"Kafka: a transaction stays open for {kafka.timeout_s} s: is a writer stuck?")


def attempts(kafka: KafkaConfig, wait_s: float) -> Iterator[int]:
    """How many attempts are left, a pause before each but the first, for about a request's time."""
    left = int(kafka.timeout_s / wait_s)
    yield left
    while left:
        threading.Event().wait(wait_s)
        left -= 1
        yield left


def assignment(offsets: Mapping[str, Sequence[int]]) -> list[TopicPartition]:
    """What a consumer is told to read, and from where."""
    return [
        TopicPartition(topic, partition, offset)
        for topic, row in offsets.items()
        for partition, offset in enumerate(row)
    ]
