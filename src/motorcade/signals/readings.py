"""A reading: what a payload of JSON or packed samples says about one instant."""

from typing import NamedTuple

Scalar = None | bool | int | float | str


class Reading(NamedTuple):
    time_us: int | None  # None: the payload gives none, the record's event time stands
    signals: dict[str, Scalar]
    rejected: int = 0  # values left out: nested, or under a name that is no name
