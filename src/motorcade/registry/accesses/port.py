"""Promises of the access log.

1. **One row** for each app, person, vehicle, kind and hour, with how often and when last.
2. **Kept** for `registry.access_log_s`, of a vehicle the newest `registry.accesses_per_vehicle_max`
   in whole hours. What is too old is not shown; `write`, if only with no rows, forgets it and the
   rows of removed vehicles within the hour.
3. **The purpose** is the one that the app declared when the row was last written.

Methods may be called from any thread. `write` writes to disk: call it from a thread of its own, in
one process alone. `accesses` never waits for it.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol

from motorcade.events import VehicleToken

HOUR_US: Final = 3_600_000_000


class Accesses(NamedTuple):
    """What an app did of one kind, within one hour."""

    vehicle: VehicleToken
    client_id: str
    subject: str  # for whom
    kind: str  # the route's last word: vehicle_data, command, stream
    times: int
    last_time_us: int


class AccessShown(NamedTuple):
    """The same as an owner reads it."""

    client_id: str
    app_name: str
    purpose: str
    subject: str
    kind: str
    times: int
    last_time_us: int


class AccessLog(Protocol):
    """See the module."""

    def write(self, rows: Sequence[Accesses]) -> None:
        """Add to the rows of their hours, in one transaction; unknown vehicles are left out.

        Raises:
            RegistryUnavailableError: nothing was added; the text says why.
        """

    def accesses(self, vehicle_id: int, limit: int) -> list[AccessShown]:
        """Of a vehicle, the newest first."""
