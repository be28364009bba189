"""`vehicle.json`: who this car is, where its keys lie, whom it obeys, where to call.

Written by `motorcade vehicle add`. Relative file names are relative to the file.
"""

import base64
import binascii
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from motorcade.vehicle.errors import VehicleFileError


class MqttAccess(msgspec.Struct, frozen=True):
    """How to come in by MQTT."""

    client_id: str
    username: str
    password: str
    publish_topic_prefix: str
    command_topic: str


class Address(msgspec.Struct, frozen=True):
    host: str
    port: int


class _File(msgspec.Struct, frozen=True):
    vin: str
    token: str
    mqtt: MqttAccess
    cert_file: str
    key_file: str
    ca_file: str
    command_public_keys: dict[str, str] = {}
    servers: dict[str, Address] = {}
    checks: dict[str, int] = {}  # CRC-32 by name: of this file's other members, of each PEM file


@dataclass(frozen=True, slots=True)
class VehicleFile:
    """A car's identity, checked."""

    vin: str
    token: str
    mqtt: MqttAccess
    cert_file: Path
    key_file: Path
    ca_file: Path
    command_keys: dict[str, Ed25519PublicKey]
    servers: dict[str, Address]  # "mqtt", "mqtts", "telemetry"
    damage: tuple[str, ...] = ()  # what is not as it was written, here or in the PEM files


def read_vehicle_file(path: Path) -> VehicleFile:
    """Read and check the file.

    Raises:
        VehicleFileError: not there, not JSON, or something in it is missing; the text says what.
    """
    try:
        data = path.read_bytes()
        file = msgspec.json.decode(data, type=_File)
        damage = tuple(_damage(path, file, msgspec.json.decode(data)))
        keys = {key_id: public_key(text) for key_id, text in file.command_public_keys.items()}
    except (OSError, msgspec.MsgspecError, ValueError, binascii.Error) as error:
        raise VehicleFileError(f"{path}: {error}; write it with `motorcade vehicle add`") from error
    return VehicleFile(
        file.vin,
        file.token,
        file.mqtt,
        path.parent / file.cert_file,
        path.parent / file.key_file,
        path.parent / file.ca_file,
        keys,
        file.servers,
        damage,
    )


def checks_of(members: Mapping[str, Any], files: Mapping[str, bytes]) -> dict[str, int]:
    """The member `checks` of a vehicle file: `files` by the names of the members that name them."""
    checks = {name: zlib.crc32(content) for name, content in files.items()}
    return {"vehicle": _own_check(members, checks)} | checks


def _own_check(members: Mapping[str, Any], checks: Mapping[str, int]) -> int:
    """Of the file without this number."""
    rest = {**members, "checks": {name: checks[name] for name in checks if name != "vehicle"}}
    return zlib.crc32(msgspec.json.encode(rest, order="sorted"))


def _damage(path: Path, file: _File, members: dict[str, Any]) -> Iterator[str]:
    """What is not as it was written. Not refused: people edit the file, and the server decides."""
    if not file.checks:
        return  # written by hand
    if file.checks.get("vehicle") != _own_check(members, file.checks):
        yield (
            f"{path} is damaged, or was edited: remove its `checks` if it was edited, else restore "
            "it, or write it anew with `motorcade vehicle renew`"
        )
        return  # It may be the name of another file that is damaged.
    for name in ("cert_file", "key_file", "ca_file"):
        place = path.parent / members[name]
        if zlib.crc32(place.read_bytes()) != file.checks.get(name):
            yield (
                f"{place} is damaged, or was exchanged: restore it, or write it anew with "
                "`motorcade vehicle renew`"
            )


def read_ready_file(path: Path) -> dict[str, Address]:
    """The addresses of a running server, from its ready file.

    Raises:
        VehicleFileError: no server runs on that data directory, or the file is damaged.
    """
    try:
        ready: dict[str, Any] = msgspec.json.decode(path.read_bytes())
        names = ("mqtt", "mqtts", "telemetry")
        return {name: msgspec.convert(ready[name], Address) for name in names if ready.get(name)}
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        raise VehicleFileError(f"{path}: {error}; start it with `motorcade up`") from error


def address_of(servers: Mapping[str, Address], name: str) -> Address:
    """The address of the server called `name`. Raises `VehicleFileError` when none is known."""
    address = servers.get(name)
    if address is None:
        raise VehicleFileError(f"no server {name!r} among {sorted(servers)}: use another link")
    return address


def public_key(text: str) -> Ed25519PublicKey:
    """A key as vehicle files write it. Raises `ValueError`."""
    raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    return Ed25519PublicKey.from_public_bytes(raw)
