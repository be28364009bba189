"""`SampleBatch`, what readers see after decoding, and `Dictionary`, which numbers names and texts.

A sample's value is one float64. What is not a number is a NaN with a message in its low bits
(IEEE 754 keeps them, and so does every copy): unavailable, text, and booleans of signals that no
table knows. Arithmetic on such a value gives NaN, which is the right answer.

The dictionary is derived from the log alone, record by record, so two replays number alike
wherever their batches are cut.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from motorcade.signals.catalogue import BY_ID, BY_NAME, IDS_MAX
from motorcade.signals.readings import Scalar
from motorcade.signals.signal import Kind, Signal
from motorcade.signals.values import Stored

UNAVAILABLE_BITS: Final = 0x7FF8_0000_0000_0000  # the ordinary NaN
BOOLEAN_BITS: Final = 0x7FF9_0000_0000_0000  # | 0 or 1
TEXT_BITS: Final = 0x7FFA_0000_0000_0000  # | the text's number, 48 bits
TAG_MASK: Final = 0xFFFF_0000_0000_0000
_PACK: Final = struct.Struct("<Q").pack
_UNPACK: Final = struct.Struct("<d").unpack

NAMES_MAX: Final = 1 << 18  # of all vehicles together; 128 hostile ones could fill it
NAME_BYTES_MAX: Final = 128
NAMES_REFUSED: Final = frozenset({"", "online"})  # presence is not for the vehicle to say


@dataclass(frozen=True, slots=True)
class SampleBatch:
    """Columns of equal length, in the order of the log. Read-only by convention."""

    vehicle: npt.NDArray[np.int32]  # dense slot, given by the reader's own table
    time_us: npt.NDArray[np.int64]
    signal: npt.NDArray[np.int32]  # of the catalogue, or from `IDS_MAX` on of the dictionary
    value: npt.NDArray[np.float64]
    texts: dict[int, str] = field(default_factory=dict)  # every text that `value` points at

    def __len__(self) -> int:
        return len(self.signal)

    def select(self, rows: "npt.NDArray[Any] | slice[int | None, int | None]") -> "SampleBatch":
        """Those that `rows` (booleans, indices, a slice) names, with all texts."""
        return SampleBatch(
            self.vehicle[rows], self.time_us[rows], self.signal[rows], self.value[rows], self.texts
        )


def joined(parts: Sequence[SampleBatch]) -> SampleBatch:
    """One after the other, as one."""
    if len(parts) == 1:
        return parts[0]
    texts: dict[int, str] = {}
    for part in parts:
        texts |= part.texts
    if not parts:
        none = np.zeros(0, np.int32)
        return SampleBatch(none, np.zeros(0, np.int64), none, np.zeros(0), texts)
    return SampleBatch(
        np.concatenate([part.vehicle for part in parts]),
        np.concatenate([part.time_us for part in parts]),
        np.concatenate([part.signal for part in parts]),
        np.concatenate([part.value for part in parts]),
        texts,
    )


def unavailable() -> float:
    """The value of a signal that is known to be unavailable."""
    return from_bits(UNAVAILABLE_BITS)


def from_bits(bits: int) -> float:
    """The float64 with these bits."""
    return float(_UNPACK(_PACK(bits))[0])


def bits_of(value: float) -> int:
    """The bits of a float64."""
    return int(struct.unpack("<Q", struct.pack("<d", value))[0])


def text_number(value: float) -> int | None:
    """The number of the text that `value` points at; `None` when it is none."""
    bits = bits_of(value)
    return bits & ~TAG_MASK if bits & TAG_MASK == TEXT_BITS else None


def box(value: Stored, dictionary: "Dictionary", texts: dict[int, str]) -> float:
    """A stored value as one float64; a text is entered in `texts` under its number."""
    if value is None:
        return _UNAVAILABLE
    if isinstance(value, str):
        number, kept = dictionary.number_of(value)
        texts[number] = kept
        return from_bits(TEXT_BITS | number)
    if isinstance(value, bool):
        return from_bits(BOOLEAN_BITS | value)
    return value


def unbox(value: float, texts: dict[int, str]) -> Stored:
    """The inverse of `box`."""
    if value == value:
        return value
    bits = bits_of(value)
    tag = bits & TAG_MASK
    if tag == TEXT_BITS:
        return texts[bits & ~TAG_MASK]
    return bool(bits & 1) if tag == BOOLEAN_BITS else None


def present(signal: Signal | None, value: float, texts: dict[int, str]) -> Scalar:
    """A stored value as people read it: booleans as such, enums by their short name."""
    held = unbox(value, texts)
    if signal is None or not isinstance(held, float):
        return held
    if signal.kind is Kind.BOOLEAN and held in (0.0, 1.0):
        return held == 1.0
    if signal.enum is not None:
        return signal.enum.short_name(held) or held
    return held


_UNAVAILABLE: Final = unavailable()


class _Saved(msgspec.Struct, array_like=True):
    names: list[str]
    introduced: list[tuple[int, int]]
    old: list[tuple[str, int]]
    young: list[tuple[str, int]]
    next_text: int
    refused: int


class Dictionary:
    """Numbers unknown names (for good) and texts (for as long as they keep coming).

    Names: one vehicle may introduce `names_per_vehicle_max`; further ones are refused and counted,
    so a vehicle that invents names harms itself only. Texts: numbers are never used twice; the
    table holds two generations of `texts_max` each, and a text that comes again after both have
    passed gets a new number. Whoever keeps values keeps their texts (`SampleBatch.texts`).
    """

    def __init__(
        self, *, names_per_vehicle_max: int, text_bytes_max: int, texts_max: int = 65_536
    ) -> None:
        self._names_per_vehicle_max = names_per_vehicle_max
        self._text_bytes_max = text_bytes_max
        self._texts_max = texts_max
        self._names: list[str] = []
        self._ids = {name: signal.id for name, signal in BY_NAME.items()}
        self._introduced: dict[int, int] = {}
        self._old: dict[str, int] = {}
        self._young: dict[str, int] = {}
        self._next_text = 0
        self.refused = 0

    def id_of(self, name: str, vehicle: int) -> int:
        """The signal id of `name`, which slot `vehicle` sent; -1 when it is refused."""
        known = self._ids.get(name)
        if known is not None:
            return known
        introduced = self._introduced.get(vehicle, 0)
        too_long = len(name.encode("utf-8", "replace")) > NAME_BYTES_MAX
        full = introduced >= self._names_per_vehicle_max or len(self._names) >= NAMES_MAX
        if full or too_long or name in NAMES_REFUSED:
            self.refused += 1
            return -1
        self._introduced[vehicle] = introduced + 1
        self._ids[name] = number = IDS_MAX + len(self._names)
        self._names.append(name)
        return number

    def known_id(self, name: str) -> int:
        """The signal id of `name`, -1 when nobody has sent it."""
        return self._ids.get(name, -1)

    def name_of(self, signal: int) -> str:
        """The name of a signal that this dictionary or the catalogue knows."""
        return self._names[signal - IDS_MAX] if signal >= IDS_MAX else BY_ID[signal].name

    def names_from(self, index: int) -> list[str]:
        """The names that are not the catalogue's, without the first `index`, in order of id."""
        return self._names[index:]

    def number_of(self, text: str) -> tuple[int, str]:
        """The number of `text` and what is kept of it: at most `text_bytes_max` bytes."""
        if len(text) > self._text_bytes_max or not text.isascii():
            text = text.encode("utf-8", "replace")[: self._text_bytes_max].decode("utf-8", "ignore")
        number = self._young.get(text)
        if number is not None:
            return number, text
        if len(self._young) >= self._texts_max:
            self._old, self._young = self._young, {}
        number = self._old.get(text)
        if number is None:
            number, self._next_text = self._next_text, self._next_text + 1
        self._young[text] = number
        return number, text

    def snapshot(self) -> bytes:
        """All of it, the same bytes for the same history."""
        return msgspec.msgpack.encode(
            _Saved(
                self._names,
                list(self._introduced.items()),
                list(self._old.items()),
                list(self._young.items()),
                self._next_text,
                self.refused,
            )
        )

    def restore(self, saved: bytes) -> None:
        """Become what `snapshot` saw. Raises `msgspec.MsgspecError` for other bytes."""
        state = msgspec.msgpack.decode(saved, type=_Saved)
        self._names = state.names
        self._ids = {name: signal.id for name, signal in BY_NAME.items()}
        self._ids |= {name: IDS_MAX + index for index, name in enumerate(state.names)}
        self._introduced = dict(state.introduced)
        self._old, self._young = dict(state.old), dict(state.young)
        self._next_text, self.refused = state.next_text, state.refused
