"""Long lists leave the loop its turns, and are of one moment."""

import asyncio
from types import SimpleNamespace
from typing import Any

from motorcade.api.listing import (
    NOTES_PER_TURN,
    READS_MAX,
    ROWS_PER_READ,
    noted_vehicles,
    read_vehicles,
)
from motorcade.events import make_token
from motorcade.registry.port import Vehicle

CARS = [
    Vehicle(number, f"5YJ3E1EA7KF{number:06}", make_token(number.to_bytes(16)), "", 1, 0)
    for number in range(5 * ROWS_PER_READ + 7)
]


class FakeCounter:
    """A registry of `CARS`, of which one goes at each of the first `leaving` readings."""

    def __init__(self, leaving: int = 0) -> None:
        self.cars, self.changed, self.leaving = list(CARS), 0, leaving
        self.sizes: list[int] = []
        self.noted: list[Vehicle] = []
        self.registry = SimpleNamespace(changes=lambda: self.changed)

    def vehicles(self, _access: Any, offset: int, limit: int) -> list[Vehicle]:
        self.sizes.append(limit)
        page = self.cars[offset : offset + limit]
        if offset == ROWS_PER_READ and self.leaving:
            self.leaving -= 1
            self.changed += 1
            del self.cars[0]
        return page

    def note(self, _request: Any, _access: Any, vehicle: Vehicle) -> None:
        self.noted.append(vehicle)


def read(counter: Any, most: int = 10_000) -> list[Vehicle]:
    access: Any = None
    return asyncio.run(read_vehicles(counter, access, most))


def test_a_long_list_is_read_in_parts() -> None:
    counter = FakeCounter()
    assert read(counter) == CARS
    assert max(counter.sizes) == ROWS_PER_READ
    assert read(counter, ROWS_PER_READ + 3) == CARS[: ROWS_PER_READ + 3]
    assert read(counter, 0) == []


def test_a_list_that_changed_between_its_parts_is_read_again() -> None:
    counter = FakeCounter(leaving=1)
    assert read(counter) == CARS[1:]
    busy = FakeCounter(leaving=99)
    assert len(read(busy)) >= len(CARS) - 2 * READS_MAX  # and not for ever


def test_noting_a_long_list_leaves_others_their_turn() -> None:
    async def run() -> tuple[list[Vehicle], int]:
        counter: Any = FakeCounter()
        nobody: Any = None
        turns = 0
        noted_at_turn = set()

        async def others() -> None:
            nonlocal turns
            while True:
                turns += 1
                noted_at_turn.add(len(counter.noted))
                await asyncio.sleep(0)

        task = asyncio.create_task(others())
        found = await noted_vehicles(nobody, counter, nobody, 10_000)
        task.cancel()
        assert counter.noted == CARS
        return found, len(noted_at_turn)

    found, steps = asyncio.run(run())
    assert found == CARS
    assert steps >= len(CARS) // NOTES_PER_TURN
