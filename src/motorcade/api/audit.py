"""Notes who did what by the page and the API, for admins to read: `registry/audit/`.

Who asks for the deed calls `note`, or awaits `tell` for one that is to be on disk before its answer
leaves. Commands, of which there may be thousands in a second, are noted and written by and by; a
crash loses what was noted since, and the log of commands has them still. A deed that was done is
not undone because it could not be written: it is tried again, and said in the server's log.
"""

import asyncio
from typing import Final, NamedTuple, Protocol

import structlog

from motorcade.api.notes import Notes
from motorcade.clock import Clock
from motorcade.events import VehicleToken
from motorcade.registry.audit.port import AuditLog, Deed, What
from motorcade.registry.errors import RegistryError

DONE: Final = "done"
REFUSED: Final = "refused"
TEXT_CHARACTERS_MAX: Final = 500  # what is longer is cut
WAITING_MAX: Final = 100_000  # deeds; beyond, which only a disk that fails brings: not noted

_log = structlog.get_logger()


class Doer(Protocol):
    """Who did it: a token's holder (`AccessToken`), or somebody on an owner's page."""

    @property
    def subject(self) -> str: ...
    @property
    def client_id(self) -> str: ...


class Signed(NamedTuple):
    """Somebody whom a browser's cookie names."""

    subject: str
    client_id: str


class Audit(Notes):
    """On the API's loop. Without a log, nothing is noted."""

    def __init__(self, log: AuditLog | None, clock: Clock, flush_s: float) -> None:
        super().__init__(flush_s)
        self._log = log
        self._clock = clock
        self._waiting: list[Deed] = []

    def note(
        self,
        access: Doer,
        what: What,
        text: str = "",
        *,
        vehicle: VehicleToken | None = None,
        outcome: str = DONE,
    ) -> None:
        """Somebody did this; `text` says what the kind of deed leaves open."""
        if self._log is None:
            return
        if len(self._waiting) >= WAITING_MAX:
            _log.error("deed_not_noted", what=what.value, hint="is the disk full?")
            return
        now_us, text = self._clock.now_us(), text[:TEXT_CHARACTERS_MAX]
        who = (access.subject, access.client_id)
        self._waiting.append(Deed(now_us, *who, what, outcome, vehicle, text))

    async def tell(
        self,
        access: Doer,
        what: What,
        text: str = "",
        *,
        vehicle: VehicleToken | None = None,
        outcome: str = DONE,
    ) -> None:
        """The same, on disk when this returns, unless the disk takes nothing."""
        self.note(access, what, text, vehicle=vehicle, outcome=outcome)
        await self.flush()

    async def flush(self) -> None:
        if self._log is None:
            return
        waiting, self._waiting = self._waiting, []
        try:
            await asyncio.to_thread(self._log.write, waiting)
        except RegistryError as error:
            _log.error("deeds_not_written", deeds=len(waiting), error=str(error))
            self._waiting = (waiting + self._waiting)[:WAITING_MAX]
