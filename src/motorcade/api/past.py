"""`at=` and `mode=` of a query: which past instant a read is of, and its state.

`at` is an instant of ISO 8601 with its zone, or microseconds since 1970; `mode` is `arrived` (the
default: what live state showed then) or `corrected` (what is known of it now). Whose state it is
and what of it may be told is judged as for live reads, by today's rights and zones.
"""

import asyncio
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from motorcade.api.counter import AnyRequest, Counter
from motorcade.api.errors import ApiError, retry_later
from motorcade.state.errors import PastBusyError, PastError, PastInstantError
from motorcade.state.port import Mode

TEXT_MAX: Final = 40
BUSY_RETRY_S: Final = 2
INSTANT_US_MAX: Final = 253_402_300_799 * 1_000_000  # the last second of the year 9999
_DIGITS_MIN: Final = 13  # of µs: fewer are seconds or ms by mistake, or lie in January 1970


@dataclass(frozen=True, slots=True)
class Instant:
    """What a query asks for."""

    at_us: int
    mode: Mode


def read_instant(request: AnyRequest) -> Instant | None:
    """Of the query's `at` and `mode`; `None`: live. Raises the 400."""
    at, mode = (request.query_params.get(name) for name in ("at", "mode"))
    if at is None and mode is not None:
        raise ApiError(400, "invalid_field", "mode: only together with at")
    return None if at is None else Instant(instant_us(at), read_mode(mode))


def read_mode(word: str | None) -> Mode:
    """Raises the 400."""
    try:
        return Mode.ARRIVED if word is None else Mode(word)
    except ValueError as error:
        raise ApiError(400, "invalid_field", "mode: must be arrived or corrected") from error


def instant_us(text: str) -> int:
    """Microseconds since 1970. Raises the 400."""
    said = 'at: must be an instant such as 2026-11-26T16:00:00Z ("+" as %2B), or µs since 1970'
    if text.isascii() and text.isdigit() and _DIGITS_MIN <= len(text) < TEXT_MAX:
        time_us = int(text)
    else:
        try:
            moment = datetime.fromisoformat(text) if len(text) <= TEXT_MAX else None
        except ValueError:
            moment = None
        if moment is None or moment.tzinfo is None:
            raise ApiError(400, "invalid_field", said)
        time_us = _us(moment)
    if not 0 <= time_us <= INSTANT_US_MAX:
        raise ApiError(400, "invalid_field", said)
    return time_us


def _us(moment: datetime) -> int:
    return round(moment.replace(microsecond=0).timestamp()) * 1_000_000 + moment.microsecond


async def past_state(counter: Counter, instant: Instant) -> Any:
    """The state of that instant, a `PastView` that others may read as well.

    Raises:
        ApiError: 400 for an instant that there is no state of, 503 for too many or too slow.
    """
    if counter.past is None:
        raise ApiError(503, "past_unavailable", "this server keeps no past")
    try:
        return await asyncio.wrap_future(counter.past.submit(instant.at_us, instant.mode))
    except PastError as error:
        raise refused(error) from error


def refused(error: PastError) -> ApiError:
    """The answer to an instant that cannot be shown."""
    if isinstance(error, PastInstantError):
        return ApiError(400, "invalid_field", f"at: {error}")
    if isinstance(error, PastBusyError):
        return retry_later(BUSY_RETRY_S, str(error))
    return ApiError(503, "past_unavailable", str(error))
