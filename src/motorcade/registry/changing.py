"""What changes the registry's tables, step by step, inside the engine's transaction.

The transaction excludes other writers from its first statement on (BEGIN IMMEDIATE), so what is
looked up here still holds when it is acted on.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from sqlalchemy import Connection, delete, insert, select, update

from motorcade.events import make_token
from motorcade.registry.errors import AlreadyExistsError, NotFoundError
from motorcade.registry.port import IssuedCertificate, PrincipalKind, Vehicle
from motorcade.registry.statements import PRESENT, VEHICLE_COLUMNS
from motorcade.registry.tables import (
    ACCOUNTS,
    CERTIFICATES,
    CHANGES,
    DENY_FILTERS,
    KEYS,
    VEHICLES,
)

DATA_KEY_BYTES: Final = 32
_IN_LIST_MAX: Final = 500  # SQLite takes 999 parameters in its oldest builds


def count_change(connection: Connection) -> None:
    """Let every process see that something changed."""
    connection.execute(update(CHANGES).values(value=CHANGES.c.value + 1))


def find_vehicle(connection: Connection, vin: str) -> Vehicle:
    """The vehicle with this VIN. Raises `NotFoundError`."""
    query = select(*VEHICLE_COLUMNS).where(VEHICLES.c.vin == vin, PRESENT)
    row = connection.execute(query).one_or_none()
    if row is None:
        raise NotFoundError(f"no vehicle has the VIN {vin!r}: `motorcade vehicle list` shows all")
    return Vehicle(*row)


def add_vehicles(
    connection: Connection,
    vins: Sequence[str],
    owner: str,
    now_us: int,
    entropy: Callable[[int], bytes],
) -> list[Vehicle]:
    """Add vehicles of this subject, with a token and a data key of their own each."""
    _refuse_known(connection, vins)
    if not vins:
        return []
    keys = [{"data_key": entropy(DATA_KEY_BYTES), "made_time_us": now_us} for _ in vins]
    key_ids = connection.scalars(
        insert(KEYS).returning(KEYS.c.key_id, sort_by_parameter_order=True), keys
    ).all()
    vehicles = [
        {
            "vin": vin,
            "token": make_token(entropy(16)),
            "display_name": f"Car {vin[-6:]}",
            "key_id": key_id,
            "added_time_us": now_us,
            "owner": owner,
        }
        for vin, key_id in zip(vins, key_ids, strict=True)
    ]
    added = insert(VEHICLES).returning(*VEHICLE_COLUMNS, sort_by_parameter_order=True)
    return [Vehicle(*row) for row in connection.execute(added, vehicles)]


def _refuse_known(connection: Connection, vins: Sequence[str]) -> None:
    known: list[str] = []
    for some in _slices(vins):
        query = select(VEHICLES.c.vin).where(VEHICLES.c.vin.in_(some), PRESENT)
        known.extend(connection.scalars(query))
    if known:
        shown = ", ".join(known[:5]) + (f" and {len(known) - 5} more" if len(known) > 5 else "")
        raise AlreadyExistsError(
            f"already registered: {shown}; nothing was added. Leave it out, or give it new "
            "secrets with `motorcade vehicle renew`"
        )


def _slices(vins: Sequence[str]) -> Iterator[Sequence[str]]:
    return (vins[start : start + _IN_LIST_MAX] for start in range(0, len(vins), _IN_LIST_MAX))


def add_vehicle_accounts(
    connection: Connection, accounts: Sequence[tuple[Vehicle, bytes]], now_us: int
) -> None:
    """Give each vehicle its MQTT account: user name = token."""
    if not accounts:
        return
    connection.execute(
        insert(ACCOUNTS),
        [
            {
                "username": vehicle.token,
                "kind": PrincipalKind.VEHICLE.value,
                "password_hash": hashed,
                "vehicle_id": vehicle.id,
                "made_time_us": now_us,
            }
            for vehicle, hashed in accounts
        ],
    )


def end_access(connection: Connection, vehicle: Vehicle, now_us: int) -> None:
    """Delete the vehicle's account and refuse its certificates from now on."""
    connection.execute(delete(ACCOUNTS).where(ACCOUNTS.c.vehicle_id == vehicle.id))
    connection.execute(
        update(CERTIFICATES)
        .where(CERTIFICATES.c.vehicle_id == vehicle.id, CERTIFICATES.c.refused_time_us.is_(None))
        .values(refused_time_us=now_us)
    )


def remove_vehicle(connection: Connection, vehicle: Vehicle, now_us: int) -> None:
    """Take the vehicle out of every look-up."""
    connection.execute(
        update(VEHICLES).where(VEHICLES.c.id == vehicle.id).values(removed_time_us=now_us)
    )


def record_certificates(connection: Connection, certificates: Sequence[IssuedCertificate]) -> None:
    """Note whose certificates these are. Raises `NotFoundError` for a VIN that is not here."""
    rows = [
        {
            "serial": certificate.serial,
            "vehicle_id": find_vehicle(connection, certificate.vin).id,
            "expires_time_us": certificate.expires_time_us,
        }
        for certificate in certificates
    ]
    if rows:
        connection.execute(insert(CERTIFICATES), rows)


def add_operator(
    connection: Connection, name: str, hashed: bytes, filters: Sequence[str], now_us: int
) -> None:
    """Add an operator's account. Raises `AlreadyExistsError`."""
    taken = select(ACCOUNTS.c.username).where(ACCOUNTS.c.username == name)
    if connection.execute(taken).first() is not None:
        raise AlreadyExistsError(f"there is an account {name!r} already: choose another name")
    account = {
        "username": name,
        "kind": PrincipalKind.OPERATOR.value,
        "password_hash": hashed,
        "made_time_us": now_us,
    }
    connection.execute(insert(ACCOUNTS).values(**account))
    if filters:
        rows = [{"username": name, "filter": text} for text in filters]
        connection.execute(insert(DENY_FILTERS), rows)


def remove_operator(connection: Connection, name: str) -> None:
    """Delete an operator's account. Raises `NotFoundError`."""
    known = select(ACCOUNTS.c.username).where(
        ACCOUNTS.c.username == name, ACCOUNTS.c.vehicle_id.is_(None)
    )
    if connection.execute(known).first() is None:
        raise NotFoundError(f"no operator {name!r}: `motorcade operator list` shows all")
    connection.execute(delete(DENY_FILTERS).where(DENY_FILTERS.c.username == name))
    connection.execute(delete(ACCOUNTS).where(ACCOUNTS.c.username == name))
