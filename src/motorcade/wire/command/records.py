"""Payloads of the log's topic COMMANDS, which the router writes and the gateway tails. No IO.

A record's `name` says which payload it carries: `TRANSITION` or `MESSAGE`. In topic
COMMAND_ANSWERS the gateway's own notices have a name and no payload: `HANDED_OVER`, `UNDELIVERED`,
`DELIVERY_UNKNOWN`; what a vehicle sent has no name. The record's `stream` is the id of the command
(or of the message), its `vehicle` the target.
"""

from typing import Any, Final

import msgspec
from msgspec import Raw, Struct

from motorcade.wire.command.errors import MalformedMessageError

TRANSITION: Final = b"transition"
MESSAGE: Final = b"message"

HANDED_OVER: Final = b"handed_over"  # written before the PUBLISH; may be synced after
UNDELIVERED: Final = b"undelivered"  # expired, and certainly never handed to a session
DELIVERY_UNKNOWN: Final = b"delivery_unknown"  # expired; an earlier process may have handed it

NO_MESSAGE: Final = Raw()


class Transition(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A command entered `state`. All that makes the request stands in state "requested" alone."""

    id: str
    state: str
    time_us: int
    reason: str = ""
    expires_time_us: int = 0
    name: str = ""
    parameters: dict[str, Any] = {}
    counter: int = 0
    account: str = ""
    idempotency_key: str = ""
    response: str = ""  # the car's answer to a signed command, base64; in a final state alone
    message: Raw = NO_MESSAGE  # the signed bytes for the car, exactly; in "requested" alone


class Down(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Another message for the car (`ServerTime`, `Query`); no command of its own, no answer due."""

    id: str
    expires_time_us: int
    message: Raw
    slot: str = ""  # a newer message for the same slot of a car takes the place of this one


_encoder: Final = msgspec.json.Encoder()
_transitions: Final = msgspec.json.Decoder(Transition)
_downs: Final = msgspec.json.Decoder(Down)


def write_record(payload: Transition | Down) -> bytes:
    """Encode for the log."""
    return _encoder.encode(payload)


def read_transition(payload: bytes) -> Transition:
    """Read a record named `TRANSITION`. Raises `MalformedMessageError`."""
    try:
        return _transitions.decode(payload)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise MalformedMessageError(f"not a transition: {error}") from error


def read_down(payload: bytes) -> Down:
    """Read a record named `MESSAGE`. Raises `MalformedMessageError`."""
    try:
        return _downs.decode(payload)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise MalformedMessageError(f"not a message for a car: {error}") from error
