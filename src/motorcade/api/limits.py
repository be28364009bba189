"""What an operator calls too low or too high (`dashboard.limits_file`), signal by signal. No IO.

The catalogue's range is what a sensor can say at all; what a fleet should not do is for those who
run it to say. The page draws these limits and marks what lies beyond.
"""

from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from motorcade.config import ConfigError
from motorcade.signals.catalogue import BY_NAME
from motorcade.signals.samples import NAME_BYTES_MAX

_SETTING = "dashboard.limits_file"


class Limit(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """In the unit in which the API tells the signal; `None`: none on this side."""

    low: float | None = None
    high: float | None = None


NO_LIMIT = Limit()
Limits = Mapping[str, Limit]
"""By the signal's name."""


def read_limits(content: bytes, *, signals_max: int) -> Limits:
    """A file's limits: a JSON object, `{"module_temp_max": {"high": 50}}`, of any signals.

    Raises:
        ConfigError: naming what is wrong.
    """
    name = Annotated[str, Meta(min_length=1, max_length=NAME_BYTES_MAX)]
    try:
        limits: dict[str, Limit] = msgspec.json.decode(content, type=dict[name, Limit])
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise ConfigError(f"{_SETTING}: {error}") from error
    if len(limits) > signals_max:
        raise ConfigError(
            f"{_SETTING}: limits of {len(limits)} signals; at most {signals_max} are read "
            "(dashboard.limits_max): leave some out or raise it"
        )
    for signal, limit in limits.items():
        if limit.low is not None and limit.high is not None and limit.low >= limit.high:
            raise ConfigError(
                f"{_SETTING}: {signal}: low ({limit.low:g}) has to be less than high "
                f"({limit.high:g})"
            )
    return limits


def limits_of(signal: str, limits: Limits) -> Limit:
    """The operator's word on each side where there is one, else the catalogue's range."""
    told, row = limits.get(signal, NO_LIMIT), BY_NAME.get(signal)
    if row is None or row.high <= row.low or row.enum is not None:
        return told
    return Limit(
        low=row.low if told.low is None else told.low,
        high=row.high if told.high is None else told.high,
    )
