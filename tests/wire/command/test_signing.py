"""Down messages: signed, verified, and refused in each way they can be wrong."""

import base64
import contextlib
import json

import pytest
import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from motorcade.wire.command.errors import (
    CommandCodecError,
    MalformedMessageError,
    MessageTooLargeError,
    SignatureError,
    WrongVehicleError,
)
from motorcade.wire.command.messages import Command, DownMessage, Query, ServerTime
from motorcade.wire.command.signing import DOWN_BYTES_MAX, canonical, sign, verify

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
KEYS = {"k1": KEY.public_key()}
CAR = "IABCDEFGHJKLMNPRS"
OTHER_CAR = "OABCDEFGHJKLMNPRS"

DOOR = Command(
    id="c1",
    vehicle=CAR,
    name="door_unlock",
    parameters={"lat": 52.5, "lon": -0.1, "order": 1},
    counter=7,
    issued_time_us=1_700_000_000_000_000,
    expires_time_us=1_700_000_030_000_000,
    key_id="k1",
)
MESSAGES: list[DownMessage] = [
    DOOR,
    ServerTime(vehicle=CAR, nonce="n", server_time_us=1_700_000_000_000_000, key_id="k1"),
    Query(vehicle=CAR, ids=["c1", "c2"], server_time_us=1_700_000_000_000_000, key_id="k1"),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_what_is_signed_is_read_back(message: DownMessage) -> None:
    assert verify(sign(message, KEY), KEYS, CAR) == message


def test_the_signature_covers_the_canonical_form_so_reformatting_is_harmless() -> None:
    members = json.loads(sign(DOOR, KEY))
    reordered = json.dumps(dict(reversed(members.items())), indent=2).encode()
    assert verify(reordered, KEYS, CAR) == DOOR


def test_the_signature_is_base64url_of_ed25519_over_the_canonical_form() -> None:
    members = json.loads(sign(DOOR, KEY))
    signature = base64.urlsafe_b64decode(members.pop("signature") + "==")
    KEY.public_key().verify(signature, canonical(members))


@pytest.mark.parametrize(
    ("member", "value"),
    [("name", "honk_horn"), ("counter", 8), ("expires_time_us", 9), ("type", "time"), ("x", 1)],
)
def test_any_change_breaks_the_signature(member: str, value: object) -> None:
    members = json.loads(sign(DOOR, KEY)) | {member: value}
    with pytest.raises(SignatureError):
        verify(json.dumps(members).encode(), KEYS, CAR)


def test_a_repeated_member_means_the_same_to_the_check_and_to_the_reader() -> None:
    payload = sign(DOOR, KEY)
    with pytest.raises(SignatureError):
        verify(payload[:-1] + b',"name":"honk_horn"}', KEYS, CAR)
    assert verify(b'{"name":"honk_horn",' + payload[1:], KEYS, CAR) == DOOR


def test_an_unknown_key_and_a_missing_signature_are_refused() -> None:
    with pytest.raises(SignatureError, match="does not know"):
        verify(sign(DOOR, KEY), {}, CAR)
    members = json.loads(sign(DOOR, KEY))
    del members["signature"]
    with pytest.raises(SignatureError, match="no signature"):
        verify(json.dumps(members).encode(), KEYS, CAR)


def test_a_message_for_another_car_is_refused() -> None:
    with pytest.raises(WrongVehicleError):
        verify(sign(DOOR, KEY), KEYS, OTHER_CAR)


def test_the_limit_is_told_from_the_length() -> None:
    with pytest.raises(MessageTooLargeError):
        verify(b"x" * (DOWN_BYTES_MAX + 1), KEYS, CAR)


@pytest.mark.parametrize("value", [float("nan"), 1 << 60, "\ud800"])
def test_what_has_no_canonical_form_is_not_signed(value: object) -> None:
    broken = Command(**{**_fields(DOOR), "parameters": {"p": value}})
    with pytest.raises(MalformedMessageError):
        sign(broken, KEY)


@given(st.binary(max_size=300))
def test_random_bytes_raise_only_the_codecs_own_error(payload: bytes) -> None:
    with pytest.raises(CommandCodecError):
        verify(payload, KEYS, CAR)


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.dictionaries(st.sampled_from(["type", "id", "key_id", "vehicle", "signature", "ids"]), _json)
)
def test_random_json_raises_only_the_codecs_own_error(members: dict[str, object]) -> None:
    with pytest.raises(CommandCodecError):
        verify(json.dumps(members).encode(), KEYS, CAR)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 255))
def test_one_changed_byte_is_refused_or_means_the_same(index: int, byte: int) -> None:
    payload = bytearray(sign(DOOR, KEY))
    payload[index % len(payload)] = byte
    with contextlib.suppress(CommandCodecError):
        assert verify(bytes(payload), KEYS, CAR) == DOOR


_WHOLE = st.integers(-(2**53) - 2, 2**53 + 2) | st.integers()
_TEXT = st.text(st.characters(), max_size=10)
_VALUES = st.recursive(
    st.none() | st.booleans() | _WHOLE | st.floats() | _TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXT, inner, max_size=4),
    max_leaves=10,
)


@given(st.dictionaries(_TEXT, _VALUES, max_size=6))
@settings(max_examples=200)
def test_the_canonical_form_is_that_of_rfc_8785(members: dict[str, object]) -> None:
    try:
        expected = rfc8785.dumps(members)  # type: ignore[arg-type]
    except (rfc8785.CanonicalizationError, UnicodeError):
        with pytest.raises(MalformedMessageError):
            canonical(members)
    else:
        assert canonical(members) == expected


@pytest.mark.parametrize("value", [2**53, -(2**53), [2**53], {"a": 2**53}])
def test_a_number_beyond_is_refused_wherever_it_stands(value: object) -> None:
    with pytest.raises(MalformedMessageError):
        canonical({"a": value})


def test_each_character_is_written_as_rfc_8785_has_it() -> None:
    for number in [*range(0xD800), *range(0xE000, 0x11000), 0x1F600, 0x10FFFF]:
        members = {"a": chr(number)}
        assert canonical(members) == rfc8785.dumps(members)  # type: ignore[arg-type]


def test_deep_nesting_is_refused() -> None:
    for payload in (b"[" * 60_000, b'{"a":' * 10_000 + b"1" + b"}" * 10_000):
        with pytest.raises(CommandCodecError):
            verify(payload, KEYS, CAR)


def _fields(message: Command) -> dict[str, object]:
    return {name: getattr(message, name) for name in message.__struct_fields__}
