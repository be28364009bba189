"""Lids and flaps by VCSEC: a move becomes commands of the car, by how it stands. No IO."""

from collections.abc import Mapping
from typing import Any, Final

from tesla_protocol.command.vcsec_pb2 import ClosureMoveRequest

from motorcade.wire.tesla_command.asks import Deed

MOVE: Final = 1  # ClosureMoveType_E: the other way than it stands
STOP: Final = 2
OPEN: Final = 3
CLOSE: Final = 4

_TRUNKS: Final = {"rearTrunk": "rear", "frontTrunk": "front"}
_FLAPS: Final = {
    "chargePort": ("charge_port_door_open", "charge_port_door_close", "charge_port_door_open"),
    "tonneau": ("open_tonneau", "close_tonneau", "tonneau_open_percent"),
}
"""Closure: the commands that open and close it, and the signal that says it is open."""


def deeds_of(request: ClosureMoveRequest, signals: Mapping[str, Any]) -> list[Deed] | None:
    """What to do for this request, nothing where it stands so already; `None`: it cannot be done.

    `signals` is what the car says of itself (`samples.signals_of`).
    """
    deeds: list[Deed] = []
    for field, move in request.ListFields():
        if field.name in _TRUNKS:
            some = _trunk(_TRUNKS[field.name], move, signals)
        elif field.name in _FLAPS:
            some = _flap(field.name, move, signals)
        else:
            some = None  # doors have no motors
        if some is None:
            return None
        deeds += some
    return deeds


def _trunk(which: str, move: int, signals: Mapping[str, Any]) -> list[Deed] | None:
    is_open = bool(signals.get(f"trunk_{which}_open"))
    if move not in (MOVE, OPEN, CLOSE):
        return None
    if move == (OPEN if is_open else CLOSE):
        return []
    return [Deed("actuate_trunk", {"which_trunk": which})]


def _flap(closure: str, move: int, signals: Mapping[str, Any]) -> list[Deed] | None:
    opens, closes, signal = _FLAPS[closure]
    is_open = bool(signals.get(signal))
    if move == STOP:
        return [Deed("stop_tonneau", {})] if closure == "tonneau" else None
    if move not in (MOVE, OPEN, CLOSE):
        return None
    if move == (OPEN if is_open else CLOSE):
        return []
    return [Deed(closes if is_open else opens, {})]
