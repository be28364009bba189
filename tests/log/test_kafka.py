"""The Kafka engine where it can break: its process killed in a transaction, its broker gone.

What it promises when nothing breaks is tested with every other engine in `tests/contracts`.
"""

import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from confluent_kafka import Producer

from motorcade.clock import SystemClock
from motorcade.config import KafkaConfig, LogConfig
from motorcade.events import NO_VEHICLE, Record, RecordBatch, Topic
from motorcade.log.errors import LogCorruptError, LogError, LogWriteError
from motorcade.log.kafka import KafkaLog
from motorcade.log.kafka_client import topic_name
from motorcade.log.port import Edge
from motorcade.log.topics import Lane
from tests.engines.kafka import KafkaBroker, running_kafka

pytestmark = pytest.mark.timeout(1_500)  # the first test may have to install Kafka
TOPICS = frozenset({Topic.TELEMETRY})
ROOT = Path(__file__).parents[2]

WRITER = """
import itertools, sys
from tests.log.test_kafka import *
log = opened(*sys.argv[1:3])
writer = log.writer("gateway", Lane.BULK)
for number in itertools.count(int(sys.argv[3])):
    future = writer.append(records(number))
    if number % 3 == 0:  # otherwise more wait, so that a kill finds a transaction open
        future.result(60)
        print(number, flush=True)
"""


def opened(bootstrap: str, deployment: str, **limits: float) -> KafkaLog:
    kafka = KafkaConfig(bootstrap=bootstrap, deployment=deployment, partition_groups=2, **limits)
    return KafkaLog(kafka, LogConfig(), SystemClock())


def records(number: int) -> RecordBatch:
    """Four records of one append, in two partition groups."""
    return RecordBatch.of(
        Record(NO_VEHICLE, Topic.TELEMETRY, b"%d" % number, number, number, partition=partition)
        for partition in (0, 1, 2, 3)
    )


def one_group(number: int) -> RecordBatch:
    """Two records in one partition group, so in one Kafka partition."""
    batch = records(number)
    return batch.select(batch.rows["partition"] % 2 == 0)


def test_kills_lose_nothing_acknowledged_and_leave_no_part_of_an_append() -> None:
    bootstrap = running_kafka().bootstrap
    acknowledged = -1
    for _ in range(2):
        command = [sys.executable, "-c", WRITER, bootstrap, "killed", str(acknowledged + 1_000)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as writer:
            assert writer.stdout is not None
            for _ in range(10):
                acknowledged = int(writer.stdout.readline())
            writer.kill()
    log = opened(bootstrap, "killed")
    last = log.writer("gateway", Lane.BULK)  # ends the transaction that the last kill left open
    last.append(records(10**6)).result(60)
    places: dict[int, list[Record]] = {partition: [] for partition in range(4)}
    reader = log.reader(TOPICS, Edge.EARLIEST)
    while not all(rows and rows[-1].payload == b"1000000" for rows in places.values()):
        for given in reader.poll(5.0):
            for record in given.batch:
                places[record.partition].append(record)
    log.close()
    for rows in places.values():
        assert [row.position for row in rows] == list(range(len(rows)))
        assert [row.payload for row in rows] == [row.payload for row in places[0]]
    numbers = [int(row.payload) for row in places[0]]
    assert numbers == sorted(set(numbers))
    assert acknowledged in numbers


def test_without_a_broker_nothing_is_acknowledged() -> None:
    broker = KafkaBroker()
    try:
        log = opened(broker.bootstrap, "gone", timeout_s=3.0, commit_s_max=3.0)
        writer = log.writer("gateway", Lane.BULK)
        writer.append(records(1)).result(60)
    finally:
        broker.stop()
    with pytest.raises(LogWriteError):
        writer.append(records(2)).result(60)
    with pytest.raises(LogWriteError):  # the outcome was unknown, so this writer ended for good
        writer.append(records(3)).result(60)
    with pytest.raises(LogError):
        log.end(TOPICS)
    log.close()


@pytest.mark.parametrize("name", ["", "a.b", "a b", "ä/"])
def test_names_that_kafka_would_not_carry_are_refused(name: str) -> None:
    log = opened("127.0.0.1:1", "names")
    with pytest.raises(LogError, match="writer name"):
        log.writer(name, Lane.BULK)


def test_damage_is_raised_after_what_came_before_it_and_can_be_skipped() -> None:
    bootstrap = running_kafka().bootstrap
    log = opened(bootstrap, "damaged")
    with closing(log):
        writer = log.writer("gateway", Lane.BULK)
        writer.append(one_group(1)).result(60)
        kafka = KafkaConfig(bootstrap=bootstrap, deployment="damaged")
        stranger = Producer({"bootstrap.servers": bootstrap})
        stranger.produce(topic_name(kafka, "gateway", Lane.BULK), b"not ours", partition=0)
        stranger.flush(60)
        writer.append(one_group(2)).result(60)
        reader = log.reader(TOPICS, Edge.EARLIEST)
        found: list[bytes] = []

        def read_on() -> None:
            for part in reader.poll(30):
                found.extend(one.payload for one in part.batch)

        read_on()
        assert found == [b"1"] * 2
        for _ in range(2):  # until it is skipped
            with pytest.raises(LogCorruptError, match="at offset"):
                read_on()
        reader.skip_damage()
        read_on()
        assert found == [b"1"] * 2 + [b"2"] * 2
        assert not reader.poll(0.5)
        reader.close()
