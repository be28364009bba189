"""What the door must know after a crash and only the log tells: noted every second, read back.

A note is a cursor of the log and, written before it, everything that follows from the log before
it. At a start the log is read from there. What a record says is the last word on its subject, so
reading a little more than needed does no harm.
"""

from collections.abc import Awaitable, Callable
from typing import Final

import numpy as np

from motorcade.events import Flags, Record, Topic
from motorcade.gateway.intake import Intake
from motorcade.gateway.mqtt.interest import ROUTED
from motorcade.gateway.mqtt.receipts import ALL_IDS, Receipt, release_of
from motorcade.gateway.mqtt.retained import RetainedMessages
from motorcade.gateway.mqtt.session import session_key_of
from motorcade.gateway.mqtt.sessions import Sessions, written
from motorcade.gateway.mqtt.store import SessionStore
from motorcade.log.errors import CursorError
from motorcade.log.port import Cursor, Edge, Log, LogReader
from motorcade.log.topics import TOPICS

READ: Final = ROUTED | {Topic.MQTT_SESSIONS}


class Recall:
    """See the module's text."""

    def __init__(
        self,
        log: Log,
        store: SessionStore,
        sessions: Sessions,
        retained: RetainedMessages,
        intakes: list[Intake],
        run: Callable[[Callable[[], Cursor]], Awaitable[Cursor]],
    ) -> None:
        """`run` does what blocks, off the loop."""
        self._log = log
        self._store = store
        self._sessions = sessions
        self._retained = retained
        self._intakes = intakes
        self._run = run
        self._noted: Cursor | None = None

    def restore(self) -> None:
        """Read the log from the last note. Blocks; call it after `Sessions.restore`."""
        self._retained.restore()
        cursor = self._store.load_recall_cursor()
        if not cursor:  # nothing was ever promised
            return
        reader = self._open(Cursor(cursor))
        try:
            while slices := reader.poll(0.0):
                for log_slice in slices:
                    rows = log_slice.batch.rows
                    told = (rows["flags"] & (Flags.QOS_2 | Flags.RETAIN)) != 0
                    for index in np.flatnonzero(told).tolist():
                        self._apply(log_slice.batch.record(index))
        finally:
            reader.close()

    async def note(self) -> None:
        """Write down where we are. Call it at the start, and every second or so."""
        end = await self._run(lambda: self._log.end(READ))
        if end == self._noted:
            return
        for intake in self._intakes:
            await intake.told()  # all that is durable before `end` is known to us
        self._sessions.write_received()
        self._retained.write()
        await written(self._store.put_recall_cursor(end))
        self._noted = end

    def _open(self, cursor: Cursor) -> LogReader:
        try:
            return self._log.reader(READ, cursor)
        except CursorError:  # retention was faster: what is left is what there is
            return self._log.reader(READ, Edge.EARLIEST)

    def _apply(self, record: Record) -> None:
        self._retained.apply(record)
        release = release_of(record)
        if release is not None:
            key, packet_id = release
            session = self._sessions.find(key)
            if session is not None and packet_id == ALL_IDS:
                session.received.clear()
            elif session is not None:
                session.received.pop(packet_id, None)
        else:
            session = self._sessions.find(session_key_of(record))
            if session is not None and record.packet_id:
                session.received[record.packet_id] = Receipt(TOPICS[record.topic].lane)
        if session is not None:
            session.received_changed = True
