"""A client's side of the protocol, written for the tests: it signs what a car is to check."""

from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import ec
from tesla_protocol.command.universal_message_pb2 import RoutableMessage

from motorcade.wire.tesla_command.keys import SharedKeys, agree, encode_public, make_private_key
from motorcade.wire.tesla_command.messages import INFOTAINMENT
from motorcade.wire.tesla_command.tags import command_tag

VIN = "5YJ30123456789ABC"
ADDRESS = bytes(range(16))


def key(number: int) -> ec.EllipticCurvePrivateKey:
    """A key that is the same in every run."""
    return make_private_key(bytes([number]) * 48)


@dataclass
class Client:
    """Signs for one domain of one car."""

    private: ec.EllipticCurvePrivateKey
    car: ec.EllipticCurvePublicKey
    vin: str = VIN
    domain: int = INFOTAINMENT

    @property
    def public(self) -> bytes:
        return encode_public(self.private.public_key())

    @property
    def keys(self) -> SharedKeys:
        return agree(self.private, self.car)

    def request(
        self,
        payload: bytes,
        *,
        epoch: bytes,
        counter: int,
        expires_at: int,
        flags: int = 0,
        uuid: bytes = b"u" * 16,
        say_epoch: bool = True,
    ) -> RoutableMessage:
        """A request that a car with this epoch accepts, unless it has reason not to."""
        message = RoutableMessage(protobuf_message_as_bytes=payload, uuid=uuid, flags=flags)
        message.to_destination.domain = self.domain
        message.from_destination.routing_address = ADDRESS
        message.signature_data.signer_identity.public_key = self.public
        said = message.signature_data.HMAC_Personalized_data
        said.counter, said.expires_at = counter, expires_at
        said.epoch = epoch if say_epoch else b""
        said.tag = command_tag(self.keys, self.vin, epoch, message)
        return message
