"""What the command line changes is in the audit: left for the server, which adds each deed once."""

import json
import os
import resource
import signal
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from typer.testing import CliRunner

from motorcade.cli import app, operator, person, site, token, vehicle, vehicle_privacy
from motorcade.cli.data import opened_registry
from motorcade.events import VehicleToken
from motorcade.identity.authority import open_authority
from motorcade.registry.audit import inbox
from motorcade.registry.audit.port import Deed, DeedsAsked, DeedShown, What

VIN = "5YJ3E1EA7KF000001"


def run(group: Any, *words: str) -> None:
    result = CliRunner().invoke(group, words)
    assert result.exit_code == 0, result.output


def deeds(data: Path) -> list[DeedShown]:
    """As the server has them after its next turn, the oldest first."""
    with opened_registry(data, open_authority(data)) as registry:
        registry.audit.write([])
        return list(reversed(registry.audit.deeds(DeedsAsked())))


def test_each_change_is_one_deed_of_who_ran_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data"
    monkeypatch.setenv("LOGNAME", "root")
    with_data = ("--data", str(data))
    run(vehicle.app, "add", "--vin", VIN, "--out", str(tmp_path / "car"), *with_data)
    run(vehicle.app, "renew", VIN, "--out", str(tmp_path / "again"), *with_data)
    run(operator.app, "add", "--name", "grafana", *with_data)
    run(operator.app, "remove", "grafana", *with_data)
    run(token.app, "--scopes", "vehicle_device_data", "--ttl", "60", *with_data)
    run(person.app, "add", "--email", "ann@example.org", *with_data)
    run(person.app, "role", "ann@example.org", "viewer", *with_data)
    run(person.app, "password", "ann@example.org", *with_data)
    run(person.app, "remove", "ann@example.org", *with_data)
    told = deeds(data)
    run(vehicle.app, "remove", VIN, *with_data)
    told += deeds(data)[-1:]
    assert [(deed.what, deed.text) for deed in told] == [
        ("added_vehicles", "1, of owner"),
        ("renewed_vehicle", ""),
        ("added_operator", "grafana"),
        ("removed_operator", "grafana"),
        ("made_token", "of owner, for 60 s: vehicle_device_data"),
        ("added_person", "ann@example.org"),
        ("changed_role", "ann@example.org: viewer"),
        ("changed_password", "ann@example.org"),
        ("removed_person", "ann@example.org"),
        ("removed_vehicle", told[-1].text),
    ]
    assert "(id 1)" in told[-1].text
    assert [deed.vehicle_id for deed in told[:3]] == [1, 1, None]
    assert {deed.client_id for deed in told} == {"motorcade-cli"}
    assert all(deed.subject.startswith("root@") for deed in told)
    assert VIN not in json.dumps(told)


def test_a_deed_that_was_left_is_added_once(tmp_path: Path) -> None:
    """Also where the server ended after its rows were written, before the file was gone."""
    data = tmp_path / "data"
    run(operator.app, "add", "--name", "grafana", "--data", str(data))
    (file,) = (data / inbox.FOLDER).glob("*.json")
    content = file.read_bytes()
    assert file.stat().st_mode & 0o777 == 0o600
    assert len(deeds(data)) == 1
    assert not file.exists()
    file.write_bytes(content)
    assert len(deeds(data)) == 1
    assert not file.exists()


def test_what_cannot_be_read_is_put_aside_and_holds_nothing_up(tmp_path: Path) -> None:
    data = tmp_path / "data"
    run(operator.app, "add", "--name", "grafana", "--data", str(data))
    (data / inbox.FOLDER / "0.json").write_text("{")
    assert [deed.text for deed in deeds(data)] == ["grafana"]
    assert [path.name for path in (data / inbox.FOLDER).iterdir()] == ["0.damaged"]


def test_two_of_one_instant_are_two(tmp_path: Path) -> None:
    token_ = VehicleToken("IABCDEFGHJKLMNP00")
    for text in ("first", "second"):
        deed = Deed(5, "root@here", "motorcade-cli", What.MADE_TOKEN, "done", token_, text)
        inbox.leave(tmp_path, [deed])
    assert [found[0].text for _, found in inbox.left(tmp_path)] == ["first", "second"]


def test_a_user_without_a_name_is_told_by_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nameless(uid: int) -> None:
        raise KeyError(uid)

    for variable in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr("pwd.getpwuid", nameless)
    data = tmp_path / "data"
    run(operator.app, "add", "--name", "grafana", "--data", str(data))
    assert deeds(data)[0].subject.startswith(f"{os.getuid()}@")


def test_a_deed_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    deed = Deed(1, "root@here", "motorcade-cli", What.ADDED_OPERATOR, "done", None, "x" * 5_000)
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, limit[1]))  # the first write is cut short
    try:
        with pytest.raises(OSError, match="File too large"):
            inbox.leave(tmp_path, [deed])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, handler)
    assert list((tmp_path / inbox.FOLDER).iterdir()) == []


def test_apps_keys_privacy_and_sites_are_told(tmp_path: Path) -> None:
    data, key = tmp_path / "data", tmp_path / "key.pem"
    public = ec.generate_private_key(ec.SECP256R1()).public_key()
    key.write_bytes(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    with_data, of_car = ("--data", str(data)), ("--vin", VIN, "--data", str(data))
    run(vehicle.app, "add", "--vin", VIN, "--out", str(tmp_path / "car"), *with_data)
    charger = ("--name", "Charger", "--client-id", "charger", "--public-key", str(key))
    back = ("--redirect-uri", "https://app.example/cb", "--scopes", "vehicle_location")
    run(app.app, "add", *charger, *back, *with_data)
    run(app.app, "renew", "charger", *with_data)
    run(app.app, "register", "charger", "app.example", *with_data)
    run(app.app, "release", "app.example", *with_data)
    run(app.app, "revoke", "charger", *with_data)
    run(app.app, "rotate-key", *with_data)
    run(app.app, "rotate-key", "--forget", *with_data)
    run(vehicle.app, "pair", *of_car, "--public-key", str(key), "--role", "driver")
    run(vehicle.app, "unpair", *of_car, "--public-key", str(key))
    circle = ("--latitude", "52.5", "--longitude", "13.4", "--radius", "300")
    run(vehicle_privacy.app, "add-zone", *of_car, *circle)
    run(vehicle_privacy.app, "remove-zone", *of_car, "--zone", "1")
    run(vehicle_privacy.app, "precision", *of_car, "--grid", "1000")
    run(site.app, "add", "--name", "Home", "--out", str(tmp_path / "site"), *with_data)
    site_id = json.loads((tmp_path / "site" / "site.json").read_text())["energy_site_id"]
    run(site.app, "remove", str(site_id), *with_data)
    told = deeds(data)[1:]
    assert [(deed.what, deed.text) for deed in told] == [
        ("registered_app", "Charger (charger)"),
        ("renewed_secret", "charger"),
        ("registered_domain", "app.example, Charger (charger)"),
        ("released_domain", "app.example, of charger"),
        ("ended_app", "Charger (charger)"),
        ("changed_token_key", ""),
        ("changed_token_key", "tokens before it refused"),
        ("approved_key", told[7].text),
        ("asked_to_remove_key", told[7].text),
        ("changed_privacy", "zone 1 added"),
        ("changed_privacy", "zone 1 removed"),
        ("changed_privacy", "grid of 1000 m for every app"),
        ("added_site", f"Home ({site_id})"),
        ("removed_site", f"Home ({site_id})"),
    ]
    point = public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint).hex()
    assert told[7].text == f"key ...{point[-8:]}"
    assert [deed.vehicle_id for deed in told[7:12]] == [1] * 5
    assert "52.5" not in json.dumps(told), "where somebody lives is nobody's to read"
