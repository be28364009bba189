"""`motorcade drive`: what it refuses, and how simulated cars are added and found again."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from motorcade.cli.data import opened_registry
from motorcade.cli.drive import SIMULATED, VIN_FORM, _one_car, _simulated_cars
from motorcade.cli.main import main
from motorcade.cli.provisioning import add_vehicles
from motorcade.identity.authority import open_authority
from motorcade.registry.vin import check_vin
from motorcade.vehicle.vehicle_file import Address

DOOR = {"host": "127.0.0.1", "port": 9}


def run(*words: object) -> int | str | None:
    with pytest.raises(SystemExit) as end:
        main(["drive", *(str(word) for word in words)])
    return end.value.code


def make_ready(data: Path, port: int = 9) -> None:
    data.mkdir(exist_ok=True)
    doors = {name: DOOR | {"port": port} for name in ("mqtt", "mqtts", "telemetry")}
    (data / "ready.json").write_text(json.dumps({"pid": os.getpid()} | doors))


@pytest.fixture(autouse=True)
def _no_default_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MOTORCADE_DATA", raising=False)


@pytest.mark.parametrize(
    "words", [(), ("--vehicle", "f", "-n", "3"), ("-n", "1", "--link", "carrier-pigeon")]
)
def test_wrong_usage_is_told_apart(words: tuple[str, ...]) -> None:
    assert run(*words) == 2


def test_a_missing_car_or_server_is_told_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--vehicle", "none.json") == 1
    assert "motorcade vehicle add" in capsys.readouterr().err
    assert run("-n", 3, "--data", "nowhere") == 1
    assert "motorcade up" in capsys.readouterr().err


def test_simulated_cars_are_added_once_and_found_again(tmp_path: Path) -> None:
    data = tmp_path / "data"
    make_ready(data)
    cars, find = _simulated_cars(data, 2)
    again, _ = _simulated_cars(data, 3)
    assert [vehicle.mqtt for _, vehicle in again[:2]] == [vehicle.mqtt for _, vehicle in cars]
    assert find("mqtts") == Address("127.0.0.1", 9)
    make_ready(data, port=10)  # the server was started again elsewhere
    assert find("mqtts") == Address("127.0.0.1", 10)
    with opened_registry(data, open_authority(data)) as registry:
        assert registry.vehicle_count() == 3


def test_simulated_cars_whose_files_are_gone_get_new_ones(tmp_path: Path) -> None:
    data = tmp_path / "data"
    make_ready(data)
    ((place, before),), _ = _simulated_cars(data, 1)
    (place / "vehicle.json").unlink()
    ((_, after),), _ = _simulated_cars(data, 1)
    assert after.token == before.token
    assert after.mqtt.password != before.mqtt.password


def test_simulated_vins_are_vins() -> None:
    for number in (1, 10_000):
        assert check_vin(VIN_FORM.format(number))
    assert SIMULATED == "simulated"


def test_a_named_server_comes_before_the_address_in_the_file(tmp_path: Path) -> None:
    make_ready(tmp_path / "data", port=1)
    (car,) = add_vehicles(tmp_path / "data", [(VIN_FORM.format(1), tmp_path / "car")])
    make_ready(tmp_path / "data", port=2)
    _, find = _one_car(car.file, None)
    assert find("mqtt").port == 1
    _, find = _one_car(car.file, tmp_path / "data")
    assert find("mqtt").port == 2


def test_sigterm_ends_a_car_that_nobody_answers(tmp_path: Path) -> None:
    make_ready(tmp_path / "data")
    (car,) = add_vehicles(tmp_path / "data", [(VIN_FORM.format(1), tmp_path / "car")])
    command = [sys.executable, "-m", "motorcade.cli.main", "drive", "--vehicle", str(car.file)]
    with subprocess.Popen([*command, "--json"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        status = json.loads(process.stdout.readline())
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    assert status["vehicles"] == 1
    assert status["online"] == 0
    assert (tmp_path / "car" / "buffer" / "stream").exists()
