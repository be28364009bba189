"""Brings the registry's tables to the version of this code, at open, whoever opens first.

Alembic costs a quarter of a second to import, and every command opens the registry: so the stored
version is read first, and Alembic is loaded only when there is something to do.
"""

from pathlib import Path
from typing import Final

from sqlalchemy import Connection, inspect, text

from motorcade.registry.errors import RegistryUnavailableError

HEAD: Final = "r0011"  # the last revision in migrations/versions
REVISIONS: Final = Path(__file__).parent / "migrations"


def stored_version(connection: Connection) -> str | None:
    """The revision the file is at, `None` for an empty file."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def upgrade(connection: Connection) -> None:
    """Run the missing revisions inside the caller's transaction, which excludes other writers.

    Raises:
        RegistryUnavailableError: the file was made by a newer version of the platform.
    """
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(REVISIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise RegistryUnavailableError(
            f"the registry is at revision {stored_version(connection)!r}, this version knows "
            f"revisions up to {HEAD!r}: run the newer version that wrote it"
        ) from error
