"""RoutableMessage: bytes in, a message that can be routed and answered out, and back. No IO.

The protobufs come from the package `tesla-protocol`. What is read here is bounded and has an
address to answer to; whether it is authentic is for the car (`checks.py`).
"""

from typing import Final

from google.protobuf.message import DecodeError
from tesla_protocol.command.universal_message_pb2 import RoutableMessage

from motorcade.wire.tesla_command.errors import MalformedMessageError

MESSAGE_BYTES_MAX: Final = 32 << 10  # in base64 it fits into a command of ours (64 KiB)
ADDRESS_BYTES: Final = 16
UUID_BYTES_MAX: Final = 16

VCSEC: Final = 2  # DOMAIN_VEHICLE_SECURITY
INFOTAINMENT: Final = 3  # DOMAIN_INFOTAINMENT
ENCRYPT_RESPONSE: Final = 1 << 1  # of `flags`


def read_message(data: bytes) -> RoutableMessage:
    """Read a request to a car.

    Raises:
        MalformedMessageError: too long, no protobuf, no domain to go to, no 16-byte address to
            answer to, or neither payload nor session info request.
    """
    if len(data) > MESSAGE_BYTES_MAX:
        raise MalformedMessageError(f"{len(data)} bytes, limit {MESSAGE_BYTES_MAX}")
    message = RoutableMessage()
    try:
        message.ParseFromString(data)
    except (DecodeError, RecursionError) as error:
        raise MalformedMessageError("not a RoutableMessage") from error
    if message.to_destination.WhichOneof("sub_destination") != "domain":
        raise MalformedMessageError("to_destination names no domain")
    if len(message.from_destination.routing_address) != ADDRESS_BYTES:
        raise MalformedMessageError(f"from_destination: no {ADDRESS_BYTES}-byte routing_address")
    if len(message.uuid) > UUID_BYTES_MAX:
        raise MalformedMessageError(f"uuid of {len(message.uuid)} bytes, limit {UUID_BYTES_MAX}")
    if message.WhichOneof("payload") not in ("protobuf_message_as_bytes", "session_info_request"):
        raise MalformedMessageError("neither a payload nor a session info request")
    return message


def answer_to(request: RoutableMessage) -> RoutableMessage:
    """An empty answer: addresses swapped, the request's uuid in `request_uuid`."""
    answer = RoutableMessage(request_uuid=request.uuid)
    answer.to_destination.CopyFrom(request.from_destination)
    answer.from_destination.CopyFrom(request.to_destination)
    return answer
