"""Requests from bytes, answers to them, and responses that only the asker can open."""

import pytest
from cryptography.exceptions import InvalidTag
from tesla_protocol.command.universal_message_pb2 import RoutableMessage

from motorcade.wire.tesla_command.errors import InvalidPublicKeyError, MalformedMessageError
from motorcade.wire.tesla_command.keys import encode_public, read_public
from motorcade.wire.tesla_command.messages import (
    INFOTAINMENT,
    MESSAGE_BYTES_MAX,
    VCSEC,
    answer_to,
    read_message,
)
from motorcade.wire.tesla_command.tags import decrypt_response, encrypt_response, request_hash
from tests.wire.tesla_command.signer import ADDRESS, VIN, Client, key


def request(domain: int = INFOTAINMENT) -> RoutableMessage:
    client = Client(key(2), key(1).public_key(), domain=domain)
    return client.request(b"payload", epoch=b"e" * 16, counter=1, expires_at=5)


def test_a_request_survives_the_wire() -> None:
    assert read_message(request().SerializeToString()) == request()


def without(field: str) -> RoutableMessage:
    message = request()
    message.ClearField(field)
    return message


def with_address(address: bytes) -> RoutableMessage:
    message = request()
    message.from_destination.routing_address = address
    return message


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "to_destination"),
        (b"\xff\xff\xff", "not a RoutableMessage"),
        (b"\x00" * (MESSAGE_BYTES_MAX + 1), "limit"),
        (without("to_destination").SerializeToString(), "to_destination"),
        (without("from_destination").SerializeToString(), "routing_address"),
        (with_address(ADDRESS[:15]).SerializeToString(), "routing_address"),
        (with_address(ADDRESS + b"x").SerializeToString(), "routing_address"),
        (without("protobuf_message_as_bytes").SerializeToString(), "payload"),
        (RoutableMessage(session_info=b"x", uuid=b"u" * 17).SerializeToString(), "to_destination"),
    ],
)
def test_what_cannot_be_routed_is_refused(data: bytes, text: str) -> None:
    with pytest.raises(MalformedMessageError, match=text):
        read_message(data)


def test_a_long_uuid_and_an_answer_are_refused() -> None:
    message = request()
    message.uuid = b"u" * 17
    with pytest.raises(MalformedMessageError, match="uuid"):
        read_message(message.SerializeToString())
    message = request()
    message.session_info = b"info"
    with pytest.raises(MalformedMessageError, match="payload"):
        read_message(message.SerializeToString())


def test_an_answer_goes_back_where_the_request_came_from() -> None:
    answer = answer_to(request())
    assert answer.to_destination.routing_address == ADDRESS
    assert answer.from_destination.domain == INFOTAINMENT
    assert answer.request_uuid == request().uuid


@pytest.mark.parametrize(("domain", "hash_bytes"), [(INFOTAINMENT, 33), (VCSEC, 17)])
def test_only_the_asker_opens_a_response_and_only_as_it_was_sent(
    domain: int, hash_bytes: int
) -> None:
    asked = request(domain)
    client = Client(key(2), key(1).public_key(), domain=domain)
    bound_to = request_hash(asked)
    assert len(bound_to) == hash_bytes
    answer = answer_to(asked)
    answer.protobuf_message_as_bytes = b"secret"
    answer.signedMessageStatus.signed_message_fault = 7
    encrypt_response(client.keys, VIN, answer, counter=3, bound_to=bound_to, nonce=b"n" * 12)
    assert answer.protobuf_message_as_bytes != b"secret"
    assert decrypt_response(client.keys, VIN, answer, bound_to) == b"secret"
    answer.signedMessageStatus.signed_message_fault = 0
    with pytest.raises(InvalidTag):
        decrypt_response(client.keys, VIN, answer, bound_to)


def test_public_keys_are_points_of_the_curve() -> None:
    good = encode_public(key(1).public_key())
    assert encode_public(read_public(good)) == good
    for bad in (b"", good[1:], b"\x02" + good[1:33], good[:-1] + bytes((good[-1] ^ 1,)), bytes(65)):
        with pytest.raises(InvalidPublicKeyError):
            read_public(bad)
