"""Key lists, approvals and telemetry configurations in the registry's SQLite file."""

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Connection, bindparam, delete, insert, literal_column, select, update

from motorcade.events import VehicleToken
from motorcade.registry.errors import NotFoundError
from motorcade.registry.people.store import Store
from motorcade.registry.signing.port import (
    KeyRequest,
    PairedKey,
    SigningState,
    TelemetryConfig,
    Waiting,
)
from motorcade.registry.signing.tables import (
    KEY_REQUESTS,
    SIGNING_KEYS,
    SIGNING_STATES,
    TELEMETRY_CONFIGS,
)
from motorcade.registry.statements import PRESENT, text_of
from motorcade.registry.tables import VEHICLES

STATE: Final = text_of(
    select(SIGNING_STATES.c.signed_commands).where(SIGNING_STATES.c.vehicle_id == bindparam("id"))
)
KEYS: Final = text_of(
    select(
        SIGNING_KEYS.c.slot,
        SIGNING_KEYS.c.public_key,
        SIGNING_KEYS.c.role,
        SIGNING_KEYS.c.form_factor,
    )
    .where(SIGNING_KEYS.c.vehicle_id == bindparam("id"))
    .order_by(SIGNING_KEYS.c.slot)
)
_request: Final = (
    select(
        KEY_REQUESTS.c.id,
        VEHICLES.c.token,
        KEY_REQUESTS.c.action,
        KEY_REQUESTS.c.public_key,
        KEY_REQUESTS.c.role,
        KEY_REQUESTS.c.form_factor,
        KEY_REQUESTS.c.result,
    )
    .join_from(KEY_REQUESTS, VEHICLES)
    .order_by(KEY_REQUESTS.c.id)
)
_OPEN: Final = KEY_REQUESTS.c.ended_time_us.is_(None)
REQUEST: Final = text_of(_request.where(KEY_REQUESTS.c.id == bindparam("id")))
REQUESTS_OF: Final = text_of(
    _request.where(KEY_REQUESTS.c.vehicle_id == bindparam("vehicle"), _OPEN)
)
CARS_WITH_REQUESTS: Final = text_of(
    select(KEY_REQUESTS.c.id, VEHICLES.c.token)
    .join_from(KEY_REQUESTS, VEHICLES)
    .where(_OPEN, PRESENT, KEY_REQUESTS.c.id > bindparam("after"))
    .order_by(KEY_REQUESTS.c.id)
    .limit(bindparam("limit"))
    .offset(literal_column("0"))
)
_config: Final = select(
    VEHICLES.c.token,
    TELEMETRY_CONFIGS.c.version,
    TELEMETRY_CONFIGS.c.token.label("jws"),
    TELEMETRY_CONFIGS.c.config,
    TELEMETRY_CONFIGS.c.issuer,
    TELEMETRY_CONFIGS.c.client_id,
    TELEMETRY_CONFIGS.c.synced_time_us,
    TELEMETRY_CONFIGS.c.refusal,
).join_from(TELEMETRY_CONFIGS, VEHICLES)
CONFIG: Final = text_of(_config.where(TELEMETRY_CONFIGS.c.vehicle_id == bindparam("id")))
REFUSED: Final = text_of(
    _config.where(
        TELEMETRY_CONFIGS.c.issuer == bindparam("issuer"),
        TELEMETRY_CONFIGS.c.client_id == bindparam("client_id"),
        TELEMETRY_CONFIGS.c.refusal != literal_column("''"),
        TELEMETRY_CONFIGS.c.token != literal_column("''"),
        PRESENT,
    )
)
CONFIGURED: Final = text_of(
    select(VEHICLES.c.token)
    .join_from(TELEMETRY_CONFIGS, VEHICLES)
    .where(
        TELEMETRY_CONFIGS.c.issuer == bindparam("issuer"),
        TELEMETRY_CONFIGS.c.client_id == bindparam("client_id"),
        TELEMETRY_CONFIGS.c.token != literal_column("''"),
        PRESENT,
    )
    .order_by(TELEMETRY_CONFIGS.c.vehicle_id)
)
_UNSYNCED: Final = TELEMETRY_CONFIGS.c.synced_time_us.is_(None)
CARS_WITH_CONFIGS: Final = text_of(
    select(TELEMETRY_CONFIGS.c.vehicle_id, VEHICLES.c.token)
    .join_from(TELEMETRY_CONFIGS, VEHICLES)
    .where(_UNSYNCED, PRESENT, TELEMETRY_CONFIGS.c.vehicle_id > bindparam("after"))
    .order_by(TELEMETRY_CONFIGS.c.vehicle_id)
    .limit(bindparam("limit"))
    .offset(literal_column("0"))
)
# SQLite's own count of what other connections wrote; the one that reads here never writes.
CHANGES: Final = "PRAGMA data_version"


class EmbeddedSigning:
    """A `Signing`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def state_of(self, vehicle_id: int) -> SigningState | None:
        rows = self._store.rows(STATE, vehicle_id)
        if not rows:
            return None
        keys = tuple(PairedKey(*row) for row in self._store.rows(KEYS, vehicle_id))
        return SigningState(rows[0][0], keys)

    def tell(self, states: Mapping[VehicleToken, SigningState]) -> None:
        now_us = self._store.clock.now_us()
        with self._store.changing() as connection:
            for token, state in states.items():
                query = select(VEHICLES.c.id).where(VEHICLES.c.token == token, PRESENT)
                vehicle_id = connection.scalar(query)
                if vehicle_id is not None:
                    _tell(connection, vehicle_id, state, now_us)

    def ask(
        self, vehicle_id: int, action: str, public_key: str, role: str, form_factor: int
    ) -> KeyRequest:
        with self._store.changing() as connection:
            token = _present(connection, vehicle_id)
            row = {
                "vehicle_id": vehicle_id,
                "action": action,
                "public_key": public_key,
                "role": role,
                "form_factor": form_factor,
                "made_time_us": self._store.clock.now_us(),
                "result": "",
            }
            added = insert(KEY_REQUESTS).values(**row).returning(KEY_REQUESTS.c.id)
            request_id = int(connection.scalar(added))
        return KeyRequest(request_id, token, action, public_key, role, form_factor)

    def request(self, request_id: int) -> KeyRequest | None:
        rows = self._store.rows(REQUEST, request_id)
        return _read_request(rows[0]) if rows else None

    def requests(self, vehicle_id: int) -> list[KeyRequest]:
        return [_read_request(row) for row in self._store.rows(REQUESTS_OF, vehicle_id)]

    def changes(self) -> int:
        return int(self._store.rows(CHANGES)[0][0])

    def cars_with_requests(self, after: int, limit: int) -> list[Waiting]:
        return [Waiting(*row) for row in self._store.rows(CARS_WITH_REQUESTS, after, limit)]

    def end(self, request_id: int, result: str) -> None:
        with self._store.changing() as connection:
            connection.execute(
                update(KEY_REQUESTS)
                .where(KEY_REQUESTS.c.id == request_id, _OPEN)
                .values(result=result, ended_time_us=self._store.clock.now_us())
            )

    def config_of(self, vehicle_id: int) -> TelemetryConfig | None:
        rows = self._store.rows(CONFIG, vehicle_id)
        return _read_config(rows[0]) if rows else None

    def configure(
        self, vehicle_id: int, token: str, config: str, issuer: str, client_id: str
    ) -> TelemetryConfig:
        table = TELEMETRY_CONFIGS
        with self._store.changing() as connection:
            vehicle = _present(connection, vehicle_id)
            query = select(table.c.version).where(table.c.vehicle_id == vehicle_id)
            version = (connection.scalar(query) or 0) + 1
            connection.execute(delete(table).where(table.c.vehicle_id == vehicle_id))
            connection.execute(
                insert(table).values(
                    vehicle_id=vehicle_id,
                    version=version,
                    token=token,
                    config=config,
                    issuer=issuer,
                    client_id=client_id,
                    made_time_us=self._store.clock.now_us(),
                    refusal="",
                )
            )
        return TelemetryConfig(vehicle, version, token, config, issuer, client_id, synced=False)

    def cars_with_configs(self, after: int, limit: int) -> list[Waiting]:
        return [Waiting(*row) for row in self._store.rows(CARS_WITH_CONFIGS, after, limit)]

    def refused(self, issuer: str, client_id: str) -> list[TelemetryConfig]:
        return [_read_config(row) for row in self._store.rows(REFUSED, issuer, client_id)]

    def configured(self, issuer: str, client_id: str) -> list[VehicleToken]:
        rows = self._store.rows(CONFIGURED, issuer, client_id)
        return [VehicleToken(token) for (token,) in rows]

    def sync(self, vehicle: VehicleToken, version: int, refusal: str) -> None:
        ids = select(VEHICLES.c.id).where(VEHICLES.c.token == vehicle).scalar_subquery()
        with self._store.changing() as connection:
            connection.execute(
                update(TELEMETRY_CONFIGS)
                .where(
                    TELEMETRY_CONFIGS.c.vehicle_id == ids, TELEMETRY_CONFIGS.c.version == version
                )
                .values(synced_time_us=self._store.clock.now_us(), refusal=refusal)
            )


def _tell(connection: Connection, vehicle_id: int, state: SigningState, now_us: int) -> None:
    for table in (SIGNING_KEYS, SIGNING_STATES):
        connection.execute(delete(table).where(table.c.vehicle_id == vehicle_id))
    row = {
        "vehicle_id": vehicle_id,
        "signed_commands": state.signed_commands,
        "told_time_us": now_us,
    }
    connection.execute(insert(SIGNING_STATES).values(**row))
    keys = [
        {
            "vehicle_id": vehicle_id,
            "slot": key.slot,
            "public_key": key.public_key,
            "role": key.role,
            "form_factor": key.form_factor,
        }
        for key in state.keys
    ]
    if keys:
        connection.execute(insert(SIGNING_KEYS), keys)


def _present(connection: Connection, vehicle_id: int) -> VehicleToken:
    query = select(VEHICLES.c.token).where(VEHICLES.c.id == vehicle_id, PRESENT)
    token = connection.scalar(query)
    if token is None:
        raise NotFoundError(f"no vehicle has the id {vehicle_id}")
    return VehicleToken(token)


def _read_request(row: Any) -> KeyRequest:
    request_id, token, *rest = row
    return KeyRequest(request_id, VehicleToken(token), *rest)


def _read_config(row: Any) -> TelemetryConfig:
    vehicle, version, token, config, issuer, client_id, synced_time_us, refusal = row
    synced = synced_time_us is not None and not refusal
    return TelemetryConfig(
        VehicleToken(vehicle), version, token, config, issuer, client_id, synced, refusal
    )
