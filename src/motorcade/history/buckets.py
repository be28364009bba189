"""Down-sampling on request: a series into equal buckets of time. Gaps stay gaps.

Numbers give min, max, mean, last and count; texts, enums and booleans last and count alone: a mean
of gears is none. A bucket without values has NaN (numbers) or no place (words), and count 0.
"""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from motorcade.history.kernels import bucket_numbers, bucket_words
from motorcade.history.port import Series, Span, Times, Values

Number = TypeVar("Number", np.int64, np.uint64, np.float64)


@dataclass(frozen=True, slots=True)
class Numbers:
    """Columns of as many entries as buckets; NaN and 0 where a bucket is empty."""

    low: Values
    high: Values
    mean: Values
    last: Values
    count: Times


@dataclass(frozen=True, slots=True)
class Words:
    """Where in the series each bucket's last value is, -1 without one; how many it has."""

    last: Times
    count: Times


def edges_of(span: Span, buckets: int) -> Times:
    """The buckets' bounds, one more than there are buckets; exact, whatever the span."""
    length_us = span.until_us - span.from_us
    bounds = [span.from_us + length_us * bucket // buckets for bucket in range(buckets + 1)]
    return np.array(bounds, np.int64)


def numbers_of(series: Series, edges: Times) -> Numbers:
    """A numeric signal in buckets."""
    buckets = len(edges) - 1
    low, high, mean, last = (np.empty(buckets) for _ in range(4))
    count = np.empty(buckets, np.int64)
    times_us, values = owned(series.time_us), owned(series.value)
    bucket_numbers(times_us, values, edges, low, high, mean, last, count)
    return Numbers(low, high, mean, last, count)


def words_of(series: Series, edges: Times) -> Words:
    """A signal of texts, enums or booleans in buckets."""
    buckets = len(edges) - 1
    last, count = np.empty(buckets, np.int64), np.empty(buckets, np.int64)
    bits = owned(series.value).view(np.uint64)
    bucket_words(owned(series.time_us), bits, edges, last, count)
    return Words(last, count)


def owned(column: npt.NDArray[Number]) -> npt.NDArray[Number]:
    """Writable and in one piece: a kernel is compiled anew for any other kind of array."""
    if column.flags.writeable and column.flags.c_contiguous:
        return column
    return column.copy()
