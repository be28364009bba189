"""Energy sites in the registry: their table, the texts that look them up, and what changes it.

A table of their own, because a site has no VIN and no certificate, and a vehicle no batteries. Like
a vehicle it has a token, a data key, and an MQTT account whose user name is its token; the account
lives and dies with its row (decision 0026).
"""

from collections.abc import Callable
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    ForeignKey,
    Integer,
    LargeBinary,
    String,
    Table,
    bindparam,
    func,
    insert,
    select,
    update,
)

from motorcade.events import make_token
from motorcade.registry.changing import DATA_KEY_BYTES
from motorcade.registry.errors import InvalidNameError, NotFoundError
from motorcade.registry.port import Site, SiteDescription
from motorcade.registry.statements import text_of
from motorcade.registry.tables import KEYS, METADATA

SITE_ID_FIRST: Final = 1_000_000_000_001  # as long as Tesla's, and no vehicle's id
NAME_CHARACTERS_MAX: Final = 64
BATTERIES_MAX: Final = 10  # of a home
SOLAR_W_PEAK_MAX: Final = 1_000_000

SITES: Final = Table(
    "sites",
    METADATA,
    Column("id", Integer, primary_key=True),  # Tesla's `energy_site_id`
    Column("token", String(17), nullable=False, unique=True),
    Column("name", String, nullable=False),
    Column("time_zone", String, nullable=False),  # IANA
    Column("battery_count", Integer, nullable=False),
    Column("solar_w_peak", Integer, nullable=False),
    Column("wall_connector", Boolean, nullable=False),
    Column("key_id", Integer, ForeignKey("keys.key_id"), nullable=False),
    Column("password_hash", LargeBinary, nullable=False),
    Column("added_time_us", BigInteger, nullable=False),
    Column("removed_time_us", BigInteger),
)
"""Never deleted, like vehicles: stored records name their keys."""

_COLUMNS: Final = (
    SITES.c.id,
    SITES.c.token,
    SITES.c.name,
    SITES.c.time_zone,
    SITES.c.battery_count,
    SITES.c.solar_w_peak,
    SITES.c.wall_connector,
    SITES.c.key_id,
    SITES.c.added_time_us,
)
_PRESENT: Final = SITES.c.removed_time_us.is_(None)
_site: Final = select(*_COLUMNS).where(_PRESENT)
BY_ID: Final = text_of(_site.where(SITES.c.id == bindparam("id")))
PAGE: Final = text_of(
    _site.order_by(SITES.c.id).limit(bindparam("limit")).offset(bindparam("offset"))
)
COUNT: Final = text_of(select(func.count()).select_from(SITES).where(_PRESENT))
ACCOUNT: Final = text_of(
    select(SITES.c.password_hash, SITES.c.key_id).where(
        SITES.c.token == bindparam("token"), _PRESENT
    )
)


def read_site(row: Any) -> Site:
    """A site from a row in the order of `_COLUMNS`."""
    site_id, token, name, time_zone, count, peak_w, wall, key_id, added_time_us = row
    description = SiteDescription(name, time_zone, count, peak_w, bool(wall))
    return Site(site_id, token, description, key_id, added_time_us)


def check_description(description: SiteDescription) -> SiteDescription:
    """Return it if it can be a site's. Raises `InvalidNameError`; the zone is the caller's."""
    name = description.name
    if not name.isprintable() or not 1 <= len(name.strip()) <= NAME_CHARACTERS_MAX:
        raise InvalidNameError(
            f"site name {name[:80]!r}: use 1 to {NAME_CHARACTERS_MAX} printable characters"
        )
    if not 1 <= description.battery_count <= BATTERIES_MAX:
        raise InvalidNameError(f"a site has 1 to {BATTERIES_MAX} batteries")
    if not 0 <= description.solar_w_peak <= SOLAR_W_PEAK_MAX:
        raise InvalidNameError(f"a site has 0 to {SOLAR_W_PEAK_MAX} W of panels")
    return description


def add_site(
    connection: Connection,
    description: SiteDescription,
    now_us: int,
    entropy: Callable[[int], bytes],
    hash_of: Callable[[str], bytes],
) -> Site:
    """Add a site with a token, a data key and an account; `hash_of(token)` is its password's."""
    last = connection.scalar(select(func.max(SITES.c.id)))
    key = {"data_key": entropy(DATA_KEY_BYTES), "made_time_us": now_us}
    key_id = connection.scalar(insert(KEYS).values(**key).returning(KEYS.c.key_id))
    token = make_token(entropy(16))
    added = insert(SITES).returning(*_COLUMNS)
    row = {
        "id": SITE_ID_FIRST if last is None else last + 1,
        "token": token,
        "name": description.name.strip(),
        "time_zone": description.time_zone,
        "battery_count": description.battery_count,
        "solar_w_peak": description.solar_w_peak,
        "wall_connector": description.wall_connector,
        "key_id": key_id,
        "password_hash": hash_of(token),
        "added_time_us": now_us,
    }
    return read_site(connection.execute(added, row).one())


def remove_site(connection: Connection, site_id: int, now_us: int) -> Site:
    """Take the site out of every look-up, and its account with it. Raises `NotFoundError`."""
    row = connection.execute(select(*_COLUMNS).where(SITES.c.id == site_id, _PRESENT)).one_or_none()
    if row is None:
        raise NotFoundError(f"no site has the id {site_id}: `motorcade site list` shows all")
    connection.execute(update(SITES).where(SITES.c.id == site_id).values(removed_time_us=now_us))
    return read_site(row)
