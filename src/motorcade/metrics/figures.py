"""Figures: what a process says about itself at one moment, and the row of the table behind each."""

from enum import Enum
from typing import NamedTuple

import msgspec

from motorcade.counts import Histogram


class Kind(Enum):
    """The types of Prometheus."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Metric(NamedTuple):
    """A row of the table."""

    name: str  # by convention: `_total` for counters, the unit as last word
    kind: Kind
    unit: str  # "" where things are counted
    help: str
    labels: tuple[str, ...] = ()  # of our words alone: no vehicle, account or address


class Spread(msgspec.Struct, array_like=True, frozen=True):
    """A histogram at one moment: counts per bucket, the last one above all bounds."""

    bounds: list[float]
    counts: list[int]
    total: float


class Figure(msgspec.Struct, array_like=True, frozen=True):
    """One value of one metric."""

    name: str
    value: float | Spread
    labels: list[str] = []


def spread(histogram: Histogram) -> Spread:
    """A histogram as it stands."""
    return Spread(list(histogram.bounds), list(histogram.counts), histogram.total)
