"""Questions across vehicles, by DuckDB over the column files, the log's tail as one more table.

DuckDB is loaded when somebody asks, runs on one thread of its own with its memory limited, and is
interrupted after `history.query_s_max`. It reads nothing but the files that it is given and loads
no extension.
"""

import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import duckdb
import numpy as np
import pyarrow as pa

from motorcade.config import HistoryConfig
from motorcade.events import VehicleToken, unpack_token
from motorcade.history.errors import HistoryDamagedError, too_slow
from motorcade.history.layout import NUMBER, TIME, VEHICLE, column_name
from motorcade.history.port import Span, Timeline
from motorcade.history.reading import LogReading
from motorcade.history.runs import ALARMS, SPEED
from motorcade.history.samples import Samples

AGAIN_S: Final = 0.05

_LONG: Final = pa.schema(
    [(VEHICLE, pa.string()), (TIME, pa.int64()), ("moving", pa.bool_()), ("alarm", pa.bool_())]
)
_TIMELINE: Final = """
WITH said AS ({sources}),
placed AS (
    SELECT vehicle, moving, alarm,
        ((time_us - $from_us + 1) * $buckets + $length_us - 1) // $length_us - 1 AS bucket
    FROM said
    WHERE time_us >= $from_us AND time_us < $until_us {own}
)
SELECT bucket, count(DISTINCT vehicle) FILTER (moving), count(DISTINCT vehicle) FILTER (alarm)
FROM placed GROUP BY bucket
"""
_OWN: Final = "AND vehicle IN (SELECT token FROM own)"


def timeline(
    paths: Sequence[Path],
    tail: tuple[Sequence[Samples], LogReading],
    vehicles: Collection[VehicleToken] | None,
    span: Span,
    buckets: int,
    moving_mps: float,
    limits: HistoryConfig,
) -> Timeline:
    """See `History.timeline`. Raises `HistorySlowError`, `HistoryDamagedError`, `OSError`."""
    with connected(limits) as asked:
        asked.register("tail", _long(tail, span, moving_mps))
        sources = ["SELECT * FROM tail"]
        if paths:
            sources.append(_files(asked, paths, moving_mps))
        if vehicles is not None:
            asked.register("own", pa.table({"token": pa.array(sorted(vehicles), pa.string())}))
        own = "" if vehicles is None else _OWN
        told = {
            "from_us": span.from_us,
            "until_us": span.until_us,
            "length_us": span.until_us - span.from_us,
            "buckets": buckets,
        }
        text = _TIMELINE.format(sources=" UNION ALL ".join(sources), own=own)
        found = asked.execute(text, told).fetchall()
    moving: list[int | None] = [None] * buckets
    alarms: list[int | None] = [None] * buckets
    for bucket, cars, alarming in found:
        moving[bucket], alarms[bucket] = cars, alarming
    return Timeline(moving, alarms)


@contextmanager
def connected(limits: HistoryConfig) -> Iterator[Any]:
    """A DuckDB of its own within the limits. Raises history's errors for DuckDB's."""
    settings: dict[str, Any] = {
        "threads": 1,
        "memory_limit": f"{limits.query_bytes_max}B",
        "temp_directory": "",
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }
    connection = duckdb.connect(":memory:", config=settings)
    done = threading.Event()

    def watch() -> None:
        """Again and again: who is interrupted between two statements begins the next one."""
        wait_s = limits.query_s_max
        while not done.wait(wait_s):
            connection.interrupt()
            wait_s = AGAIN_S

    watcher = threading.Thread(target=watch, name="history-limit", daemon=True)
    watcher.start()
    try:
        yield connection
    except (duckdb.InterruptException, duckdb.OutOfMemoryException) as error:
        raise too_slow(limits) from error
    except duckdb.IOException as error:
        raise FileNotFoundError(str(error)) from error  # merged meanwhile: asked again
    except duckdb.Error as error:
        raise HistoryDamagedError(f"history cannot be read: {error}") from error
    finally:
        done.set()
        watcher.join()
        connection.close()


def _files(asked: Any, paths: Sequence[Path], moving_mps: float) -> str:
    """What the files say, as the tail's columns. Of signals that no file has, nothing is asked."""
    names = [str(path) for path in paths]
    there = asked.execute("SELECT DISTINCT name FROM parquet_schema($1)", [names]).fetchall()
    columns = {name for (name,) in there}
    speed = column_name(NUMBER, SPEED)
    moving = f'"{speed}" > {moving_mps!r}' if speed in columns else "false"
    alarms = [
        f'"{column}" = {value!r}'
        for name, value in ALARMS.items()
        if (column := column_name(NUMBER, name)) in columns
    ]
    # Comparisons with null are null, NaN is above all numbers for DuckDB: "unavailable" moves not.
    listed = ", ".join("'" + name.replace("'", "''") + "'" for name in names)
    if speed in columns:
        moving = f'coalesce({moving} AND NOT isnan("{speed}"), false)'
    alarm = " OR ".join(f"coalesce({each}, false)" for each in alarms) or "false"
    return (
        f"SELECT vehicle, time_us, {moving} AS moving, {alarm} AS alarm "
        f"FROM read_parquet([{listed}], union_by_name = true)"
    )


def _long(tail: tuple[Sequence[Samples], LogReading], span: Span, moving_mps: float) -> pa.Table:
    """The tail's samples, a row each."""
    parts, reading = tail
    tables = []
    for part in parts:
        at = np.flatnonzero((part.time_us >= span.from_us) & (part.time_us < span.until_us))
        ids, place = np.unique(part.signal[at], return_inverse=True)
        names = [reading.name_of(number) for number in ids.tolist()]
        is_speed = np.array([name == SPEED for name in names], np.bool_)
        alarming = np.array([ALARMS.get(name, np.nan) for name in names])
        value = part.value[at]
        columns = {
            VEHICLE: _tokens(part, at),
            TIME: pa.array(part.time_us[at]),
            "moving": pa.array(is_speed[place] & (value > moving_mps)) if len(at) else [],
            "alarm": pa.array(value == alarming[place]) if len(at) else [],
        }
        tables.append(pa.table(columns, schema=_LONG))
    return pa.concat_tables([_LONG.empty_table(), *tables])


def _tokens(part: Samples, at: Any) -> pa.Array:
    record = part.record[at]
    pairs = np.stack((part.high[record], part.low[record]), axis=1)
    known, place = np.unique(pairs, axis=0, return_inverse=True)
    words = pa.array([unpack_token(int(high), int(low)) for high, low in known], pa.string())
    places = pa.array(place.reshape(-1).astype(np.int32))
    return pa.DictionaryArray.from_arrays(places, words).dictionary_decode()
