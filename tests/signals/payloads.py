"""Tesla payloads made with the protobuf library, which is not ours and so a fair judge."""

from typing import Any

from hypothesis import strategies as st
from tesla_protocol.telemetry import vehicle_data_pb2 as pb

from motorcade.signals.catalogue import TESLA_FIELDS
from motorcade.signals.enums import ENUMS
from motorcade.signals.signal import Kind
from motorcade.signals.tesla import DOOR_PARTS, LOCATION_PARTS, TIME_PARTS, TIRE_PARTS

ALTERNATIVES = {field.number: field.name for field in pb.Value.DESCRIPTOR.fields}
PARTS = {7: LOCATION_PARTS, 21: DOOR_PARTS, 31: TIME_PARTS, 39: TIRE_PARTS}
INT32 = st.integers(-(1 << 31), (1 << 31) - 1)
INT64 = st.integers(-(1 << 63), (1 << 63) - 1) | st.integers(-(1 << 54), 1 << 54)

Given = tuple[int, int, Any]  # Field number, alternative, value


def payload(data: list[Given], *, vin: str = "5YJ3E1EA7KF3I7654", created_us: int = 0) -> bytes:
    """The bytes of a `V` record."""
    message = pb.Payload(vin=vin)
    if created_us:
        message.created_at.FromMicroseconds(created_us)
    for field, alternative, value in data:
        datum = message.data.add()
        datum.key = field
        if alternative in PARTS:
            inner = getattr(datum.value, ALTERNATIVES[alternative])
            inner.SetInParent()
            for name, part in value.items():
                setattr(inner, name, part)
        else:
            setattr(datum.value, ALTERNATIVES[alternative], value)
    return bytes(message.SerializeToString())


def _values(alternative: int) -> st.SearchStrategy[Any]:
    if alternative == 1:
        return texts()
    if alternative in PARTS:
        part: st.SearchStrategy[Any] = {7: st.floats(), 31: INT32}.get(alternative, st.booleans())
        return st.dictionaries(st.sampled_from(PARTS[alternative]), part)
    return {
        2: INT32,
        3: INT64,
        4: st.floats(width=32),
        5: st.floats(),
        6: st.booleans(),
        10: st.booleans(),
    }.get(alternative, st.integers(-2, 12) | INT32)


def texts() -> st.SearchStrategy[str]:
    """Strings as cars send them, and others."""
    numbers = st.floats(allow_nan=False).map(repr) | INT64.map(str) | st.integers().map(str)
    decimals = st.decimals(allow_nan=False, allow_infinity=False).map(str)
    words = [name for row in ENUMS for name in row.short_names + row.full_names]
    degrees = st.tuples(
        st.floats(0, 90).map("{:.6f}".format),
        st.sampled_from("NS"),
        st.floats(0, 180).map("{:.6f}".format),
        st.sampled_from("EW"),
    ).map(lambda parts: "({} {}, {} {})".format(*parts))
    doors = st.lists(st.sampled_from(DOOR_PARTS + TIRE_PARTS)).map("|".join)
    odd = ["true", "FALSE", "True", "<invalid>", "", "07:30:00", "-0", "-0.0", ".5", "5.", "nan"]
    odd += ["1e5", "2.15e-2", "1E+22", "1e23", "9007199254740993", "inf", "1_000", " 1", "+7", "."]
    return (
        st.sampled_from(odd)
        | st.sampled_from(words)
        | numbers
        | decimals
        | degrees
        | doors
        | st.text(max_size=40)
    )


def _fitting(field: int) -> list[int]:
    """The alternatives that a Field of this kind is usually sent as."""
    signal = TESLA_FIELDS[field]
    fitting = {Kind.LOCATION: [7], Kind.DOORS: [21], Kind.TIRES: [39], Kind.TEXT: [1]}
    if signal.enum is not None:
        return [signal.enum.alternative, 1, 2]
    return [1, 10, *fitting.get(signal.kind, [2, 3, 4, 5, 6, 31])]


@st.composite
def givens(draw: st.DrawFn) -> Given:
    """A datum: any Field, mostly with a value of its kind."""
    field = draw(st.integers(0, len(TESLA_FIELDS) - 1))
    if draw(st.integers(0, 9)) == 0:
        field = draw(st.integers(260, 1_100) | INT32)
    usual = 0 <= field < len(TESLA_FIELDS) and draw(st.integers(0, 3)) > 0
    alternatives = _fitting(field) if usual else sorted(ALTERNATIVES)
    alternative = draw(st.sampled_from(alternatives))
    return field, alternative, draw(_values(alternative))


def payloads() -> st.SearchStrategy[bytes]:
    """Whole, sound payloads."""
    return st.lists(givens(), max_size=12).map(payload)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """Payloads with bytes changed, cut out or put in; some stay sound and mean something else."""
    data = bytearray(draw(payloads()))
    for _ in range(draw(st.integers(0, 4))):
        place = draw(st.integers(0, len(data)))
        end = min(len(data), place + draw(st.integers(0, 4)))
        data[place:end] = draw(st.binary(max_size=4))
    return bytes(data)
