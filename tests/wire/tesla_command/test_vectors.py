"""The published vectors of the protocol document (vehicle-command, pkg/protocol/protocol.md)."""

import hashlib

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from tesla_protocol.command.car_server_pb2 import Action
from tesla_protocol.command.signatures_pb2 import SessionInfo
from tesla_protocol.command.universal_message_pb2 import RoutableMessage
from tesla_protocol.command.vcsec_pb2 import UnsignedMessage

from motorcade.wire.tesla_command import schnorr
from motorcade.wire.tesla_command.keys import agree, encode_public, read_public
from motorcade.wire.tesla_command.messages import INFOTAINMENT, VCSEC
from motorcade.wire.tesla_command.metadata import Tag, serialize
from motorcade.wire.tesla_command.tags import session_info_tag

VIN = "5YJ30123456789ABC"
CAR_PRIVATE = 0x344EE5B466A7CF1EEB12B6F50331DB2E5EC5834EF5F4BEFCFD8CBE55C2528D70
CAR_PUBLIC = bytes.fromhex(
    "04c7a1f47138486aa4729971494878d33b1a24e39571f748a6e16c5955b3d877d3"
    "a6aaa0e955166474af5d32c410f439a2234137ad1bb085fd4e8813c958f11d97"
)
CLIENT_PRIVATE = 0x2538CDC29A97C19C1E99A637D6CF4F8C970C118B56EDE1E6323E6D162C4B30DB
CLIENT_PUBLIC = bytes.fromhex(
    "04b2b6bc68c2da0665ce656815594996c62394edd8bea905fe781a754fe6a845a7"
    "14330902f225e9269d466e05b349981fda9d85cc23c6fb444aa73b629105dc6e"
)
SHARED = bytes.fromhex("1b2fce19967b79db696f909cff89ea9a")
SESSION_INFO_KEY = "fceb679ee7bca756fcd441bf238bf2f338629b41d9eb9c67be1b32c9672ce300"
EPOCH = bytes.fromhex("4c463f9cc0d3d26906e982ed224adde6")
INFO = bytes.fromhex(
    "0806124104c7a1f47138486aa4729971494878d33b1a24e39571f748a6e16c5955b3d877d3a6aaa0e955166474af5d"
    "32c410f439a2234137ad1bb085fd4e8813c958f11d971a104c463f9cc0d3d26906e982ed224adde6255a0a0000"
)
UUID = bytes.fromhex("1588d5a30eabc6f8fc9a951b11f6fd11")
GCM_METADATA = (
    "000105010103021135594a333031323334353637383941424303104c463f9cc0d3d26906e982ed224adde6"
    "040400000a5f050400000007ff"
)


def private(number: int) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(number, ec.SECP256R1())


def test_public_keys_are_encoded_as_published() -> None:
    assert encode_public(private(CAR_PRIVATE).public_key()) == CAR_PUBLIC
    assert encode_public(private(CLIENT_PRIVATE).public_key()) == CLIENT_PUBLIC


def test_both_ends_agree_on_the_published_keys() -> None:
    car = agree(private(CAR_PRIVATE), read_public(CLIENT_PUBLIC))
    assert car == agree(private(CLIENT_PRIVATE), read_public(CAR_PUBLIC))
    assert car.shared == SHARED
    assert car.session_info.hex() == SESSION_INFO_KEY


def test_metadata_of_the_examples() -> None:
    assert serialize([(Tag.PERSONALIZATION, b"abc"), (Tag.COUNTER, 100)]).hex() == (
        "0203616263050400000064ff"
    )
    values: list[tuple[Tag, bytes | int]] = [
        (Tag.SIGNATURE_TYPE, b"\x05"),
        (Tag.DOMAIN, bytes((INFOTAINMENT,))),
        (Tag.PERSONALIZATION, VIN.encode()),
        (Tag.EPOCH, EPOCH),
        (Tag.EXPIRES_AT, 2655),
        (Tag.COUNTER, 7),
    ]
    assert serialize(values).hex() == GCM_METADATA


def test_the_session_info_and_its_tag() -> None:
    info = SessionInfo.FromString(INFO)
    assert (info.counter, info.clock_time, info.epoch) == (6, 2650, EPOCH)
    assert info.publicKey == CAR_PUBLIC
    keys = agree(private(CAR_PRIVATE), read_public(CLIENT_PUBLIC))
    assert session_info_tag(keys, VIN, UUID, INFO).hex() == (
        "996c1fe38331be138f8039c194b14db2198846ed7d8251e6749284d7b32ea002"
    )


def test_the_encrypted_command_of_the_example_opens_to_its_payload() -> None:
    associated = hashlib.sha256(bytes.fromhex(GCM_METADATA)).digest()
    sealed = bytes.fromhex("38038e8c0f2e" + "8e128da165f162f4d7d2c8da866cf82a")
    payload = AESGCM(SHARED).decrypt(bytes.fromhex("dbf79447fa156674dae1caed"), sealed, associated)
    assert payload.hex() == "120452020801"
    assert Action.FromString(payload).vehicleAction.hvacAutoAction.power_on


def test_the_message_of_the_example_is_read() -> None:
    sent = bytes.fromhex(
        "320208023a1212100a7962c10d38b61dd2a7722780a4f0969a031005514f57616bcc81a8ce0f9d7b4832295204"
        "0a020805"
    )
    message = RoutableMessage.FromString(sent)
    assert message.to_destination.domain == VCSEC
    asked = UnsignedMessage.FromString(message.protobuf_message_as_bytes)
    assert asked.InformationRequest.informationRequestType == 5  # GET_WHITELIST_INFO


def test_the_schnorr_signature_of_the_sdk() -> None:
    signature = bytes.fromhex(
        "7cfdbeb5baa730540401550bdefa20976453e8539ae4b2f26ce33125801a08f9"
        "0ed20c3d846497ff82cc9772e3db4703982f47bd0b0b89dfb9a49cd2e5240546"
        "02b1e05fbf95f5686faea7a5809eb92f5ecc22eae74ceccc5e2a65dd67ff20fc"
    )
    public = encode_public(private(3 << 248).public_key())
    assert schnorr.verify(public, b"hello world", signature)
    for at in (0, 31, 32, 63, 64, 95):
        broken = bytearray(signature)
        broken[at] ^= 1
        assert not schnorr.verify(public, b"hello world", bytes(broken))
    assert not schnorr.verify(public, b"iello world", signature)
    assert not schnorr.verify(CLIENT_PUBLIC, b"hello world", signature)
    assert not schnorr.verify(public, b"hello world", signature[:-1])
