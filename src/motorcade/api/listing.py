"""Lists of many vehicles, read and noted some at a time: commands must not wait for them (P6)."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Final, TypeVar

from motorcade.api.counter import AnyRequest, Counter
from motorcade.identity.port import AccessToken
from motorcade.registry.port import Vehicle

ROWS_PER_READ: Final = 200  # some 2 ms, for which the registry's other readers wait
NOTES_PER_TURN: Final = 200  # some 0.4 ms of the loop
_Row = TypeVar("_Row")
READS_MAX: Final = 3  # of the whole list, while the registry changes under it


async def noted_vehicles(
    request: AnyRequest, counter: Counter, access: AccessToken, most: int
) -> list[Vehicle]:
    """The caller's first `most` vehicles; their owners read of it in the access log."""
    vehicles = await read_vehicles(counter, access, most)
    await note_each(request, counter, access, vehicles)
    return vehicles


async def read_vehicles(counter: Counter, access: AccessToken, most: int) -> list[Vehicle]:
    """The caller's first `most` vehicles, as one moment has them unless the registry changes
    all the time."""
    found: list[Vehicle] = []
    for _ in range(READS_MAX):
        changes, found = counter.registry.changes(), []
        while len(found) < most:
            size = min(ROWS_PER_READ, most - len(found))
            page = await asyncio.to_thread(counter.vehicles, access, len(found), size)
            found += page
            if len(page) < size:
                break
        if counter.registry.changes() == changes:
            break
    return found


async def note_each(
    request: AnyRequest, counter: Counter, access: AccessToken, vehicles: Iterable[Vehicle]
) -> None:
    """`Counter.note` of each."""
    async for vehicle in by_turns(vehicles, NOTES_PER_TURN):
        counter.note(request, access, vehicle)


async def by_turns(rows: Iterable[_Row], rows_per_turn: int) -> AsyncIterator[_Row]:
    """The same, with a turn for everybody else after so many."""
    for number, row in enumerate(rows, 1):
        yield row
        if number % rows_per_turn == 0:
            await asyncio.sleep(0)
