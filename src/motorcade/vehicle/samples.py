"""The car's state as payloads: our JSON, or Tesla's protobuf. Reads the model, changes nothing.

Most samples carry only what changed; every `FULL_EVERY`th carries everything, so that a reader who
missed some is whole again. Our JSON has stored units (SI); Tesla's has Tesla's, by the catalogue.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, Protocol

import msgspec
from tesla_protocol.telemetry import vehicle_data_pb2 as tesla

from motorcade.events import Encoding
from motorcade.signals.catalogue import BY_NAME
from motorcade.signals.enums import TeslaEnum
from motorcade.vehicle.body import DOORS, TRUNKS, Stop
from motorcade.vehicle.model import Car
from motorcade.vehicle.sensors import CENTIMETRES, Value
from motorcade.vehicle.sensors import Signals as Signals
from motorcade.vehicle.sensors import signals_of as signals_of

FULL_EVERY: Final = 60

_encoder: Final = msgspec.json.Encoder()


class Sampler(Protocol):
    """Makes the next payload; remembers what it said last."""

    encoding: Encoding

    def sample(self, car: Any, extra: Signals, time_us: int) -> bytes:
        """The payload for `time_us`; `extra` are signals that are not the model's."""


class _Changes:
    """Says what is new since last time."""

    def __init__(self, always: Collection[str] = ()) -> None:
        """`always`: names that are said each time."""
        self._told: Signals = {}
        self._count = 0
        self._always = always

    def of(self, signals: Signals) -> Signals:
        full = self._count % FULL_EVERY == 0
        self._count += 1
        told = self._told
        changed = {name: value for name, value in signals.items() if told.get(name) != value}
        self._told = signals
        if full:
            return signals
        for name in self._always:
            changed[name] = signals[name]
        return changed


class JsonSampler:
    """`{"time_us", "signals": {...}}` (design §4)."""

    encoding = Encoding.JSON_SIGNALS

    def __init__(
        self, read: Callable[[Any], Signals] = signals_of, always: Collection[str] = ()
    ) -> None:
        """`read` gives the signals of what is sampled; those of `always` are in each sample."""
        self._changes = _Changes(always)
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
        values["Location"] = _place(car.place.latitude_deg, car.place.longitude_deg)
    if "destination_latitude" in signals or "destination_longitude" in signals:
        stop = car.body.stops[0] if car.body.stops else Stop("")
        values["DestinationLocation"] = _place(stop.latitude_deg, stop.longitude_deg)
    if any(name.startswith(("door_", "trunk_")) for name in signals):
        values["DoorState"] = _doors(car)
    return values


_COMPOUND: Final = frozenset(
    {"latitude", "longitude", "destination_latitude", "destination_longitude"}
    | {f"door_{door}_open" for door in DOORS}
    | {f"trunk_{trunk}_open" for trunk in TRUNKS}
)
_ENUM_MEMBERS: Final[Mapping[int, str]] = {
    member.number: member.name for member in tesla.Value.DESCRIPTOR.fields
}
"""The member of a `Value` for each enum, by `TeslaEnum.alternative`."""


def _place(latitude_deg: float | None, longitude_deg: float | None) -> tesla.Value:
    value = tesla.Value()
    if latitude_deg is None or longitude_deg is None:
        value.invalid = True
        return value
    value.location_value.latitude = round(latitude_deg, CENTIMETRES)
    value.location_value.longitude = round(longitude_deg, CENTIMETRES)
    return value


def _set(target: tesla.Value, value: Value, scale: float, enum: TeslaEnum | None) -> None:
    if value is None:
        target.invalid = True
    elif isinstance(value, bool):
        target.boolean_value = value
    elif isinstance(value, str):
        if enum is None:
            target.string_value = value
        else:
            setattr(target, _ENUM_MEMBERS[enum.alternative], enum.numbers[value])
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
