"""A car's spans from its stations: in the command's trace, below the platform's `vehicle`."""

from motorcade.events import make_token
from motorcade.traces.car import car_spans
from motorcade.traces.spans import span_id
from motorcade.vehicle.stations import Stations
from motorcade.wire.command.messages import Command

ID = "066121b2c3e99d057804584b236a4b54"


def stations(id_: str = ID, **differing: int | str) -> Stations:
    command = Command(
        id=id_,
        vehicle=make_token(bytes(range(16))),
        name="honk_horn",
        parameters={},
        counter=1,
        issued_time_us=1,
        expires_time_us=1_000,
        key_id="key-1",
    )
    found = Stations(command, 10, 11, 12, 40, 41, 45, "executed")
    for name, value in differing.items():
        setattr(found, name, value)
    return found


def test_each_way_is_a_part_of_the_car_and_the_car_of_the_vehicle() -> None:
    car, *ways = car_spans(stations())
    trace_id = int(ID, 16)
    assert {span.trace_id for span in (car, *ways)} == {trace_id}
    assert (car.name, car.start_us, car.end_us, car.error) == ("car", 10, 45, "")
    assert car.parent_id == span_id(trace_id, "vehicle")
    assert [(way.name, way.start_us, way.end_us) for way in ways] == [
        ("car: verify", 10, 11),
        ("car: judge", 11, 12),
        ("car: journal", 12, 40),
        ("car: execute", 40, 41),
        ("car: answer", 41, 45),
    ]
    assert {way.parent_id for way in ways} == {car.span_id}
    assert len({span.span_id for span in (car, *ways)}) == 6


def test_what_was_refused_says_why_and_was_not_executed() -> None:
    refused = stations(state="refused", reason="already_set", executed_us=0)
    car, *ways = car_spans(refused)
    assert car.error == "already_set"
    assert [way.name for way in ways][-2:] == ["car: journal", "car: answer"]
    assert next(car_spans(stations(state="expired"))).error == "expired"


def test_an_id_that_is_no_trace_makes_none() -> None:
    assert list(car_spans(stations("command-1"))) == []
