"""Approvals of keys by the command line: noted in the registry, carried to the car by the server.

It works beside a running server or not, and whether the car is there or not: the approval waits.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from motorcade.cli.data import note_deed, opened_registry, require_data, running_server
from motorcade.cli.render import CommandError
from motorcade.registry.embedded import EmbeddedRegistry
from motorcade.registry.signing.port import ADD_KEY, DONE, REMOVE_KEY, KeyRequest, key_told

POLL_S: Final = 0.02
CLOUD_KEY: Final = 9  # KEY_FORM_FACTOR_CLOUD_KEY
ROLES: Final = ("OWNER", "DRIVER", "FM", "VEHICLE_MONITOR", "CHARGING_MANAGER", "GUEST")
PAIRED: Final = "paired"
REMOVED: Final = "removed"
WAITING: Final = "waiting"


@dataclass(frozen=True, slots=True)
class Pairing:
    """What became of an approval."""

    vin: str
    public_key: str  # hex
    role: str
    state: str  # PAIRED, REMOVED, or WAITING for the car
    text: str


def pair_key(data: Path, vin: str, public_key: Path, role: str, wait_s: float) -> Pairing:
    """Approve a key for a vehicle.

    Raises:
        CommandError: no such vehicle, no P-256 key, no such role, or the car refused.
    """
    wanted = role.upper().replace("-", "_")
    if wanted not in ROLES:
        raise CommandError(f"--role {role!r}: write one of {', '.join(ROLES).lower()}")
    return _approve(data, vin, read_public_key(public_key), ADD_KEY, wanted, wait_s)


def unpair_key(data: Path, vin: str, public_key: Path, wait_s: float) -> Pairing:
    """Take an approval back. Raises `CommandError`, as `pair_key`."""
    return _approve(data, vin, read_public_key(public_key), REMOVE_KEY, "", wait_s)


def read_public_key(file: Path) -> str:
    """The key in a PEM file, as hex of its uncompressed point. Raises `CommandError`."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    from motorcade.wire.tesla_command.keys import encode_public

    try:
        key = load_pem_public_key(file.read_bytes())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise CommandError(f"{file}: no public key in PEM form: {error}") from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise CommandError(
            f"{file}: not a P-256 key: make one with `openssl ecparam -name prime256v1`"
        )
    return encode_public(key).hex()


def _approve(
    data: Path, vin: str, public_key: str, action: str, role: str, wait_s: float
) -> Pairing:
    from motorcade.identity.authority import open_authority
    from motorcade.registry.audit.port import What

    require_data(data)
    with opened_registry(data, open_authority(data)) as registry:
        vehicle = registry.vehicle_by_vin(vin)
        if vehicle is None:
            raise CommandError(
                f"no vehicle has the VIN {vin!r}: `motorcade vehicle list` shows all"
            )
        request = registry.signing.ask(vehicle.id, action, public_key, role, CLOUD_KEY)
        what = What.APPROVED_KEY if action == ADD_KEY else What.ASKED_TO_REMOVE_KEY
        note_deed(data, what, key_told(public_key), vehicle.token)
        if running_server(data) is not None:
            request = _wait(registry, request, wait_s)
    if request.result not in ("", DONE):
        raise CommandError(f"{vin} refused: {request.result}")
    return _pairing(vin, request)


def _wait(registry: EmbeddedRegistry, request: KeyRequest, wait_s: float) -> KeyRequest:
    until_s = time.monotonic() + wait_s
    while request.open and time.monotonic() < until_s:
        time.sleep(POLL_S)
        request = registry.signing.request(request.id) or request
    return request


def _pairing(vin: str, request: KeyRequest) -> Pairing:
    removal = request.action == REMOVE_KEY
    if request.open:
        state = WAITING
        text = f"approved; {vin} takes it when it is connected: `motorcade drive`, `motorcade up`"
    else:
        state = REMOVED if removal else PAIRED
        text = (
            f"{vin} obeys this key no more"
            if removal
            else f"{vin} obeys this key as {request.role}"
        )
    return Pairing(vin, request.public_key, request.role, state, text)
