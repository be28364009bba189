"""Typed and string forms of a value become the same stored value, for every Field there is."""

import math

import pytest

from motorcade.signals.catalogue import BY_NAME, COMPONENTS_OF, TESLA_FIELDS
from motorcade.signals.signal import Kind, Signal
from motorcade.signals.tesla import Datum, EnumNumber, Part, WireValue
from motorcade.signals.values import Stored, read_stored, read_value, samples_of, shown

DOORS: dict[str, Part] = {
    "DriverFront": True,
    "DriverRear": False,
    "PassengerFront": False,
    "PassengerRear": False,
    "TrunkFront": False,
    "TrunkRear": True,
}


def forms_of(field: Signal) -> list[tuple[WireValue, str]]:
    """(typed, string) pairs that mean the same."""
    if field.enum is not None:
        forms: list[tuple[WireValue, str]] = []
        for number, (short, full) in enumerate(
            zip(field.enum.short_names, field.enum.full_names, strict=True)
        ):
            typed = EnumNumber(field.enum.alternative, number)
            forms += [(typed, short), (typed, full)]
            forms.append((field.enum.short_names.index("Unknown"), "Unknown"))
        return forms
    if field.kind is Kind.LOCATION:
        north_west: WireValue = {"latitude": 37.412374, "longitude": -122.145867}
        south_east: WireValue = {"latitude": -1.5, "longitude": 0.25}
        return [(north_west, "(37.412374 N, 122.145867 W)"), (south_east, "(1.5 S, 0.25 E)")]
    if field.kind is Kind.DOORS:
        return [(DOORS, "DriverFront|TrunkRear"), (dict.fromkeys(DOORS, False), "")]
    if field.kind is Kind.TIRES:
        names = [part.component for part in COMPONENTS_OF[field.id]]
        return [({name: name == names[2] for name in names}, names[2])]
    numbers: list[tuple[WireValue, str]] = [(12, "12"), (-0.5, "-0.5"), (0.0215, "2.15e-2")]
    booleans: list[tuple[WireValue, str]] = [(True, "true"), (False, "False")]
    times: list[tuple[WireValue, str]] = [({"hour": 7, "minute": 5, "second": 9}, "07:05:09")]
    return {
        Kind.NUMBER: numbers + booleans + times,
        Kind.BOOLEAN: booleans + numbers,
        Kind.ANY: numbers + booleans,
        Kind.TEXT: [(12, "12"), (True, "true"), ("Model Y", "Model Y")],
    }[field.kind]


@pytest.mark.parametrize("field", TESLA_FIELDS, ids=lambda field: field.tesla_field)
def test_string_equals_typed(field: Signal) -> None:
    for typed, text in forms_of(field):
        samples = samples_of(Datum(field.id, typed))
        assert samples == samples_of(Datum(field.id, text))
        assert samples
        assert all(isinstance(name, int) for name, _ in samples), "kept under its own signals"
        assert shown(read_value(field, typed)) == shown(read_value(field, text))


@pytest.mark.parametrize("field", TESLA_FIELDS, ids=lambda field: field.tesla_field)
def test_invalid_means_known_to_be_unavailable(field: Signal) -> None:
    for form in (None, "<invalid>"):
        samples = samples_of(Datum(field.id, form))
        assert [value for _, value in samples] == [None] * len(COMPONENTS_OF.get(field.id, "x"))


@pytest.mark.parametrize(
    ("field", "value", "stored"),
    [
        (4, 100.0, 44.704),  # mph to m/s
        (5, 1, 1609.344),  # miles to m
        (43, 1.5, 5400.0),  # hours to s
        (35, 11.5, 11_500.0),  # kW to W
        (34, 2, 7.2e6),  # kWh to J
        (69, 2.5, 250_000.0),  # bar to Pa
        (44, {"hour": 1, "minute": 2, "second": 3}, 3723.0),
        (10, EnumNumber(9, 5), 5.0),
        (10, "P", 2.0),
        (10, EnumNumber(9, 77), 77.0),  # a number that no table knows is kept
        (10, "Hover", "Hover"),  # and a name, too
        (10, EnumNumber(24, 1), "WindowStateClosed"),  # another enum's value is no gear
        (64, 7, "7"),
        (8, math.inf, None),
        (8, math.nan, None),
        (8, "1e999", None),
        (8, (1 << 53) + 1, "9007199254740993"),  # beyond float64
        (8, "9007199254740993", "9007199254740993"),
        (8, 1 << 53, 9007199254740992.0),
        (8, "full", "full"),
        (119, True, True),
    ],
)
def test_stored_values(field: int, value: WireValue, stored: Stored) -> None:
    assert samples_of(Datum(field, value)) == [(field, stored)]


@pytest.mark.parametrize(
    ("field", "value", "samples"),
    [
        (300, 7, [("Field_300", 7.0)]),
        (-3, "x", [("Field_-3", "x")]),
        (260, {"latitude": 1.0, "longitude": 2.0}, [
            ("Field_260.latitude", 1.0), ("Field_260.longitude", 2.0)]),
        (4, {"latitude": 1.0, "longitude": 2.0}, [
            ("vehicle_speed.latitude", 1.0), ("vehicle_speed.longitude", 2.0)]),
        (21, 5, [(21, 5.0)]),
        (21, "somewhere", [(21, "somewhere")]),
        (261, {"hour": 1, "minute": 0, "second": 0}, [("Field_261", 3600.0)]),
    ],
)  # fmt: skip
def test_what_no_table_expects_is_kept(
    field: int, value: WireValue, samples: list[tuple[int | str, Stored]]
) -> None:
    assert samples_of(Datum(field, value)) == samples


def test_values_in_the_stored_unit_are_not_converted() -> None:
    assert read_stored(BY_NAME["vehicle_speed"], 10) == 10.0
    assert read_stored(BY_NAME["gear"], "D") == 5.0
    assert read_stored(BY_NAME["locked"], True) == 1.0
    assert read_stored(None, "12") == "12", "text of a typed sender stays text"
    assert read_stored(None, True) is True
