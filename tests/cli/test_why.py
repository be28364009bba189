"""`motorcade why`: the chain of values, missing values and commands, from the log."""

import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from motorcade.cli.data import opened_registry
from motorcade.cli.why import app
from motorcade.clock import SimulatedClock, SystemClock
from motorcade.config import Config
from motorcade.events import Encoding, Flags, Record, RecordBatch, Topic, VehicleToken
from motorcade.gateway.presence import Presence
from motorcade.identity.authority import open_authority
from motorcade.log.embedded import EmbeddedLog
from motorcade.log.errors import LogError
from motorcade.log.topics import Lane
from tests.platform_process import MOTORCADE, add_vehicles, platform

VIN, OTHER, SILENT = "5YJ3E1EA7KF000001", "5YJ3E1EA7KF000002", "5YJ3E1EA7KF000003"
T0_US = 1_700_000_000_000_000
S_US = 1_000_000


@dataclass
class Kept:
    """An intake for presence."""

    records: list[Record] = field(default_factory=list)

    def add(self, record: Record, on_durable: Callable[[LogError | None], None]) -> int:
        self.records.append(record)
        return 0


def no_timer(seconds: float, call: Callable[[], None]) -> None:
    raise AssertionError("nothing failed, so nothing is told again")


def reading(
    token: VehicleToken,
    sequence: int,
    signals: dict[str, Any] | bytes,
    *,
    at_s: int,
    received_s: int = 100,
    encoding: Encoding = Encoding.JSON_SIGNALS,
    flags: Flags = Flags.TIME_GIVEN,
) -> Record:
    time_us, received_us = T0_US + at_s * S_US, T0_US + received_s * S_US
    payload = signals
    if isinstance(signals, dict):
        payload = json.dumps({"time_us": time_us, "signals": signals}).encode()
    assert isinstance(payload, bytes)
    return Record(
        token, Topic.TELEMETRY, payload, received_us, time_us, encoding=encoding,
        stream=b"s", sequence=sequence, flags=flags,
    )  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = tmp_path_factory.mktemp("why") / "data"
    with opened_registry(data, open_authority(data)) as registry:
        token, other, _ = (new.vehicle.token for new in registry.add_vehicles([VIN, OTHER, SILENT]))
    kept = Kept()
    presence = Presence(kept, SimulatedClock(T0_US), Config(), no_timer)
    presence.started()
    presence.connected(token, "c1", "")
    records = [
        reading(token, 1, {"Soc": 80.0, "own.trim": "red"}, at_s=10),
        reading(token, 2, {"Soc": 81.5}, at_s=30),
        reading(token, 2, {"Soc": 81.5}, at_s=30),  # sent again
        reading(token, 3, {"Soc": 70.0}, at_s=20),  # late
        reading(token, 4, b"{nonsense", at_s=31),
        reading(token, 5, b"\x01\x02", at_s=32, encoding=Encoding.OPAQUE),
        reading(other, 1, {"VehicleSpeed": 3.0}, at_s=40),
    ]
    log = EmbeddedLog(data / "log", Config().log, SystemClock())
    log.writer("gateway", Lane.BULK).append(RecordBatch.of([*kept.records, *records])).result(10)
    log.close()
    return data


def why(data: Path, *arguments: str) -> tuple[int, dict[str, Any]]:
    result = CliRunner().invoke(app, ["--data", str(data), "--json", *arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, json.loads(result.stdout)


def test_a_value_with_its_predecessor_a_late_one_and_a_resent_one(data: Path) -> None:
    code, told = why(data, VIN, "Soc")
    assert (code, told["value"]) == (0, 81.5)
    assert [(each["value"], each["sequence"]) for each in told["carriers"]] == [
        (70.0, 3),
        (81.5, 2),
        (80.0, 1),
    ]
    fates = [each["fate"] for each in told["carriers"]]
    assert fates[0] == "late by 10.000 s: a newer value stood already"
    assert fates[1:] == ["is the value", "was the value until a newer one came"]
    counts = ("records", "duplicates", "malformed", "opaque", "carried")
    assert [told[name] for name in counts] == [6, 1, 1, 1, 3]
    assert told["presence"]["online"]


def test_it_names_the_record_that_export_names(data: Path) -> None:
    _, told = why(data, VIN, "Soc")
    shown = subprocess.run(
        [MOTORCADE, "export", "--data", str(data), "--vin", VIN, "--topic", "telemetry"],
        capture_output=True,
        check=True,
    )
    lines = [json.loads(line) for line in shown.stdout.splitlines()]
    positions = {line["sender_sequence"]: line["sequence"] for line in lines}
    assert told["carriers"][1]["position"] == positions[2]


def test_a_name_that_the_catalogue_lacks_is_found_as_sent(data: Path) -> None:
    assert why(data, VIN, "own.trim")[1]["value"] == "red"


def test_a_missing_value_says_what_it_may_be_and_what_is_sent(data: Path) -> None:
    code, told = why(data, VIN, "Sock")
    said = "\n".join(told["why"])
    assert code == 1
    assert "none of the 6 stored records carries 'Sock'" in said
    assert "close ones: Soc" in said
    assert "1 records could not be decoded" in said
    assert "what it sends: Soc, own.trim" in said


def test_a_vehicle_that_never_came(data: Path) -> None:
    code, told = why(data, SILENT, "Soc")
    assert code == 1
    assert "has never connected" in told["why"][0]


def test_people_get_sentences_first(data: Path) -> None:
    shown = CliRunner().invoke(app, ["--data", str(data), VIN, "Soc"]).stdout
    assert shown.startswith("the value is 81.5")


@pytest.mark.parametrize("words", [(VIN,), ("0" * 32, "Soc")])
def test_wrong_usage(data: Path, words: tuple[str, ...]) -> None:
    assert CliRunner().invoke(app, ["--data", str(data), *words]).exit_code == 2


def test_commands_that_were_executed_and_that_never_arrived(tmp_path: Path) -> None:
    """A whole platform: one command to a car that drives, one to a car that is not there."""
    data = tmp_path / "data"

    def send(up_data: Path, vin: str, *words: str) -> str:
        sent = subprocess.run(
            [MOTORCADE, "send", "--data", str(up_data), "--json", vin, "honk_horn", *words],
            capture_output=True,
        )
        return str(json.loads(sent.stdout)["id"])

    with platform(data) as up:
        add_vehicles(up.data, [VIN, OTHER], tmp_path / "cars")
        file = tmp_path / "cars" / VIN / "vehicle.json"
        driving = subprocess.Popen(
            [MOTORCADE, "drive", "--vehicle", str(file)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            executed = send(data, VIN, "--expires", "60")
            expired = send(data, OTHER, "--expires", "1")
            beside = why(data, executed)
        finally:
            driving.terminate()
            driving.wait()
    assert why(data, executed) == beside
    code, told = beside
    assert (code, told["state"], told["vehicle_online"]) == (0, "executed", True)
    says = [(step["by"], step["what"]) for step in told["steps"]]
    assert says[0] == ("router", "requested")
    assert ("gateway", "the gateway handed it to a session of the vehicle") in says
    assert ("vehicle", "answered executed") in says
    assert says[-1] == ("router", "executed")

    code, told = why(data, expired)
    assert (code, told["state"], told["reason"]) == (1, "expired", "vehicle_offline")
    assert told["vehicle_online"] is False
    assert "not connected before the command expired" in told["help"]
    assert VIN not in json.dumps(told)
    unknown = CliRunner().invoke(app, ["--data", str(data), "f" * 32])
    assert "the log holds no command" in str(unknown.exception)
