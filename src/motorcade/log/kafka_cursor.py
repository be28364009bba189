"""A place in the Kafka log: the next offset of every partition, and what `AtTime` still skips."""

import json
from dataclasses import dataclass, field
from typing import Any, Final

from motorcade.log.errors import CursorError
from motorcade.log.port import Cursor

_PREFIX: Final = b"kafka1:"


@dataclass(slots=True)
class Place:
    """Where a reader stands. Partitions it does not name are read from their start."""

    offsets: dict[str, list[int]] = field(default_factory=dict)
    at_us: int | None = None  # of `AtTime`
    begun: dict[str, list[bool]] = field(default_factory=dict)  # ... whose first record has come

    def to_cursor(self) -> Cursor:
        """Write the place down."""
        words: dict[str, Any] = {"offsets": self.offsets}
        if self.at_us is not None:
            words |= {"at_us": self.at_us, "begun": self.begun}
        return Cursor(_PREFIX + json.dumps(words, sort_keys=True, separators=(",", ":")).encode())

    @staticmethod
    def of_cursor(cursor: Cursor) -> "Place":
        """Read a place back.

        Raises:
            CursorError: these bytes were not made by `to_cursor`.
        """
        if not cursor.startswith(_PREFIX):
            raise CursorError(f"{cursor[:40]!r} is not a cursor of the Kafka log: start anew")
        try:
            words = json.loads(cursor[len(_PREFIX) :])
            place = Place(words["offsets"], words.get("at_us"), words.get("begun", {}))
            for row in place.offsets.values():
                if not all(isinstance(offset, int) and offset >= 0 for offset in row):
                    raise ValueError("an offset is no count")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise CursorError(f"{cursor[:40]!r}... is a damaged cursor: {error}") from error
        return place
