"""Remembers what owners keep from apps, until the registry changed."""

from typing import Final

from motorcade.api.rights import sees_location
from motorcade.api.sight import Sight
from motorcade.identity.port import FIRST_PARTY, AccessToken
from motorcade.registry.port import Vehicle
from motorcade.registry.privacy.port import Limits, Privacy

CACHED_MAX: Final = 10_000  # vehicles


class PrivacyBook:
    """Asks `Privacy`; on the API's loop. Without one, nobody keeps anything back."""

    def __init__(self, privacy: Privacy | None) -> None:
        self._privacy = privacy
        self._changes = -1  # what `_limits` was true at
        self._limits: dict[int, Limits] = {}

    def sight(self, access: AccessToken, vehicle: Vehicle) -> Sight:
        """What this token may see of that vehicle: of their own, owners and the admin see all.

        Raises:
            RegistryUnavailableError: what the owner set is not known.
        """
        located = sees_location(access.scopes)
        if self._privacy is None or not located or sees_all(access, vehicle):
            return Sight(located)
        limits = self._limits_of(vehicle.id, self._privacy)
        return Sight(located, limits.zones, limits.grid_m(access.reads_as))

    def _limits_of(self, vehicle_id: int, privacy: Privacy) -> Limits:
        changes = privacy.changes()
        if changes != self._changes:
            self._changes = changes
            self._limits.clear()
        limits = self._limits.get(vehicle_id)
        if limits is None:
            if len(self._limits) >= CACHED_MAX:
                del self._limits[next(iter(self._limits))]
            limits = self._limits[vehicle_id] = privacy.limits(vehicle_id)
        return limits


def sees_all(access: AccessToken, vehicle: Vehicle) -> bool:
    """Whether it is the owner's or the admin's own token, no app's."""
    return access.client_id in FIRST_PARTY and access.owns(vehicle.owner)
