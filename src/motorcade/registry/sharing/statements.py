"""Look-ups of sharing: SQLAlchemy Core, compiled to text at import, as its sisters'."""

from typing import Final

from sqlalchemy import String, bindparam, func, literal_column, select

from motorcade.registry.people.statements import APP_STANDS
from motorcade.registry.people.tables import APPS
from motorcade.registry.sharing.tables import (
    DRIVERS,
    HOMES,
    INVITATIONS,
    NAMED_KEYS,
    REGISTRATIONS,
)
from motorcade.registry.statements import PRESENT, VEHICLE_COLUMNS, text_of
from motorcade.registry.tables import VEHICLES

INVITATION_COLUMNS: Final = (
    INVITATIONS.c.id,
    INVITATIONS.c.vehicle_id,
    INVITATIONS.c.inviter,
    INVITATIONS.c.code,
    INVITATIONS.c.made_time_us,
    INVITATIONS.c.expires_time_us,
    INVITATIONS.c.redeemed_time_us,
    INVITATIONS.c.revoked_time_us,
)
"""In the order of `port.Invitation`'s fields; so are the others."""

DRIVER_COLUMNS: Final = (
    DRIVERS.c.id,
    DRIVERS.c.vehicle_id,
    DRIVERS.c.subject,
    DRIVERS.c.added_time_us,
)
REGISTRATION_COLUMNS: Final = (
    REGISTRATIONS.c.client_id,
    REGISTRATIONS.c.domain,
    REGISTRATIONS.c.public_key,
    REGISTRATIONS.c.registered_time_us,
)

_of_vehicle: Final = INVITATIONS.c.vehicle_id == bindparam("vehicle_id")
_newest: Final = INVITATIONS.c.id.desc()
INVITATIONS_PAGE: Final = text_of(
    select(*INVITATION_COLUMNS)
    .where(_of_vehicle)
    .order_by(_newest)
    .limit(bindparam("limit"))
    .offset(bindparam("offset"))
)
INVITATION_COUNT: Final = text_of(select(func.count()).select_from(INVITATIONS).where(_of_vehicle))

DRIVERS_OF: Final = text_of(
    select(*DRIVER_COLUMNS)
    .where(DRIVERS.c.vehicle_id == bindparam("vehicle_id"))
    .order_by(DRIVERS.c.id)
)
_by_subject: Final = DRIVERS.c.subject == bindparam("subject")
DRIVES: Final = text_of(
    select(DRIVERS.c.id).where(_by_subject, DRIVERS.c.vehicle_id == bindparam("vehicle_id"))
)
_driven: Final = VEHICLES.join(DRIVERS, DRIVERS.c.vehicle_id == VEHICLES.c.id)
DRIVEN: Final = text_of(
    select(*VEHICLE_COLUMNS)
    .select_from(_driven)
    .where(PRESENT, _by_subject)
    .order_by(VEHICLES.c.id)
    .limit(bindparam("limit"))
    .offset(bindparam("offset"))
)
DRIVEN_COUNT: Final = text_of(select(func.count()).select_from(_driven).where(PRESENT, _by_subject))

HOME: Final = text_of(
    select(HOMES.c.region, HOMES.c.base_url).where(HOMES.c.subject == bindparam("subject"))
)
_registered: Final = REGISTRATIONS.join(APPS, APPS.c.client_id == REGISTRATIONS.c.client_id)
REGISTERED: Final = select(*REGISTRATION_COLUMNS).select_from(_registered).where(APP_STANDS)
REGISTRATION: Final = text_of(REGISTERED.where(REGISTRATIONS.c.client_id == bindparam("client_id")))
REGISTRATION_OF: Final = text_of(REGISTERED.where(REGISTRATIONS.c.domain == bindparam("domain")))
_EMPTY: Final = literal_column(
    "''", String()
)  # in the text: what is compiled there has no value bound
OPERATORS: Final = (
    select(APPS.c.client_id, APPS.c.domain, APPS.c.public_key_pem, APPS.c.added_time_us)
    .where(APP_STANDS, APPS.c.person_id.is_(None), APPS.c.domain != _EMPTY)
    .order_by(APPS.c.id)
)
"""The apps that the operator added with a domain."""
_with_key: Final = OPERATORS.where(APPS.c.public_key_pem != _EMPTY)
OPERATORS_APP: Final = text_of(_with_key.where(APPS.c.client_id == bindparam("client_id")))
OPERATORS_OF: Final = text_of(_with_key.where(APPS.c.domain == bindparam("domain")))
OPERATORS_REGISTRATION_OF: Final = text_of(
    REGISTERED.where(REGISTRATIONS.c.domain == bindparam("domain"), APPS.c.person_id.is_(None))
)
KEYS_OF: Final = text_of(
    select(
        NAMED_KEYS.c.public_key,
        NAMED_KEYS.c.kind,
        NAMED_KEYS.c.model,
        NAMED_KEYS.c.name,
        NAMED_KEYS.c.tag,
    )
    .where(NAMED_KEYS.c.subject == bindparam("subject"))
    .order_by(NAMED_KEYS.c.named_time_us.desc(), NAMED_KEYS.c.public_key)
)
