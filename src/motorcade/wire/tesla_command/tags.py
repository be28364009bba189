"""Tags over messages: session infos, requests, responses. No IO; nonces are arguments.

What a tag covers stands in the protocol document, "Metadata serialization". Tags are compared in
constant time, whole.
"""

import hashlib
import hmac
from typing import Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from tesla_protocol.command.signatures_pb2 import (
    AES_GCM_Response_Signature_Data,
    HMAC_Personalized_Signature_Data,
)
from tesla_protocol.command.universal_message_pb2 import RoutableMessage

from motorcade.wire.tesla_command.keys import SharedKeys
from motorcade.wire.tesla_command.messages import VCSEC
from motorcade.wire.tesla_command.metadata import Tag, serialize

TYPE_HMAC: Final = 6  # of session infos
TYPE_HMAC_PERSONALIZED: Final = 8  # of requests
TYPE_GCM_RESPONSE: Final = 9
TAG_BYTES: Final = 32
GCM_TAG_BYTES: Final = 16
NONCE_BYTES: Final = 12
_VCSEC_HASH_BYTES: Final = 17  # VCSEC keeps the type and half of an HMAC


def session_info_tag(keys: SharedKeys, vin: str, challenge: bytes, info: bytes) -> bytes:
    """The tag of an encoded SessionInfo, for whoever sent `challenge` as its uuid."""
    metadata = serialize(
        [
            (Tag.SIGNATURE_TYPE, bytes((TYPE_HMAC,))),
            (Tag.PERSONALIZATION, vin.encode()),
            (Tag.CHALLENGE, challenge),
        ]
    )
    return hmac.digest(keys.session_info, metadata + info, "sha256")


def command_tag(keys: SharedKeys, vin: str, epoch: bytes, message: RoutableMessage) -> bytes:
    """The tag that a request must carry, its domain's epoch being `epoch` whatever it says."""
    said = message.signature_data.HMAC_Personalized_data
    values: list[tuple[Tag, bytes | int]] = [
        (Tag.SIGNATURE_TYPE, bytes((TYPE_HMAC_PERSONALIZED,))),
        (Tag.DOMAIN, bytes((message.to_destination.domain & 0xFF,))),
        (Tag.PERSONALIZATION, vin.encode()),
        (Tag.EPOCH, epoch),
        (Tag.EXPIRES_AT, said.expires_at),
        (Tag.COUNTER, said.counter),
    ]
    if message.flags:
        values.append((Tag.FLAGS, message.flags))
    return hmac.digest(
        keys.command, serialize(values) + message.protobuf_message_as_bytes, "sha256"
    )


def is_authentic(keys: SharedKeys, vin: str, epoch: bytes, message: RoutableMessage) -> bool:
    """Whether the request's HMAC is what its signer and nobody else could write."""
    said: HMAC_Personalized_Signature_Data = message.signature_data.HMAC_Personalized_data
    return hmac.compare_digest(said.tag, command_tag(keys, vin, epoch, message))


def request_hash(message: RoutableMessage) -> bytes:
    """What binds a response to the request that it answers."""
    whole = bytes((TYPE_HMAC_PERSONALIZED,)) + message.signature_data.HMAC_Personalized_data.tag
    return whole[:_VCSEC_HASH_BYTES] if message.to_destination.domain == VCSEC else whole


def response_metadata(vin: str, response: RoutableMessage, counter: int, bound_to: bytes) -> bytes:
    """What authenticates a response beside its payload; `bound_to` is the request's hash."""
    fault = response.signedMessageStatus.signed_message_fault
    metadata = serialize(
        [
            (Tag.SIGNATURE_TYPE, bytes((TYPE_GCM_RESPONSE,))),
            (Tag.DOMAIN, bytes((response.from_destination.domain & 0xFF,))),
            (Tag.PERSONALIZATION, vin.encode()),
            (Tag.COUNTER, counter),
            (Tag.FLAGS, response.flags),
            (Tag.REQUEST_HASH, bound_to),
            (Tag.FAULT, int(fault)),
        ]
    )
    return hashlib.sha256(metadata).digest()


def encrypt_response(
    keys: SharedKeys,
    vin: str,
    response: RoutableMessage,
    *,
    counter: int,
    bound_to: bytes,
    nonce: bytes,
) -> None:
    """Encrypt the payload in place; fault and flags must be set. `nonce` is never used again."""
    associated = response_metadata(vin, response, counter, bound_to)
    sealed = AESGCM(keys.shared).encrypt(nonce, response.protobuf_message_as_bytes, associated)
    response.protobuf_message_as_bytes = sealed[:-GCM_TAG_BYTES]
    response.signature_data.AES_GCM_Response_data.CopyFrom(
        AES_GCM_Response_Signature_Data(nonce=nonce, counter=counter, tag=sealed[-GCM_TAG_BYTES:])
    )


def decrypt_response(
    keys: SharedKeys, vin: str, response: RoutableMessage, bound_to: bytes
) -> bytes:
    """A client's side. Raises `cryptography.exceptions.InvalidTag`."""
    sealed = response.signature_data.AES_GCM_Response_data
    associated = response_metadata(vin, response, sealed.counter, bound_to)
    payload = response.protobuf_message_as_bytes + sealed.tag
    return AESGCM(keys.shared).decrypt(sealed.nonce, payload, associated)
