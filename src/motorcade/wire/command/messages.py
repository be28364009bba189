"""The messages of a command's way down to the car and up again, as msgspec structs. No IO.

Down, to the vehicle's `command_topic`, each signed by the cloud (`signing.py`): `Command`,
`ServerTime`, `Query`. Up, to `{publish_topic_prefix}/command_answers`, unsigned because the session
authenticates: `Hello`, `Answer`, `Journal`, `Keys`. The page is `docs/protocols/commands.md`.

Every text and list has a limit here, so a decoded message is bounded by its type.
"""

from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Struct

INTEGER_MAX: Final = (1 << 53) - 1  # RFC 8785 §3.2.2.3: beyond, JSON numbers are not exact
IDS_MAX: Final = 256  # in one query or journal
RESPONSE_CHARACTERS_MAX: Final = 24 << 10  # of a signed command's answer: base64 of 16 KiB fits
KEYS_MAX: Final = 32  # on a car's list: VCSEC's mask of slots has so many bits

SIGNED_COMMAND: Final = "signed_command"  # the car's protocol within: {"routable_message": base64}
APPROVE_KEY: Final = "approve_key"  # {"public_key": hex, "role", "form_factor"}
REMOVE_KEY: Final = "remove_key"  # {"public_key": hex}
TELEMETRY_CONFIG: Final = "telemetry_config"  # {"version", "token": JWS; "": stream no more}
"""Commands that the car's program does itself. No row of `commands/table.py` has these names."""

CommandId = Annotated[str, Meta(min_length=1, max_length=64)]
Token = Annotated[str, Meta(min_length=17, max_length=17)]
KeyId = Annotated[str, Meta(min_length=1, max_length=64)]
Name = Annotated[str, Meta(min_length=1, max_length=64)]
Nonce = Annotated[str, Meta(min_length=1, max_length=64)]
Reason = Annotated[str, Meta(max_length=256)]
Response = Annotated[str, Meta(max_length=RESPONSE_CHARACTERS_MAX)]
TimeUs = Annotated[int, Meta(ge=0, le=INTEGER_MAX)]
Counter = Annotated[int, Meta(ge=0, le=INTEGER_MAX)]

Outcome = Literal["executed", "refused", "expired"]
"""How a car says a command ended; "expired" is its own finding, by authenticated server time."""

JournalState = Literal["executed", "refused", "expired", "started", "unknown"]
"""What a car's journal knows of an id. "started": power was lost between the journal's entry and
the outcome, so nobody knows; it will not be executed again. "unknown": the car never had it, and
has written a tombstone first, so it never will execute it."""


class Command(
    Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type", tag="command"
):
    """Do this once, before it expires."""

    id: CommandId
    vehicle: Token
    name: Name
    parameters: dict[str, Any]
    counter: Counter  # strictly rising per vehicle, not dense
    issued_time_us: TimeUs
    expires_time_us: TimeUs
    key_id: KeyId
    wake: bool = False  # a sleeping car wakes first, then judges it; absent: it refuses


class ServerTime(Struct, frozen=True, kw_only=True, tag_field="type", tag="time"):
    """The answer to `Hello`: the time a car may judge expiry by, fresh because of the nonce."""

    vehicle: Token
    nonce: Nonce
    server_time_us: TimeUs
    key_id: KeyId


class Query(Struct, frozen=True, kw_only=True, tag_field="type", tag="query"):
    """What became of these? Answered by a `Journal` that names each of them."""

    vehicle: Token
    ids: Annotated[list[CommandId], Meta(min_length=1, max_length=IDS_MAX)]
    server_time_us: TimeUs
    key_id: KeyId


DownMessage = Command | ServerTime | Query


class Hello(Struct, frozen=True, kw_only=True, tag_field="type", tag="hello"):
    """Sent at each connect: asks for the time, and says which answer stream follows."""

    nonce: Nonce
    stream: Annotated[str, Meta(max_length=128)] = ""


class Answer(Struct, frozen=True, kw_only=True, tag_field="type", tag="answer"):
    """How one command ended. Repeats are harmless."""

    id: CommandId
    state: Outcome
    reason: Reason = ""
    time_us: TimeUs = 0  # the car's clock, when it ended
    counter: Counter = 0
    response: Response = ""  # of a signed command: what the caller gets, base64


class JournalEntry(Struct, frozen=True, kw_only=True):
    """One id in a `Journal`."""

    id: CommandId
    state: JournalState
    reason: Reason = ""
    time_us: TimeUs = 0
    counter: Counter = 0
    response: Response = ""  # as in `Answer`


class Journal(Struct, frozen=True, kw_only=True, tag_field="type", tag="journal"):
    """What the car's journal says of the ids of a `Query`."""

    entries: Annotated[list[JournalEntry], Meta(max_length=IDS_MAX)]


class SigningKey(Struct, frozen=True, kw_only=True):
    """A key that the car obeys in signed commands."""

    slot: Annotated[int, Meta(ge=0, lt=KEYS_MAX)]
    public_key: Annotated[str, Meta(min_length=130, max_length=130, pattern="^[0-9a-f]*$")]
    role: Name
    form_factor: Annotated[int, Meta(ge=0, le=255)] = 0


class Keys(Struct, frozen=True, kw_only=True, tag_field="type", tag="keys"):
    """Sent at each connect and after each change: which signed commands the car obeys."""

    signed_commands: Literal["none", "supported", "required"]
    keys: Annotated[list[SigningKey], Meta(max_length=KEYS_MAX)] = []


UpMessage = Hello | Answer | Journal | Keys
