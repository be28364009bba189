"""`motorcade ledger`: what was sent, acked, stored and read; and what nobody can say."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from motorcade.cli.data import opened_registry
from motorcade.cli.ledger import app
from motorcade.clock import SystemClock
from motorcade.config import Config
from motorcade.events import Flags, Record, RecordBatch, Topic, VehicleToken, make_token
from motorcade.identity.authority import open_authority
from motorcade.log.embedded import EmbeddedLog
from motorcade.log.topics import Lane

VINS = ["5YJ3E1EA7KF000001", "5YJ3E1EA7KF000002"]
STRANGER = make_token(bytes(range(16)))


def record(
    token: VehicleToken,
    sequence: int | None,
    *,
    topic: Topic = Topic.TELEMETRY,
    stream: bytes = b"boot-1",
    flags: Flags = Flags.QOS_1,
    name: bytes = b"",
) -> Record:
    return Record(
        token, topic, b"{}", 1_000_000, 1_000_000, stream=stream if sequence is not None else b"",
        sequence=sequence, flags=flags, name=name,
    )  # fmt: skip


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two vehicles: one with a gap, duplicates and answers; one that never sent."""
    authority = open_authority(tmp_path / "data")
    with opened_registry(tmp_path / "data", authority) as registry:
        token = registry.add_vehicles(VINS)[0].vehicle.token
    log = EmbeddedLog(tmp_path / "data" / "log", Config().log, SystemClock())
    bulk, fast = log.writer("gateway", Lane.BULK), log.writer("gateway", Lane.FAST)
    sent = [record(token, number) for number in (3, 4, 5, 5, 8, 4)]
    sent += [record(token, 1, stream=b"boot-2"), record(token, None, flags=Flags(0))]
    sent += [record(STRANGER, None)]
    bulk.append(RecordBatch.of(sent)).result(10)
    answers = [
        record(token, 7, topic=Topic.COMMAND_ANSWERS),  # the stream goes on in the other lane
        record(token, None, topic=Topic.COMMAND_ANSWERS, name=b"handed_over"),  # the gateway's
    ]
    fast.append(RecordBatch.of(answers)).result(10)
    log.close()
    return tmp_path / "data"


def run(data: Path, *arguments: str) -> tuple[int, dict[str, object]]:
    result = CliRunner().invoke(app, ["--data", str(data), "--json", *arguments])
    return result.exit_code, json.loads(result.stdout)


def test_gaps_duplicates_and_numbers_across_lanes(data: Path) -> None:
    code, told = run(data, VINS[0])
    [row] = told["vehicles"]  # type: ignore[misc]
    assert code == 1  # something is missing
    assert (row["stored"], row["read"], row["duplicates"]) == (9, 7, 2)
    assert row["acked_max"] == 8
    assert row["missing"] == 1  # number 6
    assert row["sent_min"] == 6 + 1 + 1  # 3 to 8, boot-2's first, and one without a number
    streams = {each["stream"]: each for each in row["streams"]}
    assert streams["boot-1"] == {
        "stream": "boot-1", "first": 3, "last": 8, "read": 5, "missing": 1,
    }  # fmt: skip
    assert streams["boot-2"]["missing"] == 0
    assert row["unnumbered"] == 1


def test_all_vehicles_those_without_records_and_those_unknown(data: Path) -> None:
    _, told = run(data)
    rows = {row["vin"]: row for row in told["vehicles"]}  # type: ignore[attr-defined]
    assert rows[VINS[1]]["stored"] == 0
    assert rows[VINS[1]]["last_received_time_us"] is None
    assert rows[None]["token"] == STRANGER
    assert rows[None]["read"] == 1


def test_nothing_missing_exits_with_0(data: Path) -> None:
    assert run(data, VINS[1])[0] == 0


def test_the_table_says_what_cannot_be_known(data: Path) -> None:
    shown = CliRunner().invoke(app, ["--data", str(data), VINS[0]]).stdout
    assert "numbers 3 to 8, 5 came, 1 missing" in shown
    assert "cannot be known" in shown


def test_sums_do_not_depend_on_how_batches_are_cut(data: Path) -> None:
    from motorcade.cli.ledger_counts import OF_VEHICLES, Accounts
    from motorcade.cli.log_reading import slices
    from motorcade.log.port import LogSlice
    from motorcade.streams.dedup import Dedup

    whole, single = Accounts(Dedup(Config().dedup)), Accounts(Dedup(Config().dedup))
    for part in slices(data, OF_VEHICLES):
        whole.add(part)
        for index in range(len(part.batch)):
            one = part.batch.select(np.array([index]))
            single.add(LogSlice(part.writer, part.lane, one, part.cursor))
    assert whole.by_vehicle == single.by_vehicle
