"""The table of signals, against the protobuf library and its own rules."""

import re

from tesla_protocol.telemetry import vehicle_data_pb2 as pb

from motorcade.signals.catalogue import (
    BY_ID,
    BY_NAME,
    COMPONENTS_OF,
    FIELDS,
    HOT_IDS,
    IDS_MAX,
    field_name,
)
from motorcade.signals.enums import ENUM_BY_ALTERNATIVE, ENUMS
from motorcade.signals.kernels import FIELD_TABLE
from motorcade.signals.signal import Kind, Privacy
from motorcade.signals.table import HOT, SIGNALS, TESLA_FIELDS, VSS
from tests.signals.payloads import PARTS


def test_every_field_has_its_number_and_name() -> None:
    theirs = {number: name for name, number in pb.Field.items() if number < FIELDS}
    assert {field.id: field.tesla_field for field in TESLA_FIELDS} == theirs
    assert FIELDS == 260
    assert field_name(259) == "SelfDrivingMilesSinceReset"
    assert field_name(260) == "Field_260"


def test_every_enum_is_as_the_library_has_it() -> None:
    for row in ENUMS:
        theirs = pb.DESCRIPTOR.enum_types_by_name[row.name]
        assert {value.name: value.number for value in theirs.values} == {
            name: number for number, name in enumerate(row.full_names)
        }
        alternative = pb.Value.DESCRIPTOR.fields_by_number[row.alternative]
        assert alternative.enum_type.name == row.name
        assert len(row.numbers) == 2 * len(row.short_names), "no name means two numbers"
    assert len(ENUM_BY_ALTERNATIVE) == len(ENUMS)


def test_ids_and_names_are_used_once() -> None:
    assert len(BY_ID) == len(BY_NAME) == len(SIGNALS)
    assert max(BY_ID) < IDS_MAX
    assert FIELD_TABLE >= FIELDS
    for signal in SIGNALS:
        assert re.fullmatch(r"[a-z][a-z0-9_]*", signal.name), signal.name


def test_components_follow_their_message() -> None:
    alternatives = {Kind.LOCATION: 7, Kind.DOORS: 21, Kind.TIRES: 39}
    for number, parts in COMPONENTS_OF.items():
        names = PARTS[alternatives[TESLA_FIELDS[number].kind]]
        assert tuple(part.component for part in parts) == names
        first = parts[0].id
        assert [part.id for part in parts] == list(range(first, first + len(parts)))


def test_side_tables_name_signals_that_exist() -> None:
    assert set(BY_NAME) >= HOT
    assert set(BY_NAME) >= set(VSS)
    assert len(HOT_IDS) == len(HOT)


def test_ranges_and_scales_make_sense() -> None:
    for signal in SIGNALS:
        assert signal.low <= signal.high
        assert signal.scale > 0
        assert signal.kind is Kind.NUMBER or (signal.scale, signal.unit) == (1.0, "")


def test_where_a_vehicle_is_counts_as_location() -> None:
    for name in ("latitude", "longitude", "destination_name", "route_line", "located_at_home"):
        assert BY_NAME[name].privacy is Privacy.LOCATION
