"""Chance that is a function: the same seed, index and name give the same number, in any order.

So a site that was off, or is replayed from an older state, lives the same weather and the same
evenings again. SplitMix64 (Steele, Lea, Flood 2014) over the three. No IO.
"""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)


def uniform(
    seed: npt.NDArray[np.uint64], index: npt.NDArray[Any], name: int
) -> npt.NDArray[np.float64]:
    """Numbers in [0, 1), one per element; `name` keeps different chances apart."""
    with np.errstate(over="ignore"):
        value = _mix(seed + np.uint64(name) * _GOLDEN)
        value = _mix(value ^ (index.astype(np.int64).view(np.uint64) * _GOLDEN))
    return (value >> np.uint64(11)).astype(np.float64) / float(1 << 53)


def _mix(value: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    value = value + _GOLDEN
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))
