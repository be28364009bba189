"""The car's state as payloads: our JSON, or Tesla's protobuf. Reads the model, changes nothing.

Most samples carry only what changed; every `FULL_EVERY`th carries everything, so that a reader who
missed some is whole again. Our JSON has stored units (SI); Tesla's has Tesla's, by the catalogue.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

import msgspec
from tesla_protocol.telemetry import vehicle_data_pb2 as tesla

from motorcade.events import Encoding
from motorcade.signals.catalogue import BY_NAME
from motorcade.signals.enums import TeslaEnum
from motorcade.vehicle.body import CHARGER_V, DOORS, TRUNKS
from motorcade.vehicle.model import BATTERY_J, PACK_V, Car
from motorcade.vehicle.navigation import RANGE_MPJ

FULL_EVERY: Final = 60

Value = float | bool | str
Signals = dict[str, Value]

_encoder: Final = msgspec.json.Encoder()
_CENTIMETRES: Final = 7  # decimals of a degree


def signals_of(car: Car) -> Signals:
    """Everything the car says about itself, by catalogue name, rounded to what a sensor gives."""
    body, place = car.body, car.place
    signals: Signals = {
        "vehicle_speed": round(car.speed_mps, 2),
        "longitudinal_acceleration": round(car.acceleration_mps2, 2),
        "odometer": round(car.odometer_m, 1),
        "latitude": round(place.latitude_deg, _CENTIMETRES),
        "longitude": round(place.longitude_deg, _CENTIMETRES),
        "gps_heading": round(place.heading_deg, 1),
        "gear": car.gear,
        "soc": round(car.soc * 100, 2),
        "energy_remaining": round(car.energy_j),
        "est_battery_range": round(car.soc * BATTERY_J * RANGE_MPJ),
        "pack_voltage": PACK_V,
        "pack_current": round(0.0 - car.battery_power_w / PACK_V, 1),
        "drive_power": round(car.drive_power_w),
        "battery_power": round(car.battery_power_w),
        "detailed_charge_state": body.charge.value,
        "charge_limit_soc": round(body.charge_limit * 100, 1),
        "charge_cable_connected": body.charge.value != "Disconnected",
        "ac_charging_power": car.charger_power_w,
        "charger_voltage": CHARGER_V if car.charger_power_w else 0.0,
        "inside_temp": round(car.inside_degc, 1),
        "outside_temp": round(car.outside_degc, 1),
        "climate_on": body.climate_on,
        "hvac_left_temperature_request": body.driver_temp_degc,
        "hvac_right_temperature_request": body.passenger_temp_degc,
        "locked": body.locked,
        "horn_active": car.elapsed_s < body.horn_until_s,
        "lights_flashing": car.elapsed_s < body.lights_until_s,
        "navigation_destination": body.destination,
        "asleep": car.asleep,
    }
    for door in DOORS:
        signals[f"door_{door}_open"] = body.doors_open[door]
        signals[f"window_{door}_open"] = body.windows_percent[door]
    for trunk in TRUNKS:
        signals[f"trunk_{trunk}_open"] = body.trunks_open[trunk]
    return signals


class Sampler(Protocol):
    """Makes the next payload; remembers what it said last."""

    encoding: Encoding

    def sample(self, car: Any, extra: Signals, time_us: int) -> bytes:
        """The payload for `time_us`; `extra` are signals that are not the model's."""


class _Changes:
    """Says what is new since last time."""

    def __init__(self) -> None:
        self._told: Signals = {}
        self._count = 0

    def of(self, signals: Signals) -> Signals:
        full = self._count % FULL_EVERY == 0
        self._count += 1
        told = self._told
        changed = {name: value for name, value in signals.items() if told.get(name) != value}
        self._told = signals
        return signals if full else changed


class JsonSampler:
    """`{"time_us", "signals": {...}}` (design §4)."""

    encoding = Encoding.JSON_SIGNALS

    def __init__(self, read: Callable[[Any], Signals] = signals_of) -> None:
        """`read` gives the signals of what is sampled."""
        self._changes = _Changes()
        self._read = read

    def sample(self, car: Any, extra: Signals, time_us: int) -> bytes:
        signals = self._changes.of(self._read(car) | extra)
        return _encoder.encode({"time_us": time_us, "signals": signals})


class TeslaSampler:
    """A `V` payload with typed values. Signals that Tesla has no Field for stay at home."""

    encoding = Encoding.TESLA_TELEMETRY

    def __init__(self, vin: str) -> None:
        self._vin = vin
        self._changes = _Changes()

    def sample(self, car: Car, extra: Signals, time_us: int) -> bytes:
        payload = tesla.Payload(vin=self._vin)
        payload.created_at.FromMicroseconds(time_us)
        values = tesla_values(car, self._changes.of(signals_of(car) | extra))
        for field, value in values.items():
            payload.data.add(key=tesla.Field.Value(field), value=value)
        return payload.SerializeToString()


def tesla_values(car: Car, signals: Signals) -> dict[str, tesla.Value]:
    """These signals of the car as Tesla has them, by Field name."""
    values: dict[str, tesla.Value] = {}
    for name, value in signals.items():
        signal = BY_NAME[name]
        if signal.tesla_field and name not in _COMPOUND:
            target = values[signal.tesla_field] = tesla.Value()
            _set(target, value, signal.scale, signal.enum)
    if "latitude" in signals or "longitude" in signals:
        place = values["Location"] = tesla.Value()
        place.location_value.latitude = round(car.place.latitude_deg, _CENTIMETRES)
        place.location_value.longitude = round(car.place.longitude_deg, _CENTIMETRES)
    if any(name.startswith(("door_", "trunk_")) for name in signals):
        values["DoorState"] = _doors(car)
    return values


_COMPOUND: Final = frozenset(
    {"latitude", "longitude"}
    | {f"door_{door}_open" for door in DOORS}
    | {f"trunk_{trunk}_open" for trunk in TRUNKS}
)
_ENUM_FIELDS: Final[Mapping[str, str]] = {
    "ShiftState": "shift_state_value",
    "DetailedChargeStateValue": "detailed_charge_state_value",
}


def _set(target: tesla.Value, value: Value, scale: float, enum: TeslaEnum | None) -> None:
    if isinstance(value, bool):
        target.boolean_value = value
    elif isinstance(value, str):
        if enum is None:
            target.string_value = value
        else:
            setattr(target, _ENUM_FIELDS[enum.name], enum.numbers[value])
    else:
        target.double_value = value / scale


def _doors(car: Car) -> tesla.Value:
    value = tesla.Value()
    doors = value.door_value
    opened = car.body.doors_open
    doors.DriverFront, doors.DriverRear = opened["driver_front"], opened["driver_rear"]
    doors.PassengerFront, doors.PassengerRear = opened["passenger_front"], opened["passenger_rear"]
    doors.TrunkFront = car.body.trunks_open["front"]
    doors.TrunkRear = car.body.trunks_open["rear"]
    return value
