"""`motorcade export`: the lines of its contract, in order and once, whatever the server does."""

import base64
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from motorcade.cli.data import opened_registry
from motorcade.cli.main import main
from motorcade.clock import SystemClock
from motorcade.config import Config
from motorcade.events import Encoding, Flags, Record, RecordBatch, Topic, VehicleToken, partition_of
from motorcade.history.writer import HistoryWriter
from motorcade.identity.authority import open_authority
from motorcade.log.embedded import EmbeddedLog
from motorcade.log.files import OsFiles
from motorcade.log.topics import Lane
from motorcade.streams.dedup import Dedup

VINS = ["5YJ3E1EA7KF000001", "5YJ3E1EA7KF000002"]
NOW_US = 1_760_000_000_000_000


@pytest.fixture
def data(tmp_path: Path) -> Path:
    directory = tmp_path / "data"
    with opened_registry(directory, open_authority(directory)) as registry:
        registry.add_vehicles(VINS)
    return directory


@pytest.fixture
def cars(data: Path) -> list[VehicleToken]:
    with opened_registry(data, open_authority(data)) as registry:
        return [vehicle.token for vehicle in registry.vehicles(0, 10)]


@pytest.fixture
def log(data: Path) -> Iterator[EmbeddedLog]:
    log = EmbeddedLog(data / "log", Config().log, SystemClock())
    yield log
    log.close()


def sent(car: VehicleToken, number: int | None, payload: bytes = b"", **more: Any) -> Record:
    time_us = NOW_US + (number or 0) % 1_000
    values = {"topic": Topic.TELEMETRY, "stream": b"trip" if number is not None else b""} | more
    return Record(
        vehicle=car,
        payload=payload,
        sequence=number,
        received_time_us=time_us,
        event_time_us=time_us - 5,
        partition=partition_of(car, Config().log.partitions),
        **values,
    )


def write(
    log: EmbeddedLog, *records: Record, lane: Lane = Lane.BULK, name: str = "gateway"
) -> None:
    writer = log.writer(name, lane)
    writer.append(RecordBatch.of(records)).result(30)
    writer.close()


def run(*words: object, status: int = 0) -> None:
    with pytest.raises(SystemExit) as end:
        main(["export", *(str(word) for word in words)])
    assert end.value.code == status


def exported(
    capsys: pytest.CaptureFixture[str], data: Path, *more: str, vin: str = VINS[0]
) -> list[dict[str, Any]]:
    topic = () if "--topic" in more else ("--topic", "telemetry")
    run("--data", data, "--vin", vin, *topic, "--format", "jsonl", *more)
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_line_says_all_of_the_contract(
    data: Path, cars: list[VehicleToken], log: EmbeddedLog, capsys: pytest.CaptureFixture[str]
) -> None:
    payload = bytes(range(256))
    write(log, sent(cars[1], 3), sent(cars[0], (1 << 64) - 1, payload))
    (line,) = exported(capsys, data)
    time_us = NOW_US + line["sender_sequence"] % 1_000
    assert line == {
        "vin": VINS[0],
        "token": cars[0],
        "sequence": line["sequence"],
        "sender_stream": "trip",
        "sender_sequence": (1 << 64) - 1,
        "event_time_us": time_us - 5,
        "received_time_us": time_us,
        "encoding": "application/octet-stream",
        "payload_base64": base64.b64encode(payload).decode(),
    }
    assert isinstance(line["sequence"], int)


def test_records_come_in_order_and_once(
    data: Path, cars: list[VehicleToken], log: EmbeddedLog, capsys: pytest.CaptureFixture[str]
) -> None:
    for start in (0, 50, 30):  # the third batch resends twenty records
        numbers = range(start, start + 50)
        write(log, *(sent(car, number, b"%d" % number) for number in numbers for car in cars))
    lines = exported(capsys, data)
    assert [line["sender_sequence"] for line in lines] == list(range(100))
    positions = [line["sequence"] for line in lines]
    assert positions == sorted(set(positions))
    assert [base64.b64decode(line["payload_base64"]) for line in lines] == [
        b"%d" % number for number in range(100)
    ]


def test_a_sequence_over_several_topics_is_one_so_resends_far_back_are_known(
    data: Path, cars: list[VehicleToken], log: EmbeddedLog, capsys: pytest.CaptureFixture[str]
) -> None:
    topics = [Topic.TELEMETRY, Topic.ENERGY]
    records = [sent(cars[0], number, topic=topics[number % 2]) for number in range(1_000)]
    write(log, *records)
    write(log, *records)
    assert len(exported(capsys, data)) == 500
    energy = exported(capsys, data, "--topic", "energy")
    assert [line["sender_sequence"] for line in energy] == list(range(1, 1_000, 2))


def test_published_samples_come_last_and_the_sequence_rises_over_both_writers(
    data: Path, cars: list[VehicleToken], log: EmbeddedLog, capsys: pytest.CaptureFixture[str]
) -> None:
    write(log, *(sent(cars[0], number, stream=b"rig") for number in (1, 2)), name="api")
    write(log, *(sent(cars[0], number) for number in (1, 2, 3)), sent(cars[0], 2, stream=b"rig"))
    write(log, sent(cars[0], 3, stream=b"rig"), name="api")
    write(log, sent(cars[0], 4), sent(cars[1], 1))
    lines = exported(capsys, data)
    assert [(line["sender_stream"], line["sender_sequence"]) for line in lines] == [
        *(("trip", 1), ("trip", 2), ("trip", 3), ("rig", 2), ("trip", 4)),
        *(("rig", 1), ("rig", 3)),
    ]
    positions = [line["sequence"] for line in lines]
    assert positions == sorted(set(positions))
    assert [position >> 48 for position in positions] == [0] * 5 + [1] * 2
    assert len(exported(capsys, data, vin=VINS[1])) == 1


def test_names_and_identities_by_hash(
    data: Path, cars: list[VehicleToken], log: EmbeddedLog, capsys: pytest.CaptureFixture[str]
) -> None:
    tesla = {"name": b"V", "identity": (7, 9), "flags": Flags.IDENTITY_HASH}
    encoding = Encoding.TESLA_TELEMETRY
    write(log, *[sent(cars[0], None, encoding=encoding, **tesla)] * 2, sent(cars[0], None))
    first, second = exported(capsys, data)
    assert (first["name"], first["encoding"]) == ("V", "application/x-tesla-telemetry")
    assert first["sender_stream"] is first["sender_sequence"] is None
    assert "name" not in second


def test_decoded_gives_signals_where_the_encoding_is_known(
    data: Path, cars: list[VehicleToken], log: EmbeddedLog, capsys: pytest.CaptureFixture[str]
) -> None:
    json_payload = b'{"time_us": 1760000000000000, "signals": {"VehicleSpeed": 12.5}}'
    known = sent(cars[0], 1, json_payload, encoding=Encoding.JSON_SIGNALS)
    broken = sent(cars[0], 2, b"\xff\xff\xff", encoding=Encoding.TESLA_TELEMETRY)
    write(log, known, broken, sent(cars[0], 3, b"opaque"))
    lines = exported(capsys, data, "--decoded")
    assert lines[0]["decoded"] == [{"time_us": NOW_US, "signals": {"VehicleSpeed": 12.5}}]
    assert [line["decoded"] for line in lines[1:]] == [None, None]


def test_the_fast_lane_and_an_empty_log_are_read_too(
    data: Path, cars: list[VehicleToken], log: EmbeddedLog, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exported(capsys, data) == []
    write(log, sent(cars[0], 1, topic=Topic.COMMAND_ANSWERS), lane=Lane.FAST)
    assert len(exported(capsys, data, "--topic", "command_answers")) == 1


def test_a_directory_where_no_server_ran_yet_has_no_lines(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exported(capsys, data) == []
    assert not (data / "log").exists()


WRITER = """
import sys, time
from tests.cli.test_export import *
log = EmbeddedLog(Path(sys.argv[1]), Config().log, SystemClock())
writer = log.writer("gateway", Lane.BULK)
for number in range(200):
    writer.append(RecordBatch.of([sent(sys.argv[2], number)])).result(30)
print("ready", flush=True)
time.sleep(600)
"""


def test_the_answer_is_the_same_beside_a_writer_and_after_its_kill(
    data: Path, cars: list[VehicleToken], capsys: pytest.CaptureFixture[str]
) -> None:
    command = [sys.executable, "-c", WRITER, str(data / "log"), cars[0]]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=root) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"ready\n"
        beside = exported(capsys, data)
        writer.kill()
    assert len(beside) == 200
    assert exported(capsys, data) == beside
    log = EmbeddedLog(data / "log", Config().log, SystemClock())
    log.writer("gateway", Lane.BULK).close()  # which recovers what the kill left
    log.close()
    assert exported(capsys, data) == beside


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--vin", "5YJ3E1EA7KF999999", "--topic", "telemetry"), "no vehicle has the VIN"),
        (("--vin", VINS[0], "--topic", "speed"), "no topic 'speed'; there are telemetry,"),
    ],
)
def test_what_does_not_exist_is_named(
    data: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], said: str
) -> None:
    run("--data", data, *words, status=1)
    assert said in capsys.readouterr().err


def test_a_directory_that_is_none_and_a_format_that_is_none(tmp_path: Path) -> None:
    run("--data", tmp_path, "--vin", VINS[0], "--topic", "telemetry", status=1)
    run("--data", tmp_path, "--vin", VINS[0], "--topic", "media", "--format", "xml", status=2)


def test_a_table_holds_what_is_durable_with_history_or_without(
    data: Path, log: EmbeddedLog, cars: list[VehicleToken], capfdbinary: Any
) -> None:
    """The same beside a server, after a stop, and once history has written it."""

    def said(number: int) -> Record:
        body = json.dumps({"signals": {"soc": number}}).encode()
        return sent(cars[0], number, body, encoding=Encoding.JSON_SIGNALS)

    def table() -> bytes:
        run("--data", data, "--vin", VINS[0], "--topic", "telemetry", "--format", "csv")
        out, told = capfdbinary.readouterr()
        assert b"the newest record" in told
        return bytes(out)

    write(log, *map(said, range(3)))
    first = table()
    assert first.splitlines()[0] == b"time,soc [%]"
    assert len(first.splitlines()) == 4
    config, clock = Config(), SystemClock()
    history = HistoryWriter(
        data / "history",
        config,
        log,
        lambda: Dedup(config.dedup),
        clock,
        OsFiles(),
        lambda path: pa.memory_map(str(path)),
        failed=lambda error: None,
    )
    history.open()
    history.read_on()
    history.flush()
    history.close()
    assert table() == first
    write(log, said(3))
    assert table().splitlines()[:4] == first.splitlines()
    run("--data", data, "--vin", VINS[0], "--topic", "energy", "--format", "csv", status=2)
