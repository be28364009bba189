"""What a vehicle is handed: `vehicle.json`, its certificate, its key, our CA. Registry and identity
together; the commands of `vehicle.py` call it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from motorcade.cli.data import opened_registry, running_server
from motorcade.cli.render import CommandError
from motorcade.identity.authority import Authority, VehicleCertificate, open_authority
from motorcade.identity.port import OWNER_SUBJECT
from motorcade.identity.secrets import write_file
from motorcade.identity.signing import command_signer
from motorcade.registry.port import IssuedCertificate, NewVehicle, Registry, Vehicle
from motorcade.registry.vin import check_vin
from motorcade.vehicle.vehicle_file import checks_of


@dataclass(frozen=True, slots=True)
class Provisioned:
    """A vehicle and where its `vehicle.json` lies."""

    vehicle: Vehicle
    file: Path


def add_vehicles(
    data: Path, places: Sequence[tuple[str, Path]], owner: str = OWNER_SUBJECT
) -> list[Provisioned]:
    """Register each VIN and write its files into its place; all of them, or none.

    Raises:
        InvalidVinError, InvalidNameError, AlreadyExistsError: see `Registry.add_vehicles`.
        CommandError: a place holds a `vehicle.json` already.
    """
    for vin, place in places:
        check_vin(vin)  # before it becomes part of a path
        _refuse_taken(place)
    authority = open_authority(data)
    with opened_registry(data, authority) as registry:
        added = registry.add_vehicles([vin for vin, _ in places], owner)
        try:
            cars = [(new, place) for new, (_, place) in zip(added, places, strict=True)]
            return _hand_out(data, authority, registry, cars)
        except BaseException:  # also Ctrl-C: a vehicle without its files could never connect
            for new in added:
                registry.remove_vehicle(new.vehicle.vin)
            raise


def renew_vehicle(data: Path, vin: str, place: Path) -> Provisioned:
    """Give a vehicle new secrets and write its files. Raises `NotFoundError`, `CommandError`."""
    _refuse_taken(place)
    authority = open_authority(data)
    with opened_registry(data, authority) as registry:
        cars = [(registry.renew_vehicle(vin), place)]
        return _hand_out(data, authority, registry, cars)[0]


def _refuse_taken(place: Path) -> None:
    if (place / "vehicle.json").exists():
        raise CommandError(
            f"{place.absolute() / 'vehicle.json'} is there already and holds a vehicle's only "
            "secrets: choose another --out"
        )


def _hand_out(
    data: Path, authority: Authority, registry: Registry, cars: Sequence[tuple[NewVehicle, Path]]
) -> list[Provisioned]:
    certificates = [authority.issue_vehicle(new.vehicle.vin) for new, _ in cars]
    registry.record_certificates(
        [
            IssuedCertificate(new.vehicle.vin, certificate.serial, certificate.expires_time_us)
            for (new, _), certificate in zip(cars, certificates, strict=True)
        ]
    )
    shared = shared_members(data, authority)
    return [
        _write(new, place.absolute(), certificate, authority.ca_pem, shared)
        for (new, place), certificate in zip(cars, certificates, strict=True)
    ]


def shared_members(data: Path, authority: Authority) -> dict[str, Any]:
    """What every device is told alike. Without a running server, it is told no addresses."""
    shared: dict[str, Any] = {"command_public_keys": command_signer(authority).public_keys}
    ready = running_server(data)
    if ready is not None:
        shared["servers"] = {name: ready[name] for name in ("mqtt", "mqtts", "telemetry")}
    return shared


def mqtt_access(token: str, password: str) -> dict[str, str]:
    """How a device with this token comes in."""
    return {
        "client_id": token,
        "username": token,
        "password": password,
        "publish_topic_prefix": f"v/{token}",
        "command_topic": f"v/{token}/commands",
    }


def _write(
    new: NewVehicle,
    place: Path,
    certificate: VehicleCertificate,
    ca_pem: bytes,
    shared: Mapping[str, Any],
) -> Provisioned:
    """Write the files of one vehicle; `vehicle.json` last, so that its presence says: complete."""
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    files = {
        "cert_file": ("cert.pem", certificate.certificate_pem),
        "key_file": ("key.pem", certificate.key_pem),
        "ca_file": ("ca.pem", ca_pem),
    }
    for name, content in files.values():
        write_file(place / name, content, mode=0o600)
    token = new.vehicle.token
    description: dict[str, Any] = {
        "vin": new.vehicle.vin,
        "token": token,
        "mqtt": mqtt_access(token, new.password),
        **{key: str(place / name) for key, (name, _) in files.items()},
        **shared,
    }
    contents = {key: content for key, (_, content) in files.items()}
    description["checks"] = checks_of(description, contents)
    file = place / "vehicle.json"
    write_file(file, (json.dumps(description, indent=2) + "\n").encode(), mode=0o600)
    return Provisioned(new.vehicle, file)
