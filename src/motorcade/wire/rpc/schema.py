"""Our gRPC service as a table: messages, fields, methods. No IO.

`proto.py` makes descriptors of it at import, so nothing is generated at a build, and `make pages`
draws `docs/protocols/motorcade.proto` for clients in other languages. Numbers of fields travel:
never reuse one, add at the end.
"""

from dataclasses import dataclass
from typing import Final

PACKAGE: Final = "motorcade.v1"
SERVICE: Final = f"{PACKAGE}.Fleet"
STRUCT: Final = "google.protobuf.Struct"


@dataclass(frozen=True, slots=True)
class Field:
    """One field. `kind`: a scalar of protobuf, the name of a message above, or `STRUCT`."""

    number: int
    kind: str
    name: str
    about: str = ""
    repeated: bool = False
    choice: str = ""  # at most one field of those that name the same choice is set (oneof)


@dataclass(frozen=True, slots=True)
class Message:
    name: str
    about: str
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class Method:
    name: str
    about: str
    asks: str  # the message that the client sends
    answers: str  # the message that it gets, any number of them
    streams_in: bool = False  # the client sends any number

    @property
    def path(self) -> str:
        """As it stands in a call and in the table of rights."""
        return f"/{SERVICE}/{self.name}"


_VALUE: Final = "unset: known to be unavailable"
_VEHICLE: Final = Field(1, "string", "vehicle", "VIN, or the integer id as text")

MESSAGES: Final = (
    Message(
        "StreamStateRequest",
        "Which vehicle to follow.",
        (
            _VEHICLE,
            Field(2, "uint32", "min_interval_ms", "least time between two frames of signals"),
            Field(3, "string", "resume", "of the last frame the client has: go on behind it"),
        ),
    ),
    Message(
        "Signal",
        "A signal's latest value.",
        (
            Field(1, "string", "name"),
            Field(2, "int64", "time_us", "UTC: when it was true"),
            Field(3, "string", "unit"),
            Field(4, "double", "number", _VALUE, choice="value"),
            Field(5, "string", "text", choice="value"),
            Field(6, "bool", "truth", choice="value"),
        ),
    ),
    Message(
        "Vehicle",
        "A vehicle as its people know it.",
        (
            Field(1, "int64", "id"),
            Field(2, "string", "vin"),
            Field(3, "string", "display_name"),
            Field(4, "string", "state", "online, asleep or offline"),
        ),
    ),
    Message(
        "Step",
        "One entry of a command's timeline.",
        (
            Field(1, "string", "state", "requested, handed_over, executed, refused, expired, ..."),
            Field(2, "int64", "time_us", "UTC"),
            Field(3, "string", "reason"),
        ),
    ),
    Message(
        "Command",
        "A command as it stands. Places are left out for those who may not see them.",
        (
            Field(1, "string", "id"),
            Field(2, "string", "name"),
            Field(3, STRUCT, "parameters"),
            Field(4, "string", "state"),
            Field(5, "bool", "final", "nothing comes after this state"),
            Field(6, "string", "reason"),
            Field(7, "int64", "expires_time_us", "UTC"),
            Field(8, "string", "idempotency_key"),
            Field(9, "Step", "timeline", repeated=True),
        ),
    ),
    Message(
        "Snapshot",
        "All that is known; replaces what was told before.",
        (
            Field(1, "Vehicle", "vehicle"),
            Field(2, "int64", "last_received_time_us", "UTC; 0: it has never sent"),
            Field(3, "Signal", "signals", repeated=True),
            Field(4, "Command", "commands", "the last ones, newest first", repeated=True),
        ),
    ),
    Message("Signals", "Those that changed.", (Field(1, "Signal", "signals", repeated=True),)),
    Message(
        "Presence",
        "The vehicle came, fell asleep, woke or went.",
        (
            Field(1, "string", "state", "online, asleep or offline"),
            Field(2, "int64", "time_us", "UTC"),
        ),
    ),
    Message(
        "StateFrame",
        "One piece of a vehicle's stream.",
        (
            Field(1, "string", "resume", "bring it back to go on behind this frame"),
            Field(2, "Snapshot", "snapshot", choice="body"),
            Field(3, "Signals", "signals", choice="body"),
            Field(4, "Presence", "presence", choice="body"),
            Field(5, "Command", "command", "after each step of it", choice="body"),
        ),
    ),
    Message(
        "SendCommandRequest",
        "A command, as POST /api/1/vehicles/{vehicle}/command/{name} takes it.",
        (
            _VEHICLE,
            Field(2, "string", "name"),
            Field(3, STRUCT, "parameters", "by name; those the table does not know are left out"),
            Field(4, "string", "idempotency_key", "1 to 64 visible ASCII; none: made by us"),
            Field(5, "uint32", "expires_s", "how long it is worth executing; 0: the default"),
            Field(6, "bool", "wake", "a sleeping vehicle is woken first"),
        ),
    ),
    Message(
        "CommandStep",
        "What became of the command; the last one is final.",
        (
            Field(1, "string", "command_id"),
            Field(2, "Step", "step"),
            Field(3, "bool", "final"),
        ),
    ),
    Message(
        "Sample",
        "A value of a signal at an instant, in the catalogue's stored unit.",
        (
            Field(1, "string", "signal", "a name of the catalogue, or one of your own"),
            Field(2, "int64", "time_us", "UTC: when it was true; 0: when it arrived"),
            Field(3, "double", "number", _VALUE, choice="value"),
            Field(4, "string", "text", choice="value"),
            Field(5, "bool", "truth", choice="value"),
        ),
    ),
    Message(
        "SampleBatch",
        "Samples of one vehicle, stored whole or not at all.",
        (
            _VEHICLE,
            Field(2, "string", "stream", "names the batch together with sequence; none: no name"),
            Field(3, "uint64", "sequence", "from 1 on, rises in its stream; sent twice: read once"),
            Field(4, "Sample", "samples", "of at most 71 minutes", repeated=True),
        ),
    ),
    Message(
        "PublishAck",
        "What of this call is on disk: the batches in the order they were sent.",
        (
            Field(1, "uint64", "batches", "so many, from the first on"),
            Field(2, "uint64", "samples", "so many in them"),
        ),
    ),
)

METHODS: Final = (
    Method(
        "StreamState",
        "A snapshot of a vehicle, then changes as they become true.",
        "StreamStateRequest",
        "StateFrame",
    ),
    Method(
        "SendCommand",
        "Sends a command; each step of its timeline comes when it is durable.",
        "SendCommandRequest",
        "CommandStep",
    ),
    Method(
        "PublishSamples",
        "Stores samples that were collected elsewhere; each ack says what is durable.",
        "SampleBatch",
        "PublishAck",
        streams_in=True,
    ),
)
