"""`motorcade vehicle`: what a car is handed, file by file, and nothing handed out halfway."""

import json
import os
import ssl
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from motorcade.cli import provisioning
from motorcade.cli.data import opened_registry
from motorcade.cli.main import main
from motorcade.cli.render import CommandError
from motorcade.identity.authority import open_authority
from motorcade.identity.signing import command_signer
from motorcade.registry.errors import AlreadyExistsError, InvalidVinError
from motorcade.registry.port import Principal
from motorcade.vehicle.vehicle_file import read_vehicle_file

VIN = "5YJ3E1EA7KF000001"
OTHER_VIN = "5YJ3E1EA7KF000002"
READY = {
    "pid": os.getpid(),
    "mqtt": {"host": "127.0.0.1", "port": 1},
    "mqtts": {"host": "127.0.0.1", "port": 2},
    "telemetry": {"host": "127.0.0.1", "port": 3},
    "api": {"url": "http://127.0.0.1:4"},
    "admin_token": "token",
}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


def run(*words: object, status: int = 0) -> None:
    with pytest.raises(SystemExit) as end:
        main([str(word) for word in words])
    assert end.value.code == status


def told(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def authenticate(data: Path, access: dict[str, str]) -> Principal | None:
    with opened_registry(data, open_authority(data)) as registry:
        return registry.authenticate(access["username"], access["password"].encode())


def test_privacy_is_set_shown_and_ended(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("vehicle", "add", "--data", data, "--vin", VIN, "--out", data.parent / "car")
    of_car = ("--data", data, "--vin", VIN, "--json")
    capsys.readouterr()
    place = ("--latitude", 52.5, "--longitude", -13.4, "--radius", 300)
    run("vehicle", "privacy", "add-zone", *of_car, *place, "--name", "home")
    zone = {
        "id": 1,
        "name": "home",
        "latitude_deg": 52.5,
        "longitude_deg": -13.4,
        "radius_m": 300.0,
    }
    assert told(capsys) == {"zones": [zone], "grids_m": {}}
    run("vehicle", "privacy", "precision", *of_car, "--grid", 1000)
    assert told(capsys) == {"zones": [zone], "grids_m": {"": 1000}}
    run("vehicle", "privacy", "show", "--data", data, "--vin", VIN)
    assert "every app" in capsys.readouterr().out
    run("vehicle", "privacy", "remove-zone", *of_car, "--zone", 1)
    assert told(capsys) == {"zones": [], "grids_m": {"": 1000}}
    run("vehicle", "privacy", "remove-zone", *of_car, "--zone", 1, status=1)
    assert "no such zone" in capsys.readouterr().err
    run("vehicle", "privacy", "show", "--data", data, "--vin", OTHER_VIN, status=1)
    capsys.readouterr()
    run("vehicle", "accesses", VIN, "--data", data, "--json")
    assert told(capsys) == []
    run("vehicle", "accesses", VIN, "--data", data)
    run("vehicle", "accesses", OTHER_VIN, "--data", data, status=1)


def certificate_principal(data: Path, description: dict[str, Any]) -> Principal | None:
    pem = Path(description["cert_file"]).read_bytes()
    serial = f"{x509.load_pem_x509_certificate(pem).serial_number:X}"
    with opened_registry(data, open_authority(data)) as registry:
        return registry.principal_of_vin(
            description["vin"], serial if len(serial) % 2 == 0 else "0" + serial
        )


def test_a_vehicle_is_added_before_any_server_ran(data: Path, tmp_path: Path) -> None:
    run("vehicle", "add", "--data", data, "--vin", VIN, "--out", tmp_path / "car")
    description = json.loads((tmp_path / "car" / "vehicle.json").read_text())
    assert description.pop("checks").keys() == {"vehicle", "cert_file", "key_file", "ca_file"}
    token = description["token"]
    password = description["mqtt"]["password"]
    assert description == {
        "vin": VIN,
        "token": token,
        "mqtt": {
            "client_id": token,
            "username": token,
            "password": password,
            "publish_topic_prefix": f"v/{token}",
            "command_topic": f"v/{token}/commands",
        },
        "cert_file": str(tmp_path / "car" / "cert.pem"),
        "key_file": str(tmp_path / "car" / "key.pem"),
        "ca_file": str(tmp_path / "car" / "ca.pem"),
        "command_public_keys": command_signer(open_authority(data)).public_keys,
    }
    principal = authenticate(data, description["mqtt"])
    assert principal is not None
    assert principal.token == token
    assert certificate_principal(data, description) == principal
    assert data.stat().st_mode & 0o777 == 0o700


def test_the_files_fit_each_other_and_are_private(data: Path, tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        run("vehicle", "add", "--data", data, "--vin", VIN, "--out", tmp_path / "car")
    finally:
        os.umask(old)
    files = sorted((tmp_path / "car").iterdir())
    assert [file.name for file in files] == ["ca.pem", "cert.pem", "key.pem", "vehicle.json"]
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
    car = read_vehicle_file(tmp_path / "car" / "vehicle.json")
    context = ssl.create_default_context(cafile=car.ca_file)
    context.load_cert_chain(car.cert_file, car.key_file)  # raises when they do not fit


def test_a_relative_out_is_told_absolutely(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run("vehicle", "add", "--data", data, "--vin", VIN, "--out", "car")
    description = json.loads((tmp_path / "car" / "vehicle.json").read_text())
    assert description["key_file"] == str(tmp_path / "car" / "key.pem")


def test_the_data_directory_comes_from_the_environment(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOTORCADE_DATA", str(data))
    run("vehicle", "add", "--vin", VIN, "--out", tmp_path / "car")
    assert (data / "registry.sqlite").exists()


def test_a_running_servers_addresses_go_along(data: Path, tmp_path: Path) -> None:
    data.mkdir(mode=0o700)
    (data / "ready.json").write_text(json.dumps(READY))
    run("vehicle", "add", "--data", data, "--vin", VIN, "--out", tmp_path / "car")
    description = json.loads((tmp_path / "car" / "vehicle.json").read_text())
    assert description["servers"] == {name: READY[name] for name in ("mqtt", "mqtts", "telemetry")}


def test_a_dead_servers_addresses_do_not(data: Path, tmp_path: Path) -> None:
    data.mkdir(mode=0o700)
    child = os.posix_spawn("/bin/true", ["true"], os.environ)
    os.waitpid(child, 0)
    (data / "ready.json").write_text(json.dumps(READY | {"pid": child}))
    run("vehicle", "add", "--data", data, "--vin", VIN, "--out", tmp_path / "car")
    assert "servers" not in json.loads((tmp_path / "car" / "vehicle.json").read_text())


def test_many_vehicles_come_from_a_file(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    vins = [f"5YJ3E1EA7KF{number:06}" for number in range(1_000)]
    lines = ["# a fleet", "", *vins[:500], *(f"  {vin} " for vin in vins[500:])]
    (tmp_path / "vins").write_text("\n".join(lines))
    run("vehicle", "add", "--data", data, "--vins", tmp_path / "vins", "--out", tmp_path / "fleet")
    found = [json.loads(file.read_text()) for file in (tmp_path / "fleet").glob("*/vehicle.json")]
    assert sorted(description["vin"] for description in found) == vins
    assert len({description["token"] for description in found}) == 1_000
    assert len({description["mqtt"]["password"] for description in found}) == 1_000
    for description in found[::100]:
        assert authenticate(data, description["mqtt"]) is not None
        assert certificate_principal(data, description) is not None
    capsys.readouterr()
    run("vehicle", "list", "--data", data, "--offset", 990, "--json")
    assert [vehicle["vin"] for vehicle in told(capsys)] == vins[990:]


def test_a_vehicle_may_be_somebody_elses(data: Path, tmp_path: Path) -> None:
    add = ("vehicle", "add", "--data", data)
    run(*add, "--vin", VIN, "--out", tmp_path / "one")
    run(*add, "--vin", OTHER_VIN, "--out", tmp_path / "two", "--owner", "bob")
    with opened_registry(data, open_authority(data)) as registry:
        owners = {vehicle.vin: vehicle.owner for vehicle in registry.vehicles(0, 10)}
        assert owners == {VIN: "owner", OTHER_VIN: "bob"}
        assert [vehicle.vin for vehicle in registry.vehicles(0, 10, "bob")] == [OTHER_VIN]
        assert (registry.vehicle_count(), registry.vehicle_count("bob")) == (2, 1)
    run(*add, "--vin", "5YJ3E1EA7KF000003", "--out", tmp_path / "3", "--owner", "a b", status=1)


@pytest.mark.parametrize("content", ["", "# nobody\n", f"{VIN}\n{VIN}\n", f"{VIN}\nshort\n"])
def test_a_bad_list_adds_nobody(data: Path, tmp_path: Path, content: str) -> None:
    (tmp_path / "vins").write_text(content)
    out = tmp_path / "fleet"
    run("vehicle", "add", "--data", data, "--vins", tmp_path / "vins", "--out", out, status=1)
    assert not list(tmp_path.glob("fleet/*/vehicle.json"))
    with opened_registry(data, open_authority(data)) as registry:
        assert registry.vehicle_count() == 0


@pytest.mark.parametrize("words", [[], ["--vin", VIN, "--vins", "file"]])
def test_one_source_of_vins_is_needed(data: Path, tmp_path: Path, words: list[str]) -> None:
    run("vehicle", "add", "--data", data, "--out", tmp_path, *words, status=2)


def test_a_known_vin_is_refused_and_its_secrets_stay_good(data: Path, tmp_path: Path) -> None:
    provisioning.add_vehicles(data, [(VIN, tmp_path / "car")])
    with pytest.raises(AlreadyExistsError, match=VIN):
        provisioning.add_vehicles(
            data, [(OTHER_VIN, tmp_path / "other"), (VIN, tmp_path / "again")]
        )
    assert not (tmp_path / "other").exists()
    description = json.loads((tmp_path / "car" / "vehicle.json").read_text())
    assert authenticate(data, description["mqtt"]) is not None


def test_secrets_are_never_written_over(data: Path, tmp_path: Path) -> None:
    provisioning.add_vehicles(data, [(VIN, tmp_path / "car")])
    before = (tmp_path / "car" / "vehicle.json").read_bytes()
    with pytest.raises(CommandError, match="choose another --out"):
        provisioning.add_vehicles(data, [(OTHER_VIN, tmp_path / "car")])
    with pytest.raises(CommandError, match="choose another --out"):
        provisioning.renew_vehicle(data, VIN, tmp_path / "car")
    assert (tmp_path / "car" / "vehicle.json").read_bytes() == before


def test_a_vin_is_checked_before_it_names_a_directory(data: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidVinError):
        provisioning.add_vehicles(data, [("../../../outside", tmp_path / "../../../outside")])
    assert not data.exists()


def test_a_failed_handing_out_takes_the_vehicles_back(data: Path, tmp_path: Path) -> None:
    (tmp_path / "blocked").write_text("a file where a directory must be")
    places = [(VIN, tmp_path / "car"), (OTHER_VIN, tmp_path / "blocked" / "car")]
    with pytest.raises(OSError, match="blocked"):
        provisioning.add_vehicles(data, places)
    with opened_registry(data, open_authority(data)) as registry:
        assert registry.vehicle_count() == 0


def test_renewing_hands_out_new_secrets_for_the_same_token(data: Path, tmp_path: Path) -> None:
    run("vehicle", "add", "--data", data, "--vin", VIN, "--out", tmp_path / "car")
    run("vehicle", "renew", VIN, "--data", data, "--out", tmp_path / "new")
    old, new = (
        json.loads((tmp_path / place / "vehicle.json").read_text()) for place in ("car", "new")
    )
    assert new["token"] == old["token"]
    assert authenticate(data, old["mqtt"]) is None
    assert certificate_principal(data, old) is None
    assert authenticate(data, new["mqtt"]) is not None
    assert certificate_principal(data, new) is not None


def test_a_vehicle_is_shown_and_removed(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("vehicle", "add", "--data", data, "--vin", VIN, "--out", tmp_path / "car", "--json")
    assert told(capsys) == [{"vin": VIN, "file": str(tmp_path / "car" / "vehicle.json")}]
    run("vehicle", "show", VIN, "--data", data, "--json")
    shown = told(capsys)
    assert (shown["vin"], shown["id"]) == (VIN, 1)
    run("vehicle", "list", "--data", data)
    assert VIN in capsys.readouterr().out
    run("vehicle", "show", VIN, "--data", data)
    assert shown["token"] in capsys.readouterr().out
    run("vehicle", "remove", VIN, "--data", data, "--json")
    assert told(capsys) == shown
    run("vehicle", "show", VIN, "--data", data, status=1)
    run("vehicle", "remove", VIN, "--data", data, status=1)
    run("vehicle", "list", "--data", data, "--json")
    assert told(capsys) == []


@pytest.mark.parametrize("words", [["list"], ["show", VIN], ["remove", VIN], ["renew", VIN]])
def test_reading_commands_make_no_data_directory(
    data: Path, tmp_path: Path, words: list[str]
) -> None:
    out = ["--out", str(tmp_path / "car")] if words[0] == "renew" else []
    run("vehicle", *words, "--data", data, *out, status=1)
    assert not data.exists()
