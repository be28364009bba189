"""A place in the Kafka log: the next offset of every partition, and what `AtTime` still skips."""

from dataclasses import dataclass, field
from typing import Annotated, Final

import msgspec

from motorcade.log.errors import CursorError
from motorcade.log.port import Cursor

_PREFIX: Final = b"kafka1:"
_Offset = Annotated[int, msgspec.Meta(ge=0)]


@dataclass(slots=True)
class Place:
    """Where a reader stands. Partitions it does not name are read from their start."""

    offsets: dict[str, list[_Offset]] = field(default_factory=dict)  # by Kafka topic
    at_us: int | None = None  # of `AtTime`
    begun: dict[str, list[bool]] = field(default_factory=dict)  # ... whose first record has come

    def to_cursor(self) -> Cursor:
        """Write the place down, the same bytes for the same place."""
        return Cursor(_PREFIX + _ENCODER.encode(self))

    @staticmethod
    def of_cursor(cursor: Cursor) -> "Place":
        """Read a place back.

        Raises:
            CursorError: these bytes were not made by `to_cursor`.
        """
        if not cursor.startswith(_PREFIX):
            raise CursorError(f"{cursor[:40]!r} is not a cursor of the Kafka log: start anew")
        try:
            place = _DECODER.decode(cursor[len(_PREFIX) :])
        except ValueError as error:  # msgspec's own, and bytes that are not UTF-8
            raise CursorError(f"{cursor[:40]!r}... is damaged, {error}: start anew") from error
        sizes = {topic: len(row) for topic, row in place.offsets.items()}
        if any(sizes.get(topic) != len(row) for topic, row in place.begun.items()):
            raise CursorError(f"{cursor[:40]!r}... contradicts itself: start anew")
        return place


_ENCODER: Final = msgspec.json.Encoder(order="sorted")
_DECODER: Final = msgspec.json.Decoder(Place)
