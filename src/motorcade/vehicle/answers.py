"""What the car says of commands: from its journal, through its outbox."""

from typing import Final

import msgspec

from motorcade.vehicle.journal import Journal
from motorcade.vehicle.outbox import Outbox
from motorcade.wire.command.answers import write_up
from motorcade.wire.command.messages import Answer, JournalEntry, UpMessage
from motorcade.wire.command.messages import Journal as JournalMessage

RECALLED_CHARACTERS_MAX: Final = 32 << 10  # of responses in one `Journal`, which is read whole
_FINAL: Final = ("executed", "refused", "expired")


class Answers:
    """One car's."""

    def __init__(self, journal: Journal, outbox: Outbox) -> None:
        self._journal, self._outbox = journal, outbox

    def say(self, message: UpMessage) -> None:
        """Tell the cloud, when it can be told."""
        self._outbox.answer(write_up(message))

    def repeat(self, entry: JournalEntry) -> None:
        """Say what the journal knows: an answer if it is an outcome."""
        if entry.state not in _FINAL:
            self.say(JournalMessage(entries=[entry]))
            return
        self.say(
            Answer(
                id=entry.id,
                state=entry.state,
                reason=entry.reason,
                time_us=entry.time_us,
                counter=entry.counter,
                response=entry.response,
            )
        )

    def recall(self, ids: list[str], time_us: int) -> None:
        """Say what became of these. Raises `OSError`.

        The responses of signed commands go with their outcome while there is room. An id that the
        journal does not know gets a tombstone first, of `time_us`.
        """
        room = RECALLED_CHARACTERS_MAX
        entries = []
        for command_id in ids:
            entry = self._find(command_id, time_us)
            if len(entry.response) > room:
                entry = msgspec.structs.replace(entry, response="")
            room -= len(entry.response)
            entries.append(entry)
        self.say(JournalMessage(entries=entries))

    def _find(self, command_id: str, time_us: int) -> JournalEntry:
        known = self._journal.find(command_id)
        if known is not None:
            return known
        return self._journal.write(command_id, "unknown", reason="", time_us=time_us, counter=0)
