"""Exported files say what history says: read back by others, cut anywhere, with gaps."""

import csv
import io
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motorcade.history import export
from motorcade.history.errors import HistoryTooLargeError
from motorcade.history.export import exported
from motorcade.history.formats import Format
from motorcade.history.port import Series, Span
from tests.history.deployment import CONFIG, EVER, Deployment, oracle
from tests.state.records import FLEET, START_US, signals

SPAN = Span(START_US, START_US + 100)
GPX = "{http://www.topografix.com/GPX/1/1}"
EXTENSION = "{http://www.garmin.com/xmlschemas/TrackPointExtension/v2}"
texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=5)
values = st.one_of(st.none(), st.booleans(), st.integers(-9, 9), st.floats(-1e9, 1e9), texts)
NAMES = ["soc", "vehicle_speed", "own", "a,b", "note", "gear", "sentry_mode"]
said = st.builds(
    lambda time, values: signals(FLEET[0], time, **values),
    st.integers(0, 99),
    st.dictionaries(st.sampled_from(NAMES), values, min_size=1),
)


def made(
    deployment: Deployment,
    format_: Format,
    signals: frozenset[str] | None = None,
    rows_max: int = 99,
) -> bytes:
    history = deployment.history()

    def read(names: frozenset[str] | None, span: Span) -> Mapping[str, Series]:
        found = history.read(FLEET[0], names, span)
        if sum(map(len, found.values())) > rows_max:
            raise HistoryTooLargeError("ask for less")
        return found

    pieces = exported(format_, read, SPAN, signals, title="A <car> & more\x01", gap_us=10)
    return b"".join(pieces)


def as_text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return value if isinstance(value, str) else ""


def iso(time_us: int) -> str:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=time_us)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


@settings(max_examples=25, deadline=None)
@given(st.lists(said, max_size=20))
def test_a_table_says_what_history_says(
    tmp_path_factory: pytest.TempPathFactory, records: list[Any]
) -> None:
    deployment = Deployment(tmp_path_factory.mktemp("export"), CONFIG)
    deployment.append(records)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export, "PIECE_US", 7)
        patch.setattr(export, "PIECE_US_MIN", 1)
        text = made(deployment, Format.CSV, rows_max=7).decode()
        table = pq.read_table(io.BytesIO(made(deployment, Format.PARQUET, rows_max=7)))
    known = oracle(records, FLEET[0])
    rows: dict[int, dict[str, Any]] = {}
    for name, samples in known.items():
        for time_us, _, value in samples:
            rows.setdefault(time_us, {})[name] = value
    header, *lines = csv.reader(io.StringIO(text, newline=""))
    assert text.endswith("\r\n")
    names = [head.split(" [")[0] for head in header]
    assert [line[0] for line in lines] == [iso(time_us) for time_us in sorted(rows)]
    assert table.column_names == names
    for place, (time_us, line) in enumerate(zip(sorted(rows), lines, strict=True)):
        for name, cell in zip(names[1:], line[1:], strict=True):
            value, typed = rows[time_us].get(name), table.column(name)[place].as_py()
            if isinstance(value, float):
                assert float(cell) == float(typed) == value
            else:
                assert cell == as_text(value)
                assert typed == value or str(typed) == as_text(value)
    deployment.close()


def test_units_are_in_the_header_and_in_the_fields(tmp_path: Path) -> None:
    deployment = Deployment(tmp_path)
    deployment.append([signals(FLEET[0], 5, vehicle_speed=7.5, gear="D", own=1)])
    head, line = made(deployment, Format.CSV).decode().splitlines()
    assert head == "time,gear,own,vehicle_speed [m/s]"
    assert line == f'"{iso(START_US + 5)}","D",1,7.5'
    assert made(deployment, Format.CSV, frozenset({"own"})).decode().splitlines()[0] == "time,own"
    assert made(deployment, Format.CSV, frozenset({"soc"})) == b"time\r\n"
    schema = pq.read_schema(io.BytesIO(made(deployment, Format.PARQUET)))
    assert [str(kind) for kind in schema.types] == [
        "timestamp[us, tz=UTC]", "string", "double", "double",
    ]  # fmt: skip
    assert schema.field("vehicle_speed").metadata[b"unit"] == b"m/s"
    assert json.loads(schema.metadata[b"units"])["vehicle_speed"] == "m/s"
    deployment.close()


def test_a_track_breaks_at_gaps_and_follows_the_schema(tmp_path: Path) -> None:
    deployment = Deployment(tmp_path)
    drive = [
        signals(FLEET[0], time, latitude=60 + time / 100, longitude=180, vehicle_speed=time)
        for time in (1, 5, 9, 40, 45)
    ]
    around = signals(FLEET[0], 45, altitude=12.5, gps_heading=360)
    deployment.append([*drive, around, signals(FLEET[0], 46, latitude=61)])
    tree = ElementTree.fromstring(made(deployment, Format.GPX))
    assert (tree.tag, tree.get("version"), tree.get("creator")) == (GPX + "gpx", "1.1", "Motorcade")
    (track,) = tree
    assert [child.tag for child in track] == [GPX + "name", GPX + "trkseg", GPX + "trkseg"]
    assert track[0].text == "A <car> & more"
    assert [len(segment) for segment in track[1:]] == [3, 2]
    last = track[2][1]
    assert last.attrib == {"lat": "60.450000000", "lon": "-180.000000000"}
    assert [child.tag for child in last] == [GPX + "ele", GPX + "time", GPX + "extensions"]
    assert (last[0].text, last[1].text) == ("12.5", iso(START_US + 45))
    told = [(child.tag, child.text) for child in last[2][0]]
    assert told == [(EXTENSION + "speed", "45"), (EXTENSION + "course", "0")]
    deployment.close()


@pytest.mark.parametrize("format_", list(Format))
def test_nothing_is_a_whole_file_too(tmp_path: Path, format_: Format) -> None:
    deployment = Deployment(tmp_path)
    data = made(deployment, format_)
    if format_ is Format.GPX:
        assert [child.tag for child in ElementTree.fromstring(data)[0]] == [GPX + "name"]
    elif format_ is Format.CSV:
        assert data == b"time\r\n"
    else:
        assert pq.read_table(io.BytesIO(data)).shape == (0, 1)
    assert deployment.history().extent() is None
    deployment.close()


def test_the_extent_is_of_files_and_tail(tmp_path: Path) -> None:
    deployment = Deployment(tmp_path)
    deployment.append([signals(FLEET[0], 5, soc=1)])
    writer = deployment.history_writer()
    writer.read_on()
    writer.flush()
    deployment.append([signals(FLEET[1], 9, soc=1)])
    history = deployment.history()
    assert history.extent() == Span(START_US + 5, START_US + 10)
    assert len(history.read(FLEET[0], None, EVER)["soc"]) == 1
    deployment.close()
