"""The router's commands in memory: by id, key and vehicle, counted against limits, with deadlines.

It follows states, it decides none. No IO, no clock.
"""

import heapq
from collections.abc import Iterator
from typing import Final

from motorcade.commands.entries import US
from motorcade.commands.errors import RouterBusyError, TooManyCommandsError
from motorcade.commands.states import FINAL, State
from motorcade.commands.tracked import Tracked
from motorcade.config import CommandsConfig
from motorcade.events import VehicleToken

UNDER_WAY: Final = frozenset({State.REQUESTED, State.HANDED_OVER})


class _Group:
    """Ids of commands, by vehicle, in the order they came."""

    def __init__(self) -> None:
        self._by_vehicle: dict[VehicleToken, dict[str, None]] = {}
        self.count = 0

    def of(self, vehicle: VehicleToken) -> list[str]:
        return list(self._by_vehicle.get(vehicle, ()))

    def count_of(self, vehicle: VehicleToken) -> int:
        return len(self._by_vehicle.get(vehicle, ()))

    def add(self, tracked: Tracked) -> None:
        self._by_vehicle.setdefault(tracked.vehicle, {})[tracked.id] = None
        self.count += 1

    def remove(self, tracked: Tracked) -> None:
        ids = self._by_vehicle[tracked.vehicle]
        del ids[tracked.id]
        self.count -= 1
        if not ids:
            del self._by_vehicle[tracked.vehicle]


class Roll:
    """Every command that is not final, and those the ledger has not taken over yet."""

    def __init__(self, config: CommandsConfig) -> None:
        self._config = config
        self._tracked: dict[str, Tracked] = {}
        self._keys: dict[tuple[str, str], str] = {}
        self._under_way, self._unresolved = _Group(), _Group()
        self._deadlines: list[tuple[int, str]] = []

    def open_counts(self) -> dict[str, int]:
        """How many commands are not final."""
        return {
            "under_way": self._under_way.count,
            str(State.OUTCOME_UNKNOWN): self._unresolved.count,
        }

    def find(self, command_id: str) -> Tracked | None:
        return self._tracked.get(command_id)

    def find_key(self, account: str, idempotency_key: str) -> Tracked | None:
        command_id = self._keys.get((account, idempotency_key))
        return None if command_id is None else self._tracked[command_id]

    def of_vehicle(self, vehicle: VehicleToken) -> list[Tracked]:
        return [tracked for tracked in self._tracked.values() if tracked.vehicle == vehicle]

    def unresolved(self, vehicle: VehicleToken) -> list[str]:
        """Ids in state `outcome_unknown`, oldest first."""
        return self._unresolved.of(vehicle)

    def check_room(self, vehicle: VehicleToken) -> None:
        """Room for one more of this vehicle. Raises `TooManyCommandsError`, `RouterBusyError`."""
        limits = self._config
        if self._under_way.count_of(vehicle) >= limits.in_flight_per_vehicle_max:
            text = f"{limits.in_flight_per_vehicle_max} commands are under way to this vehicle"
            raise TooManyCommandsError(text, 1)
        if self._unresolved.count_of(vehicle) >= limits.unresolved_per_vehicle_max:
            text = (
                f"{limits.unresolved_per_vehicle_max} commands have no outcome yet: "
                "the vehicle must connect first"
            )
            raise TooManyCommandsError(text, limits.expires_s_default)
        if (
            self._under_way.count >= limits.in_flight_max
            or self._unresolved.count >= limits.unresolved_max
        ):
            raise RouterBusyError("too many commands under way on this server: try again later")

    def add(self, tracked: Tracked) -> None:
        """Take a new or restored command in."""
        self._tracked[tracked.id] = tracked
        self._keys[tracked.account, tracked.idempotency_key] = tracked.id
        self.enter(tracked)

    def drop(self, tracked: Tracked) -> None:
        """Forget a command."""
        self.leave(tracked)
        del self._tracked[tracked.id]
        self._keys.pop((tracked.account, tracked.idempotency_key), None)

    def leave(self, tracked: Tracked) -> None:
        """Before a command leaves its state."""
        if tracked.state not in FINAL:
            self._group(tracked).remove(tracked)

    def enter(self, tracked: Tracked) -> None:
        """After a command entered its state: count it, and note when to look at it again."""
        if tracked.state in FINAL:
            return
        self._group(tracked).add(tracked)
        if tracked.state in UNDER_WAY:
            deadline_us = tracked.expires_time_us + round(self._config.overdue_grace_s * US)
        else:
            deadline_us = tracked.steps[0].time_us + self._config.ledger_s_max * US
        if tracked.deadline_us != deadline_us:
            tracked.deadline_us = deadline_us
            heapq.heappush(self._deadlines, (deadline_us, tracked.id))

    def due(self, now_us: int) -> Iterator[Tracked]:
        """Commands whose deadline has passed in the state they are in, each once."""
        while self._deadlines and self._deadlines[0][0] <= now_us:
            deadline_us, command_id = heapq.heappop(self._deadlines)
            tracked = self._tracked.get(command_id)
            if tracked is not None and not tracked.final and tracked.deadline_us == deadline_us:
                yield tracked

    def _group(self, tracked: Tracked) -> _Group:
        return self._under_way if tracked.state in UNDER_WAY else self._unresolved
