"""A vehicle's history as a file: CSV, GPX or Parquet, made piece by piece. No IO of its own.

CSV is RFC 4180: UTF-8, CRLF, a header with each signal's unit; times are ISO 8601, UTC. GPX is 1.1,
a track whose segments end at gaps; speed and course as Garmin's TrackPointExtension v2 has them,
which most programs read. Parquet has a typed column for each signal, its unit in the field's
metadata, and all units as JSON in the file's (`units`) for programs that see only that.

An hour is in memory at once, whatever the span. A signal without a sample in it has no column.
"""

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final
from xml.sax.saxutils import escape

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq

from motorcade.history.errors import HistoryTooLargeError
from motorcade.history.formats import Format
from motorcade.history.port import Series, Span, Times
from motorcade.signals.catalogue import BY_NAME
from motorcade.signals.samples import present
from motorcade.signals.signal import Kind

PIECE_US: Final = 3_600_000_000  # as long as history's files: each is opened once
PIECE_US_MIN: Final = 1_000_000  # shorter ones are not tried
EXACT: Final = float(1 << 53)
TRACK: Final = ("latitude", "longitude", "altitude", "vehicle_speed", "gps_heading")
_TYPES: Final = {Kind.NUMBER: pa.float64(), Kind.BOOLEAN: pa.bool_(), Kind.TEXT: pa.string()}
_INSTANT: Final = pa.timestamp("us", "UTC")
_GPX: Final = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<gpx version="1.1" creator="Motorcade" xmlns="http://www.topografix.com/GPX/1/1"'
    ' xmlns:gpxtpx="http://www.garmin.com/xmlschemas/TrackPointExtension/v2">\n'
)


Read = Callable[[frozenset[str] | None, Span], Mapping[str, Series]]
"""What may be told of these signals (`None`: all) over a span. Raises as `History.read`."""

Columns = dict[str, Kind]
"""The signals of a table: NUMBER, BOOLEAN or TEXT."""


def exported(
    format_: Format,
    read: Read,
    span: Span,
    signals: frozenset[str] | None,
    *,
    title: str,
    gap_us: int,
) -> Iterator[bytes]:
    """The file, a piece at a time. `title` and `gap_us`, after which a segment ends, are a track's.

    Raises:
        HistoryError: as `read` does, in the middle of the file, too.
    """
    if format_ is Format.GPX:
        return _track(read, span, title, gap_us)
    columns = columns_of(read, span, signals)
    tables = (table_of(found, columns) for found in _pieces(read, frozenset(columns), span))
    return _csv(tables, columns) if format_ is Format.CSV else _parquet(tables, columns)


def columns_of(read: Read, span: Span, signals: frozenset[str] | None) -> Columns:
    """The signals that have a sample in the span, and what a column of each holds."""
    said: dict[str, set[Kind]] = {}
    for piece in _pieces(read, signals, span):
        for name, series in piece.items():
            said.setdefault(name, set()).update(_kinds(name, series))
    return {
        name: kinds.pop() if len(kinds) == 1 else Kind.TEXT for name, kinds in sorted(said.items())
    }


def table_of(found: Mapping[str, Series], columns: Columns) -> pa.Table:
    """A row for each instant at which any of the signals has a sample."""
    there = [series.time_us for series in found.values()]
    rows = np.unique(np.concatenate(there)) if there else np.zeros(0, np.int64)
    arrays = [pa.array(rows).cast(_INSTANT)]
    for name, kind in columns.items():
        series = found.get(name)
        empty = pa.nulls(len(rows), _TYPES[kind])
        arrays.append(empty if series is None else _array(name, kind, series, rows))
    return pa.table(arrays, schema=_schema(columns))


def unit_of(name: str) -> str:
    """Of a signal's values; "" for a name that a vehicle made up."""
    signal = BY_NAME.get(name)
    return signal.unit if signal is not None else ""


def _pieces(
    read: Read, signals: frozenset[str] | None, span: Span
) -> Iterator[Mapping[str, Series]]:
    begin_us = span.from_us
    while begin_us < span.until_us:
        end_us = min(span.until_us, (begin_us // PIECE_US + 1) * PIECE_US)
        yield from _piece(read, signals, Span(begin_us, end_us))
        begin_us = end_us


def _piece(
    read: Read, signals: frozenset[str] | None, span: Span
) -> Iterator[Mapping[str, Series]]:
    """What a question may ask for at once, in halves if need be."""
    try:
        found = read(signals, span)
    except HistoryTooLargeError:
        middle_us = (span.from_us + span.until_us) // 2
        if span.until_us - span.from_us < PIECE_US_MIN:
            raise
        yield from _piece(read, signals, Span(span.from_us, middle_us))
        yield from _piece(read, signals, Span(middle_us, span.until_us))
        return
    yield found


def _schema(columns: Columns) -> pa.Schema:
    fields = [pa.field("time", _INSTANT, metadata={"unit": "UTC"})]
    fields += [
        pa.field(name, _TYPES[kind], metadata={"unit": unit_of(name)})
        for name, kind in columns.items()
    ]
    units = json.dumps({name: unit_of(name) for name in columns})
    return pa.schema(fields, metadata={"units": units})


def _kinds(name: str, series: Series) -> set[Kind]:
    """What these values are; nothing of those that are unavailable."""
    signal = BY_NAME.get(name)
    if signal is not None and signal.enum is not None:
        return {Kind.TEXT}
    if signal is not None and signal.kind is Kind.NUMBER and not np.isnan(series.value).any():
        return {Kind.NUMBER}
    kinds = {float: Kind.NUMBER, bool: Kind.BOOLEAN}
    words = _words(name, series)[0]
    return {kinds.get(type(word), Kind.TEXT) for word in words if word is not None}


def _words(name: str, series: Series) -> tuple[list[Any], npt.NDArray[np.int32]]:
    """The different values as people read them, and which of them each sample has."""
    bits, places = np.unique(series.value.view(np.uint64), return_inverse=True)
    signal, texts = BY_NAME.get(name), dict(series.texts)
    values = bits.view(np.float64)
    words = [present(signal, float(value), texts) for value in values]
    return words, places.reshape(-1).astype(np.int32)


def _array(name: str, kind: Kind, series: Series, rows: Times) -> pa.Array:
    at = np.searchsorted(rows, series.time_us)
    if kind is Kind.NUMBER:
        numbers = np.full(len(rows), np.nan)
        numbers[at] = series.value
        return pa.array(numbers, mask=np.isnan(numbers))
    words, places = _words(name, series)
    if kind is Kind.TEXT:
        words = [None if word is None else _text(word) for word in words]
    else:
        words = [word if isinstance(word, bool) else None for word in words]
    index, missing = np.zeros(len(rows), np.int32), np.ones(len(rows), np.bool_)
    index[at], missing[at] = places, False
    return pa.array(words, _TYPES[kind]).take(pa.array(index, mask=missing))


def _text(word: Any) -> str:
    if isinstance(word, bool):
        return "true" if word else "false"
    if isinstance(word, float):
        return str(int(word)) if word.is_integer() and abs(word) < EXACT else repr(word)
    return str(word)


def _csv(tables: Iterator[pa.Table], columns: Columns) -> Iterator[bytes]:
    units = [f" [{unit}]" if (unit := unit_of(name)) else "" for name in columns]
    header = ["time", *(name + unit for name, unit in zip(columns, units, strict=True))]
    told = io.StringIO(newline="")
    csv.writer(told).writerow(header)
    yield told.getvalue().encode()
    options = arrow_csv.WriteOptions(include_header=False, eol="\r\n", quoting_style="needed")
    for table in tables:
        sink = io.BytesIO()
        arrow_csv.write_csv(_with_text(table), sink, options)
        yield sink.getvalue()


def _with_text(table: pa.Table) -> pa.Table:
    """With times as text."""
    instants = table.column(0).cast(pa.timestamp("us"))
    return table.set_column(0, "time", pc.strftime(instants, format="%Y-%m-%dT%H:%M:%SZ"))


class _Sink:
    """What Arrow takes for a file; holds what was written until it is taken."""

    closed = False

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._written = 0

    def write(self, data: bytes) -> int:
        self._parts.append(bytes(data))
        self._written += len(data)
        return len(data)

    def tell(self) -> int:
        return self._written

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        """Nothing to release."""

    def taken(self) -> bytes:
        parts, self._parts = self._parts, []
        return b"".join(parts)


def _parquet(tables: Iterator[pa.Table], columns: Columns) -> Iterator[bytes]:
    sink = _Sink()
    writer = pq.ParquetWriter(
        pa.PythonFile(sink, mode="w"), _schema(columns), compression="zstd", store_schema=True
    )
    for table in tables:
        if len(table):
            writer.write_table(table)
            yield sink.taken()
    writer.close()
    yield sink.taken()


def _track(read: Read, span: Span, title: str, gap_us: int) -> Iterator[bytes]:
    yield f"{_GPX}<trk><name>{_xml(title)}</name>\n".encode()
    last_us: int | None = None
    for found in _pieces(read, frozenset(TRACK), span):
        parts: list[str] = []
        for time_us, point in _points(found):
            if last_us is None or time_us - last_us > gap_us:
                parts.append("<trkseg>\n" if last_us is None else "</trkseg>\n<trkseg>\n")
            parts.append(point)
            last_us = time_us
        if parts:
            yield "".join(parts).encode()
    end = "" if last_us is None else "</trkseg>\n"
    yield f"{end}</trk>\n</gpx>\n".encode()


def _points(found: Mapping[str, Series]) -> Iterator[tuple[int, str]]:
    """Time and element of each point."""
    if not {"latitude", "longitude"} <= found.keys():
        return
    north, east = found["latitude"], found["longitude"]
    times, at_north, at_east = np.intersect1d(
        north.time_us, east.time_us, assume_unique=True, return_indices=True
    )
    latitudes, longitudes = north.value[at_north], east.value[at_east]
    longitudes = np.where(longitudes == 180, -180.0, longitudes)  # GPX: less than 180
    good = (np.abs(latitudes) <= 90) & (np.abs(longitudes) <= 180)
    times, latitudes, longitudes = times[good], latitudes[good], longitudes[good]
    instants = pc.strftime(pa.array(times).cast(pa.timestamp("us")), format="%Y-%m-%dT%H:%M:%SZ")
    height, speed, course = (_at(found.get(name), times) for name in TRACK[2:])
    columns = [column.tolist() for column in (times, latitudes, longitudes, height, speed, course)]
    for instant, *row in zip(instants.to_pylist(), *columns, strict=True):
        time_us, latitude, longitude, metres, metres_per_s, degrees = row
        elevation = f"<ele>{metres:.6g}</ele>" if metres == metres else ""
        more = f"<gpxtpx:speed>{metres_per_s:.6g}</gpxtpx:speed>" if metres_per_s >= 0 else ""
        if 0 <= degrees <= 360:
            more += f"<gpxtpx:course>{degrees % 360:.6g}</gpxtpx:course>"
        if more:
            inside = f"<gpxtpx:TrackPointExtension>{more}</gpxtpx:TrackPointExtension>"
            more = f"<extensions>{inside}</extensions>"
        place = f'lat="{latitude:.9f}" lon="{longitude:.9f}"'
        yield time_us, f"<trkpt {place}>{elevation}<time>{instant}</time>{more}</trkpt>\n"


def _at(series: Series | None, times: Times) -> npt.NDArray[np.float64]:
    """The values of just these instants, NaN where there is none."""
    values = np.full(len(times), np.nan)
    if series is not None:
        _, at, own = np.intersect1d(times, series.time_us, assume_unique=True, return_indices=True)
        values[at] = series.value[own]
    return values


def _xml(text: str) -> str:
    """Text as XML 1.0 has it: escaped, without what it cannot say."""
    return escape("".join(char for char in text if char >= " " and not "\ud800" <= char < "\ue000"))
