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
    UndecodableError,
    Unsupported,
)

_UNLOCK: Final = Deed("door_unlock", {})
_START: Final = Deed("remote_start_drive", {})
RKE_ACTIONS: Final[dict[int, Deeds]] = {
    0: Deeds((_UNLOCK,)),
    1: Deeds((Deed("door_lock", {}),)),
    2: Deeds((Deed("actuate_trunk", {"which_trunk": "rear"}),)),
    3: Deeds((Deed("actuate_trunk", {"which_trunk": "front"}),)),
    4: Deeds((Deed("charge_port_door_open", {}),)),
    5: Deeds((Deed("charge_port_door_close", {}),)),
    20: Deeds((_START,)),
    29: Deeds((Deed("door_lock", {}),)),  # auto-secure
    30: Deeds((Deed("wake_up", {}),)),
    31: Deeds((_UNLOCK, _START)),
    32: Deeds((_UNLOCK,)),
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
