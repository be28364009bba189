"""`GET /api/2/vehicles/{id}/history`: what a vehicle said over a span of time, raw or in buckets.

Everything here blocks or computes, so it runs in a thread: commands wait for the loop (P6). What is
told goes through `past_sight.py`. The members are in SI units, as the catalogue has them.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import msgspec
import numpy as np
from litestar import MediaType, Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath
from msgspec import UNSET, Struct, UnsetType

from motorcade.api.counter import AnyRequest, Counter
from motorcade.api.errors import ApiError
from motorcade.api.past_sight import needs_coordinates, told
from motorcade.api.sight import COORDINATES, Sight
from motorcade.config import HistoryConfig
from motorcade.events import VehicleToken
from motorcade.history.buckets import edges_of, numbers_of, words_of
from motorcade.history.errors import (
    HistoryBehindError,
    HistoryBusyError,
    HistoryError,
    HistorySlowError,
    HistoryTooLargeError,
)
from motorcade.history.port import History, Series, Span, Times
from motorcade.signals.catalogue import BY_NAME
from motorcade.signals.samples import NAME_BYTES_MAX, present
from motorcade.signals.signal import Kind

HOUR_US: Final = 3_600_000_000
INSTANT_US_MAX: Final = 253_402_300_799 * 1_000_000  # the last second of the year 9999
SIGNALS_ASKED_MAX: Final = 256
BUCKETS_DEFAULT: Final = 96

_Answer = TypeVar("_Answer")
Value = float | str | bool | None


class SignalHistory(Struct, kw_only=True):
    """One signal. Columns of as many entries as `time_us`; null: nothing was said."""

    unit: str
    value: list[Value] | UnsetType = UNSET  # raw
    min: list[float | None] | UnsetType = UNSET  # in buckets, of numbers alone
    max: list[float | None] | UnsetType = UNSET
    mean: list[float | None] | UnsetType = UNSET
    last: list[Value] | UnsetType = UNSET  # in buckets
    count: list[int] | UnsetType = UNSET


class VehicleHistory(Struct, kw_only=True):
    """Signals without a sample in the span are left out."""

    from_us: int
    to_us: int
    time_us: list[int]  # of each row; of each bucket its begin
    signals: dict[str, SignalHistory]


class FleetTimeline(Struct):
    """Columns of as many entries as buckets; null: no vehicle said anything."""

    from_us: int
    to_us: int
    time_us: list[int]  # of each bucket its begin
    moving: list[int | None]
    alarms: list[int | None]


@dataclass(frozen=True, slots=True)
class Asked:
    """One question."""

    vehicle: VehicleToken
    signals: frozenset[str] | None  # None: all
    span: Span
    buckets: int  # 0: raw
    received_until_us: int | None


@get("/api/2/vehicles/{tag:str}/history")
async def vehicle_history(
    request: AnyRequest, counter: NamedDependency[Counter], tag: FromPath[str]
) -> Response[VehicleHistory]:
    """Every signal in `signals` (a,b; without it, all) from `from_us` until before `to_us`.

    Raw, or in `buckets` of equal length with min, max, mean, last and count. With `at`, as it was
    known at that instant: without what arrived later.
    """
    access, vehicle = counter.admit(request, tag)
    limits = counter.config.history
    asked = Asked(
        vehicle.token,
        read_signals(request),
        read_span(request, counter.clock.now_us(), limits),
        _whole(request, "buckets", 0, 1, limits.buckets_max),
        _instant(request, "at"),
    )
    sight = counter.sight(access, vehicle)
    answer: Any = await answered(counter, lambda history: _encoded(history, asked, sight, limits))
    return Response(answer, status_code=200, media_type=MediaType.JSON)


@get("/api/2/fleet/timeline")
async def fleet_timeline(
    request: AnyRequest, counter: NamedDependency[Counter]
) -> Response[FleetTimeline]:
    """How many of the caller's vehicles moved, and how many raised an alarm, in each bucket."""
    access = counter.allow(request)
    counter.count_app(request, access)
    limits = counter.config.history
    span = read_span(request, counter.clock.now_us(), limits)
    buckets = _whole(request, "buckets", BUCKETS_DEFAULT, 1, limits.buckets_max)
    most = limits.timeline_vehicles_max
    vehicles = await asyncio.to_thread(counter.seen_tokens, access, most)

    def question(history: History) -> FleetTimeline:
        moving_mps = counter.config.dashboard.moving_speed_mps
        found = history.timeline(vehicles, span, buckets, moving_mps=moving_mps)
        begins = edges_of(span, buckets)[:-1].tolist()
        return FleetTimeline(span.from_us, span.until_us, begins, found.moving, found.alarms)

    return Response(await answered(counter, question), status_code=200)


async def answered(counter: Counter, question: Callable[[History], _Answer]) -> _Answer:
    """Ask history in a thread. Raises the 422 and 503 that its errors mean."""
    make = counter.history
    assert make is not None  # roles/api.py gives it; tests of other routes need none
    try:
        return await asyncio.to_thread(lambda: question(make()))
    except HistoryTooLargeError as error:
        raise ApiError(422, "too_large", str(error)) from error
    except (HistoryBehindError, HistoryBusyError) as error:
        raise ApiError(503, "history_busy", str(error), headers={"Retry-After": "1"}) from error
    except HistorySlowError as error:
        raise ApiError(503, "history_slow", str(error)) from error
    except HistoryError as error:
        raise ApiError(503, "history_unavailable", str(error)) from error


def read_signals(request: AnyRequest) -> frozenset[str] | None:
    """The names in `signals`; `None` without it. Raises the 400."""
    text = request.query_params.get("signals")
    if text is None:
        return None
    names = frozenset(name for name in text.split(",") if name)
    too_long = any(len(name.encode("utf-8", "replace")) > NAME_BYTES_MAX for name in names)
    if not names or len(names) > SIGNALS_ASKED_MAX or too_long:
        raise _wrong("signals", f"must be 1 to {SIGNALS_ASKED_MAX} names, separated by commas")
    return names


def read_span(request: AnyRequest, now_us: int, limits: HistoryConfig) -> Span:
    """`from_us` and `to_us`; without them the hour until now. Raises the 400."""
    until_us = _instant(request, "to_us")
    until_us = now_us if until_us is None else until_us
    from_us = _instant(request, "from_us")
    from_us = max(0, until_us - HOUR_US) if from_us is None else from_us
    if from_us >= until_us:
        raise _wrong("from_us", "must be before to_us")
    if until_us - from_us > limits.span_s_max * 1_000_000:
        raise _wrong("to_us", f"must be at most {limits.span_s_max} s after from_us")
    return Span(from_us, until_us)


def asked_series(history: History, asked: Asked, sight: Sight, known_s: float) -> dict[str, Series]:
    """What may be told of what was asked. Raises as `History.read`."""
    until_us = asked.received_until_us
    found = history.read(asked.vehicle, asked.signals, asked.span, received_until_us=until_us)
    coordinates: Mapping[str, Series] = {}
    if needs_coordinates(sight):
        before_us = asked.span.from_us - round(known_s * 1e6)
        span = Span(before_us, asked.span.until_us)
        coordinates = history.read(asked.vehicle, COORDINATES, span, received_until_us=until_us)
    return told(sight, found, coordinates)


def rows_of(histories: Mapping[str, Series]) -> Times:
    """Every instant at which any of them has a sample, rising."""
    if not histories:
        return np.zeros(0, np.int64)
    return np.unique(np.concatenate([series.time_us for series in histories.values()]))


def plain_values(name: str, series: Series, at: Collection[int] | None = None) -> list[Value]:
    """A signal's values as people read them; with `at` those places' alone, -1 giving null."""
    signal, texts = BY_NAME.get(name), dict(series.texts)
    is_plain = signal is not None and signal.kind is Kind.NUMBER
    if at is None and is_plain and not np.isnan(series.value).any():
        numbers: list[Value] = series.value.tolist()
        return numbers
    values = (
        [series.value[place] if place >= 0 else None for place in at]
        if at is not None
        else series.value
    )
    return [None if value is None else present(signal, float(value), texts) for value in values]


def _encoded(history: History, asked: Asked, sight: Sight, limits: HistoryConfig) -> bytes:
    found = asked_series(history, asked, sight, limits.known_s_max)
    if asked.buckets:
        edges = edges_of(asked.span, asked.buckets)
        rows = edges[:-1]
        _check_cells(len(rows) * len(found), limits)
        signals = {name: _in_buckets(name, series, edges) for name, series in found.items()}
    else:
        rows = rows_of(found)
        _check_cells(len(rows) * len(found), limits)
        signals = {name: _raw(name, series, rows) for name, series in found.items()}
    answer = VehicleHistory(
        from_us=asked.span.from_us,
        to_us=asked.span.until_us,
        time_us=rows.tolist(),
        signals=signals,
    )
    return msgspec.json.encode(answer)


def _check_cells(cells: int, limits: HistoryConfig) -> None:
    if cells > limits.cells_max:
        raise HistoryTooLargeError(
            f"the answer would have {cells} values, at most {limits.cells_max} are given: ask for "
            "fewer signals, less time, or for buckets"
        )


def _raw(name: str, series: Series, rows: Times) -> SignalHistory:
    values = plain_values(name, series)
    if len(series) == len(rows):
        return SignalHistory(unit=_unit(name), value=values)
    column: list[Value] = [None] * len(rows)
    places = np.searchsorted(rows, series.time_us).tolist()
    for place, value in zip(places, values, strict=True):
        column[place] = value
    return SignalHistory(unit=_unit(name), value=column)


def _in_buckets(name: str, series: Series, edges: Times) -> SignalHistory:
    signal = BY_NAME.get(name)
    is_number = signal is not None and signal.kind is Kind.NUMBER
    if not is_number and not (signal is None and not _has_words(series)):
        words = words_of(series, edges)
        last = plain_values(name, series, words.last.tolist())
        return SignalHistory(unit=_unit(name), last=last, count=words.count.tolist())
    numbers = numbers_of(series, edges)
    return SignalHistory(
        unit=_unit(name),
        min=_nulls(numbers.low),
        max=_nulls(numbers.high),
        mean=_nulls(numbers.mean),
        last=[*_nulls(numbers.last)],
        count=numbers.count.tolist(),
    )


def _has_words(series: Series) -> bool:
    """Whether texts or booleans are in it: of a signal that no table knows, any may be."""
    bits = series.value[np.isnan(series.value)].view(np.uint64)
    return bool((bits >> np.uint64(48) != 0x7FF8).any())


def _nulls(values: Any) -> list[float | None]:
    return [None if value != value else value for value in values.tolist()]


def _unit(name: str) -> str:
    signal = BY_NAME.get(name)
    return signal.unit if signal is not None else ""


def _instant(request: AnyRequest, name: str) -> int | None:
    text = request.query_params.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 19 and int(text) <= INSTANT_US_MAX):
        raise _wrong(name, "must be microseconds since 1970, UTC")
    return int(text)


def _whole(request: AnyRequest, name: str, default: int, low: int, high: int) -> int:
    text = request.query_params.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 10 and low <= int(text) <= high):
        raise _wrong(name, f"must be a whole number {low} to {high}")
    return int(text)


def _wrong(name: str, text: str) -> ApiError:
    return ApiError(400, "invalid_field", f"{name}: {text}")
