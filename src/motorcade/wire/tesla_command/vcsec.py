"""VCSEC's payloads: what an UnsignedMessage asks. No IO."""

from typing import Final

from google.protobuf.message import DecodeError
from tesla_protocol.command.vcsec_pb2 import UnsignedMessage

from motorcade.wire.tesla_command.asks import (
    Ask,
    Closures,
    Deed,
    Deeds,
    Information,
    KeyOperation,
    Right,
    UndecodableError,
    Unsupported,
)

_UNLOCK: Final = Deed("door_unlock", {})
_START: Final = Deed("remote_start_drive", {})
RKE_ACTIONS: Final[dict[int, Deeds]] = {
    0: Deeds((_UNLOCK,), Right.CONTROL),
    1: Deeds((Deed("door_lock", {}),), Right.CONTROL),
    2: Deeds((Deed("actuate_trunk", {"which_trunk": "rear"}),), Right.CONTROL),
    3: Deeds((Deed("actuate_trunk", {"which_trunk": "front"}),), Right.CONTROL),
    4: Deeds((Deed("charge_port_door_open", {}),), Right.CHARGE),
    5: Deeds((Deed("charge_port_door_close", {}),), Right.CHARGE),
    20: Deeds((_START,), Right.CONTROL),
    29: Deeds((Deed("door_lock", {}),), Right.CONTROL),  # auto-secure
    30: Deeds((), Right.CHARGE),  # wake: whoever reads this is awake
    31: Deeds((_UNLOCK, _START), Right.CONTROL),
    32: Deeds((_UNLOCK,), Right.CONTROL),
}
"""What a key fob can do: `RKEAction_E`."""


def read_vcsec(payload: bytes) -> Ask:
    """Raises `UndecodableError` unless the payload is an UnsignedMessage that asks something."""
    message = UnsignedMessage()
    try:
        message.ParseFromString(payload)
    except (DecodeError, RecursionError) as error:
        raise UndecodableError("not an UnsignedMessage") from error
    match message.WhichOneof("sub_message"):
        case "InformationRequest":
            return Information(message.InformationRequest)
        case "RKEAction":
            action = int(message.RKEAction)
            return RKE_ACTIONS.get(action, Unsupported(f"RKEAction {action}"))
        case "closureMoveRequest":
            return Closures(message.closureMoveRequest)
        case "WhitelistOperation":
            return KeyOperation(message.WhitelistOperation)
        case None:
            raise UndecodableError("an UnsignedMessage that asks nothing")
        case other:
            return Unsupported(other)
