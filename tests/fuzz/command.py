"""Commands: what cars send up, what the log holds, and the signed messages down to the car."""

import base64

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from motorcade.wire.command import answers, records, signing
from motorcade.wire.command.errors import CommandCodecError, MalformedMessageError
from motorcade.wire.command.messages import (
    Answer,
    Command,
    Hello,
    Journal,
    JournalEntry,
    Query,
    ServerTime,
)
from tests.fuzz.target import Target

WIRE = "motorcade.wire.command"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
KEYS = {"k": KEY.public_key()}
VEHICLE = "5YJ3E1EA7KF3I7654"
DEEP = b'{"type":"hello","nonce":' + b"[" * 1_500 + b"]" * 1_500 + b"}"


def read_up(data: bytes) -> None:
    try:
        message = answers.read_up(data)
    except CommandCodecError:
        return
    assert answers.read_up(answers.write_up(message)) == message


def read_records(data: bytes) -> None:
    for read in (records.read_transition, records.read_down):
        try:
            payload = read(data)
        except CommandCodecError:
            continue
        assert read(records.write_record(payload)) == payload


def read_down(data: bytes) -> None:
    """As sent; and, so that a signature never hides what is behind it, signed by us."""
    for payload in (data, _signed(data)):
        try:
            message = signing.verify(payload, KEYS, VEHICLE)
        except CommandCodecError:
            continue
        assert message.vehicle == VEHICLE
        assert signing.verify(signing.sign(message, KEY), KEYS, VEHICLE) == message


def _signed(data: bytes) -> bytes:
    """`data` with a fitting signature, where it is an object that has a canonical form."""
    try:
        members = msgspec.json.decode(data)
        if not isinstance(members, dict):
            return data
        members.pop("signature", None)
        members["key_id"] = "k"
        signature = KEY.sign(signing.canonical(members))
    except (msgspec.MsgspecError, MalformedMessageError, RecursionError, UnicodeError):
        return data
    members["signature"] = base64.urlsafe_b64encode(signature).rstrip(b"=").decode()
    return msgspec.json.encode(members)


def _ups() -> list[bytes]:
    entry = JournalEntry(id="c", state="started")
    sent = [Hello(nonce="n"), Answer(id="c", state="executed", counter=3), Journal(entries=[entry])]
    return [*map(answers.write_up, sent), DEEP, b"{}", b"\xff", b" " * (answers.UP_BYTES_MAX + 1)]


def _logged() -> list[bytes]:
    raw = msgspec.Raw(b'{"a":1}')
    requested = records.Transition(id="c", state="requested", time_us=1, name="honk", message=raw)
    down = records.Down(id="d", expires_time_us=5, message=raw)
    return [records.write_record(requested), records.write_record(down), DEEP, b"[]"]


def _downs() -> list[bytes]:
    command = Command(
        id="c",
        vehicle=VEHICLE,
        name="honk",
        parameters={"on": True, "level": 1.5},
        counter=1,
        issued_time_us=1,
        expires_time_us=2,
        key_id="k",
    )
    time = ServerTime(vehicle=VEHICLE, nonce="n", server_time_us=1, key_id="k")
    query = Query(vehicle=VEHICLE, ids=["c"], server_time_us=1, key_id="k")
    other = msgspec.structs.replace(time, vehicle="5YJ3E1EA7KF3I0000")
    signed = [signing.sign(message, KEY) for message in (command, time, query, other)]
    bad = [signed[1].replace(b'"k"', b'"x"'), signed[1].replace(b'"n"', b'"m"'), b"[1]", DEEP]
    no = [b'{"key_id":"k"}', b'{"key_id":"k","signature":"%%"}', b'{"key_id":"k","signature":"aa"}']
    return [*signed, *bad, *no, b'{"a":1e400}', b" " * (signing.DOWN_BYTES_MAX + 1)]


TARGETS = (
    Target("command-up", read_up, _ups, (f"{WIRE}.answers",)),
    Target("command-records", read_records, _logged, (f"{WIRE}.records",)),
    Target("command-down", read_down, _downs, (f"{WIRE}.signing",)),
)
