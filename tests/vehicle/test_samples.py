"""What the car says: known names, plausible values, and Tesla's form means the same as ours."""

import json

import pytest
from tesla_protocol.telemetry import vehicle_data_pb2 as tesla

from motorcade.signals.catalogue import BY_ID, BY_NAME
from motorcade.signals.json.plain import read_json
from motorcade.signals.tesla import parse_payload
from motorcade.signals.values import read_stored, samples_of
from motorcade.vehicle.body import Charge
from motorcade.vehicle.model import Car
from motorcade.vehicle.samples import FULL_EVERY, JsonSampler, TeslaSampler, signals_of

TIME_US = 1_700_000_000_123_456


def cars() -> list[Car]:
    parked, driving, charging = Car(1), Car(1), Car(2)
    while driving.speed_mps < 5:
        driving.advance(driving.elapsed_s + 1.0)
    charging.body.charge = Charge.CHARGING
    charging.body.doors_open["passenger_front"] = True
    charging.body.trunks_open["rear"] = True
    charging.body.windows_percent["driver_rear"] = 10.0
    charging.advance(5.0)
    return [parked, driving, charging]


@pytest.mark.parametrize("car", cars())
def test_every_signal_is_in_the_catalogue_and_in_its_range(car: Car) -> None:
    for name, value in signals_of(car).items():
        signal = BY_NAME[name]
        if value is None:
            continue
        if signal.high > signal.low and not isinstance(value, str):
            assert signal.low <= value <= signal.high, name
        if signal.enum is not None:
            assert value in signal.enum.numbers, name


@pytest.mark.parametrize("car", cars())
def test_both_forms_decode_to_the_same_stored_values(car: Car) -> None:
    (reading,) = read_json(JsonSampler().sample(car, {}, TIME_US))
    assert reading.time_us == TIME_US
    ours = {name: read_stored(BY_NAME[name], value) for name, value in reading.signals.items()}
    theirs = {}
    for datum in parse_payload(TeslaSampler("5YJ3E1EA7KF000001").sample(car, {}, TIME_US)):
        for key, value in samples_of(datum):
            theirs[BY_ID[key].name if isinstance(key, int) else key] = value
    assert len(theirs) > 25
    for name, value in theirs.items():
        same = pytest.approx(value) if isinstance(value, float) else value
        assert ours[name] == same, name
    assert {"latitude", "door_driver_front_open", "gear", "vehicle_speed"} <= set(theirs)


def test_teslas_library_reads_what_we_write() -> None:
    payload = tesla.Payload.FromString(
        TeslaSampler("5YJ3E1EA7KF000001").sample(Car(1), {}, TIME_US)
    )
    assert payload.vin == "5YJ3E1EA7KF000001"
    assert payload.created_at.ToMicroseconds() == TIME_US
    gear = next(datum for datum in payload.data if datum.key == tesla.Field.Value("Gear"))
    assert gear.value.shift_state_value == tesla.ShiftState.Value("ShiftStateP")


def test_samples_carry_changes_and_now_and_then_everything() -> None:
    car, sampler = Car(1), JsonSampler()
    told: dict[str, object] = {}
    sizes = []
    for second in range(2 * FULL_EVERY):
        car.advance(second)
        signals = json.loads(sampler.sample(car, {"link_dropped_count": 0}, TIME_US))["signals"]
        sizes.append(len(signals))
        told |= signals
        assert told == signals_of(car) | {"link_dropped_count": 0}
    assert sizes[0] == sizes[FULL_EVERY] == len(told)
    assert max(sizes[1:FULL_EVERY]) < len(told)
