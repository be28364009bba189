"""Notes which app asked what of which vehicle, and writes it to the access log by and by.

A request costs a look-up in a dictionary; every few seconds, and at the end, what was counted is
written in one transaction, if only nothing: then the log forgets. A crash loses what was noted
since.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

import structlog

from motorcade.api.notes import Notes
from motorcade.clock import Clock
from motorcade.events import VehicleToken
from motorcade.identity.port import OPERATOR_CLIENTS, AccessToken
from motorcade.registry.accesses.port import HOUR_US, Accesses, AccessLog
from motorcade.registry.errors import RegistryError

Key = tuple[VehicleToken, str, str, str, int]
WAITING_MAX: Final = 100_000  # rows; beyond, which only a registry that fails brings: not noted

_log = structlog.get_logger()


class AccessNotes(Notes):
    """On the API's loop. Without a log, nothing is noted."""

    def __init__(self, log: AccessLog | None, clock: Clock, flush_s: float) -> None:
        super().__init__(flush_s)
        self._log = log
        self._clock = clock
        self._waiting: dict[Key, tuple[int, int]] = {}  # how often, when last

    def note(self, access: AccessToken, vehicle: VehicleToken, kind: str, times: int = 1) -> None:
        """An app asked; tokens of the command line are no app's. 0 `times`: it still hears."""
        if self._log is None or access.client_id in OPERATOR_CLIENTS:
            return
        now_us = self._clock.now_us()
        key = (vehicle, access.client_id, access.subject, kind, now_us // HOUR_US)
        self._add(key, times, now_us)

    @contextlib.contextmanager
    def lasting(self, access: AccessToken, vehicle: VehicleToken, kind: str) -> Iterator[None]:
        """While the block runs an app hears of the vehicle without asking: noted once in each
        further hour, and when it ends."""
        note = partial(self.note, access, vehicle, kind)
        each_hour = asyncio.create_task(self._each_hour(note, self._left_s()))
        try:
            yield
        finally:
            each_hour.cancel()
            self.note(access, vehicle, kind, 0)

    async def flush(self) -> None:
        if self._log is None:
            return
        waiting, self._waiting = self._waiting, {}
        rows = [Accesses(*key[:4], *counted) for key, counted in waiting.items()]
        try:
            await asyncio.to_thread(self._log.write, rows)
        except RegistryError as error:
            _log.warning("accesses_not_written", rows=len(rows), error=str(error))
            for key, counted in waiting.items():
                self._add(key, *counted)

    def _add(self, key: Key, count: int, last_time_us: int) -> None:
        before = self._waiting.get(key)
        if before is not None:
            self._waiting[key] = before[0] + count, max(before[1], last_time_us)
        elif len(self._waiting) < WAITING_MAX:
            self._waiting[key] = count, last_time_us

    async def _each_hour(self, note: Callable[[], None], left_s: float) -> None:
        while True:
            await asyncio.sleep(left_s)
            note()
            left_s = self._left_s()

    def _left_s(self) -> float:
        """Of this hour."""
        return (HOUR_US - self._clock.now_us() % HOUR_US) / 1e6
