"""A receiver with a machine that notes what it does, and clients that sign for it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tesla_protocol.command.car_server_pb2 import Action, Response
from tesla_protocol.command.signatures_pb2 import SessionInfo
from tesla_protocol.command.universal_message_pb2 import RoutableMessage
from tesla_protocol.command.vcsec_pb2 import FromVCSECMessage, UnsignedMessage

from motorcade.vehicle.disk import Disk, MemoryDisk
from motorcade.vehicle.program import Moment
from motorcade.vehicle.signed.keychain import Keychain
from motorcade.vehicle.signed.receiver import Received, Receiver
from motorcade.wire.tesla_command.keys import agree, encode_public, read_public
from motorcade.wire.tesla_command.messages import INFOTAINMENT
from motorcade.wire.tesla_command.tags import session_info_tag
from tests.vehicle.cloud import VIN, counting_entropy
from tests.wire.tesla_command.signer import ADDRESS, Client, key

CLOUD_KEY = 9  # KEY_FORM_FACTOR_CLOUD_KEY


@dataclass
class Machine:
    """Does what it is told, unless it is told to refuse."""

    done: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    refuses: dict[str, str] = field(default_factory=dict)
    said: dict[str, Any] = field(default_factory=lambda: {"locked": True, "soc": 61.4})

    def refusal(self, name: str, parameters: Mapping[str, Any], *, asleep_too: bool) -> str:
        return self.refuses.get(name, "")

    def apply(self, name: str, parameters: Mapping[str, Any]) -> None:
        self.done.append((name, dict(parameters)))

    def signals(self) -> Mapping[str, Any]:
        return self.said

    def asleep(self) -> bool:
        return False

    def occupied(self) -> bool:
        return False


def public(number: int) -> bytes:
    return encode_public(key(number).public_key())


class SignedCar:
    """A car whose clock the test moves."""

    def __init__(self, disk: Disk | None = None, seed: int = 1, keys_max: int = 20) -> None:
        self.disk = disk or MemoryDisk()
        self.machine = Machine()
        entropy = counting_entropy(seed)
        self.keychain = Keychain(self.disk, entropy=entropy, keys_max=keys_max)
        self.receiver = Receiver(VIN, self.keychain, self.machine, entropy)
        self.now_s = 1_000.0

    def pair(self, number: int, role: str = "OWNER") -> None:
        self.keychain.put(public(number), role, CLOUD_KEY)

    def receive(self, message: RoutableMessage | bytes) -> Received:
        data = message if isinstance(message, bytes) else message.SerializeToString()
        return self.receiver.receive(data, Moment(self.now_s, round(self.now_s * 1e6)))

    def answer(self, message: RoutableMessage) -> RoutableMessage:
        return RoutableMessage.FromString(self.receive(message).response)


class Signer:
    """A client with a session of one domain."""

    def __init__(self, car: SignedCar, number: int = 2, domain: int = INFOTAINMENT) -> None:
        self.car, self.number, self.domain = car, number, domain
        self.counter = 0
        self.uuids = 0

    def greet(self) -> RoutableMessage:
        """Ask for a session info, and take it if it is there."""
        self.uuids += 1
        message = RoutableMessage(uuid=b"%016d" % self.uuids)
        message.to_destination.domain = self.domain
        message.from_destination.routing_address = ADDRESS
        message.session_info_request.public_key = public(self.number)
        answer = self.car.answer(message)
        if answer.signature_data.HasField("session_info_tag"):
            self.take(answer, message.uuid)
        return answer

    def take(self, answer: RoutableMessage, uuid: bytes) -> None:
        """Believe a session info whose tag fits."""
        info = SessionInfo.FromString(answer.session_info)
        keys = agree(key(self.number), read_public(info.publicKey))
        tag = session_info_tag(keys, VIN, uuid, answer.session_info)
        assert tag == answer.signature_data.session_info_tag.tag
        self.client = Client(key(self.number), read_public(info.publicKey), VIN, self.domain)
        self.counter, self.epoch = info.counter, info.epoch
        self.begun_s = self.car.now_s - info.clock_time

    def sign(self, payload: bytes, **changes: Any) -> RoutableMessage:
        """The next request; `changes` as `Client.request` takes them."""
        self.counter += 1
        self.uuids += 1
        given = {
            "epoch": self.epoch,
            "counter": self.counter,
            "expires_at": int(self.car.now_s - self.begun_s) + 10,
            "uuid": b"%016d" % self.uuids,
            **changes,
        }
        return self.client.request(payload, **given)

    def send(self, payload: bytes, **changes: Any) -> RoutableMessage:
        return self.car.answer(self.sign(payload, **changes))


def action(**members: Any) -> bytes:
    """An Infotainment action, its one member given as a message or a dict."""
    message = Action()
    for name, value in members.items():
        target = getattr(message.vehicleAction, name)
        target.SetInParent()
        if isinstance(value, dict):
            for member, one in value.items():
                setattr(target, member, one)
        else:
            target.CopyFrom(value)
    return message.SerializeToString()


def unsigned(**members: Any) -> bytes:
    return UnsignedMessage(**members).SerializeToString()


def fault(answer: RoutableMessage) -> int:
    return int(answer.signedMessageStatus.signed_message_fault)


def infotainment(answer: RoutableMessage) -> Response:
    assert fault(answer) == 0
    return Response.FromString(answer.protobuf_message_as_bytes)


def vcsec(answer: RoutableMessage) -> FromVCSECMessage:
    assert fault(answer) == 0
    return FromVCSECMessage.FromString(answer.protobuf_message_as_bytes)


HONK = action(vehicleControlHonkHornAction={})
LOCK = unsigned(RKEAction=1)
