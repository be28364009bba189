"""`vehicle.json` and the ready file: read, and refused with the reason and what to do."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from motorcade.vehicle.errors import VehicleFileError
from motorcade.vehicle.vehicle_file import Address, read_ready_file, read_vehicle_file
from tests.vehicle.cloud import KEY, TOKEN, VIN


def content() -> dict[str, Any]:
    raw = KEY.public_key().public_bytes_raw()
    return {
        "vin": VIN,
        "token": TOKEN,
        "mqtt": {
            "client_id": TOKEN,
            "username": TOKEN,
            "password": "secret",
            "publish_topic_prefix": f"v/{TOKEN}",
            "command_topic": f"v/{TOKEN}/commands",
        },
        "cert_file": "cert.pem",
        "key_file": "/elsewhere/key.pem",
        "ca_file": "ca.pem",
        "command_public_keys": {"k1": base64.urlsafe_b64encode(raw).rstrip(b"=").decode()},
        "servers": {"mqtt": {"host": "127.0.0.1", "port": 1883}},
        "something_newer": 1,
    }


def write(path: Path, value: object) -> Path:
    path.write_text(json.dumps(value))
    return path


def test_a_vehicle_file_is_read(tmp_path: Path) -> None:
    vehicle = read_vehicle_file(write(tmp_path / "vehicle.json", content()))
    assert vehicle.vin == VIN
    assert vehicle.mqtt.command_topic == f"v/{TOKEN}/commands"
    assert vehicle.cert_file == tmp_path / "cert.pem"
    assert vehicle.key_file == Path("/elsewhere/key.pem")
    assert vehicle.servers == {"mqtt": Address("127.0.0.1", 1883)}
    signature = KEY.sign(b"it is me")
    vehicle.command_keys["k1"].verify(signature, b"it is me")


def test_keys_and_servers_may_be_missing(tmp_path: Path) -> None:
    value = content()
    del value["command_public_keys"], value["servers"]
    vehicle = read_vehicle_file(write(tmp_path / "vehicle.json", value))
    assert vehicle.command_keys == {}
    assert vehicle.servers == {}


@pytest.mark.parametrize(
    "damage",
    [
        lambda value: value.pop("mqtt"),
        lambda value: value["mqtt"].pop("password"),
        lambda value: value.update(token=7),
        lambda value: value.update(command_public_keys={"k1": "AAAA"}),
        lambda value: value.update(command_public_keys={"k1": "ä"}),
        lambda value: value.update(servers={"mqtt": {"host": "x"}}),
    ],
)
def test_a_damaged_file_says_what_to_do(tmp_path: Path, damage: Any) -> None:
    value = content()
    damage(value)
    with pytest.raises(VehicleFileError, match="motorcade vehicle add"):
        read_vehicle_file(write(tmp_path / "vehicle.json", value))


def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(VehicleFileError, match="motorcade vehicle add"):
        read_vehicle_file(tmp_path / "none.json")
    with pytest.raises(VehicleFileError, match="motorcade up"):
        read_ready_file(tmp_path / "ready.json")


@pytest.mark.parametrize("text", [b"[" * 5_000, b'{"mqtt": "\xff"}', b"[]", b"{"])
def test_a_damaged_ready_file_says_what_to_do(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "ready.json").write_bytes(text)
    with pytest.raises(VehicleFileError, match="motorcade up"):
        read_ready_file(tmp_path / "ready.json")


def test_the_ready_file_gives_the_doors(tmp_path: Path) -> None:
    door = {"host": "127.0.0.1", "port": 5}
    ready = {"pid": 1, "mqtt": door, "mqtts": door, "telemetry": None, "dashboard": {"url": None}}
    assert read_ready_file(write(tmp_path / "ready.json", ready)) == {
        "mqtt": Address("127.0.0.1", 5),
        "mqtts": Address("127.0.0.1", 5),
    }
