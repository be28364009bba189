"""Takes signed messages: who sent it, may he, do it, answer. The order is the protocol's (§4.5).

The car is asked and changed through what is handed in, so that this module knows commands by name
alone. Time and chance are arguments. Whoever calls has written to the car's journal before: nothing
here is done twice for one message of the cloud, nor for one message of a client (`checks.py`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from tesla_protocol.command.car_server_pb2 import Response
from tesla_protocol.command.signatures_pb2 import SessionInfo
from tesla_protocol.command.universal_message_pb2 import RoutableMessage
from tesla_protocol.command.vcsec_pb2 import FromVCSECMessage

from motorcade.vehicle.program import Moment
from motorcade.vehicle.signed import closures, key_list, telling
from motorcade.vehicle.signed.domain import Domain
from motorcade.vehicle.signed.keychain import Keychain, KeyEntry
from motorcade.vehicle.signed.roles import SERVICE_DEEDS, rights_of_role
from motorcade.wire.tesla_command.asks import (
    Ask,
    Closures,
    Data,
    Deed,
    Deeds,
    Information,
    KeyOperation,
    Ping,
    UndecodableError,
    Unsupported,
    rights_of,
)
from motorcade.wire.tesla_command.checks import Peer, check
from motorcade.wire.tesla_command.errors import MalformedMessageError
from motorcade.wire.tesla_command.faults import RESYNC, Fault
from motorcade.wire.tesla_command.infotainment import read_infotainment
from motorcade.wire.tesla_command.messages import (
    ENCRYPT_RESPONSE,
    INFOTAINMENT,
    VCSEC,
    answer_to,
    read_message,
)
from motorcade.wire.tesla_command.tags import NONCE_BYTES, encrypt_response, request_hash
from motorcade.wire.tesla_command.vcsec import read_vcsec

RESPONSE_BYTES_MAX: Final = 16 << 10
KEY_NOT_ON_LIST: Final = 1  # SESSION_INFO_STATUS_KEY_NOT_ON_WHITELIST
MALFORMED: Final = "malformed"
_UNKNOWN_COMMAND: Final = "unknown_command"  # as `actions.refusal` says it
_ALREADY: Final = "already_set"
_GENERIC: Final = {
    "vehicle_is_driving": 5,  # VEHICLE_NOT_IN_PARK
    "door_open": 2,  # CLOSURES_OPEN
}
_GENERIC_DISABLED: Final = 4
_GENERIC_NOT_SUPPORTED: Final = 9
_READERS: Final[dict[int, Callable[[bytes], Ask]]] = {
    VCSEC: read_vcsec,
    INFOTAINMENT: read_infotainment,
}


class Machine(Protocol):
    """The car that is commanded."""

    def refusal(self, name: str, parameters: Mapping[str, Any], *, asleep_too: bool) -> str:
        """Why it does not carry this out now; empty if it does. `asleep_too`: its sleep is no
        reason, for the body controller never sleeps."""

    def apply(self, name: str, parameters: Mapping[str, Any]) -> None:
        """Carry it out."""

    def signals(self) -> Mapping[str, Any]:
        """What it says of itself, by catalogue name, in stored units."""

    def asleep(self) -> bool:
        """Whether it sleeps."""

    def occupied(self) -> bool:
        """Whether somebody sits in it."""


@dataclass(frozen=True, slots=True)
class Received:
    """What became of a message."""

    response: bytes  # a RoutableMessage; empty when there was nobody to answer
    reason: str = ""  # why it was refused; empty: done
    acted: bool = False  # the car did something
    keys_changed: bool = False


@dataclass(frozen=True, slots=True)
class _Said:
    """An answer's payload, or a fault instead of it."""

    payload: bytes = b""
    fault: Fault = Fault.NONE
    reason: str = ""
    acted: bool = False
    keys_changed: bool = False


class Receiver:
    """One car's end of the protocol."""

    def __init__(
        self, vin: str, keychain: Keychain, machine: Machine, entropy: Callable[[int], bytes]
    ) -> None:
        self.keychain = keychain
        self._vin = vin
        self._machine = machine
        self._entropy = entropy
        self._domains: dict[int, Domain] = {}

    def receive(self, data: bytes, now: Moment) -> Received:
        """Take a RoutableMessage. Raises `OSError` when the key list cannot be written."""
        try:
            message = read_message(data)
        except MalformedMessageError:
            return Received(b"", MALFORMED)
        answer = answer_to(message)
        said = self._judge(message, answer, now)
        if said.fault is not Fault.NONE:
            answer.signedMessageStatus.signed_message_fault = int(said.fault)  # type: ignore[assignment]
        response = answer.SerializeToString()
        if len(response) > RESPONSE_BYTES_MAX:
            return self._too_long(message, said)
        reason = said.reason or (_reason(said.fault) if said.fault is not Fault.NONE else "")
        return Received(response, reason, said.acted, said.keys_changed)

    def _judge(self, message: RoutableMessage, answer: RoutableMessage, now: Moment) -> _Said:
        number = int(message.to_destination.domain)
        if number not in _READERS:
            return _Said(fault=Fault.INVALID_DOMAINS)
        if self.keychain.damage:
            return _Said(fault=Fault.NOT_PROVISIONED_WITH_IDENTITY)
        domain = self._domain(number, now)
        if message.WhichOneof("payload") == "session_info_request":
            return self._greet(message, answer, domain, now)
        if not message.HasField("signature_data"):
            return self._unsigned(message, answer, domain)
        return self._signed(message, answer, domain, now)

    def _domain(self, number: int, now: Moment) -> Domain:
        """Made when it is first spoken to: its key may have to be drawn and written."""
        domain = self._domains.get(number)
        if domain is None:
            private = self.keychain.private(number)
            domain = Domain(number, self._vin, private, self._entropy, now.monotonic_s)
            self._domains[number] = domain
        return domain

    def _greet(
        self, message: RoutableMessage, answer: RoutableMessage, domain: Domain, now: Moment
    ) -> _Said:
        """A client without a session: tell it ours, if we know its key."""
        public = message.session_info_request.public_key
        if self.keychain.find(public) is None:
            info = SessionInfo(status=KEY_NOT_ON_LIST)  # type: ignore[arg-type]
            answer.session_info = info.SerializeToString()
            return _Said(reason=_reason(Fault.UNKNOWN_KEY_ID))
        peer = domain.peer(public, now.monotonic_s)
        domain.tell_session(answer, peer, now.monotonic_s)
        return _Said()

    def _unsigned(self, message: RoutableMessage, answer: RoutableMessage, domain: Domain) -> _Said:
        """Without a key one may ask VCSEC for information, and nothing else."""
        ask = _read(domain.number, message.protobuf_message_as_bytes)
        if ask is None:
            return _Said(fault=Fault.DECODING)
        if not isinstance(ask, Information):
            return _Said(fault=Fault.BAD_PARAMETER)
        said = self._inform(ask)
        if said.fault is Fault.NONE:
            answer.protobuf_message_as_bytes = said.payload
        return said

    def _signed(
        self, message: RoutableMessage, answer: RoutableMessage, domain: Domain, now: Moment
    ) -> _Said:
        signer = self.keychain.find(message.signature_data.signer_identity.public_key)
        if signer is None:
            return _Said(fault=Fault.UNKNOWN_KEY_ID)
        peer = domain.peer(bytes.fromhex(signer.public_key), now.monotonic_s)
        place = domain.place(now.monotonic_s)
        fault = check(message, peer, place)
        if fault is not Fault.NONE:
            if fault in RESYNC:
                domain.tell_session(answer, peer, now.monotonic_s)
            return _Said(fault=fault)
        peer.use(message, place.now_s)
        said = self._answer(message, domain, signer, now)
        self._seal(message, answer, said, peer)
        return said

    def _seal(
        self, message: RoutableMessage, answer: RoutableMessage, said: _Said, peer: Peer
    ) -> None:
        """The payload goes into the answer, encrypted if the client asked for that."""
        if said.fault is Fault.NONE:
            answer.protobuf_message_as_bytes = said.payload
        if not message.flags & ENCRYPT_RESPONSE:
            return
        if said.fault is not Fault.NONE:
            answer.signedMessageStatus.signed_message_fault = int(said.fault)  # type: ignore[assignment]
        peer.responses += 1
        encrypt_response(
            peer.keys,
            self._vin,
            answer,
            counter=peer.responses,
            bound_to=request_hash(message),
            nonce=self._entropy(NONCE_BYTES),
        )

    def _answer(
        self, message: RoutableMessage, domain: Domain, signer: KeyEntry, now: Moment
    ) -> _Said:
        ask = _read(domain.number, message.protobuf_message_as_bytes)
        if ask is None:
            return _Said(fault=Fault.DECODING)
        if not _may(signer, ask):
            return _Said(fault=Fault.INSUFFICIENT_PRIVILEGES)
        match ask:
            case Information():
                return self._inform(ask)
            case KeyOperation(operation=operation):
                return self._change_keys(key_list.change(self.keychain, operation, signer))
            case Closures(request=request):
                deeds = closures.deeds_of(request, self._machine.signals())
                if deeds is None:
                    return _Said(_generic(_GENERIC_NOT_SUPPORTED), reason="not_supported")
                return self._act(domain, deeds)
            case Deeds(deeds=asked):
                return self._act(domain, list(asked))
            case Data(states=states):
                response = Response()
                signals = self._machine.signals()
                response.vehicleData.CopyFrom(telling.vehicle_data(states, signals, now.wall_us))
                return _Said(response.SerializeToString())
            case Ping(ping_id=ping_id):
                response = Response()
                response.ping.ping_id = ping_id
                response.ping.local_timestamp.FromMicroseconds(now.wall_us)
                return _Said(response.SerializeToString())
            case Unsupported():
                return _Said(fault=Fault.INVALID_COMMAND)

    def _inform(self, ask: Information) -> _Said:
        if int(ask.request.informationRequestType) == 0:  # GET_STATUS
            machine = self._machine
            status = telling.body_status(
                machine.signals(), asleep=machine.asleep(), occupied=machine.occupied()
            )
            return _Said(status.SerializeToString())
        told = key_list.tell(self.keychain, ask.request)
        if told is None:
            return _Said(fault=Fault.INVALID_COMMAND)
        return _Said(told.SerializeToString())

    def _change_keys(self, answered: FromVCSECMessage) -> _Said:
        status = answered.commandStatus.whitelistOperationStatus
        failed = answered.HasField("nominalError") or status.whitelistOperationInformation != 0
        payload = answered.SerializeToString()
        if failed:
            return _Said(payload, reason=f"key_list_{int(status.whitelistOperationInformation)}")
        return _Said(payload, acted=True, keys_changed=True)

    def _act(self, domain: Domain, deeds: list[Deed]) -> _Said:
        """All of them or none, as far as can be told before the first."""
        in_vcsec = domain.number == VCSEC
        wanted = []
        for deed in deeds:
            reason = self._machine.refusal(deed.name, deed.parameters, asleep_too=in_vcsec)
            if reason == _UNKNOWN_COMMAND:
                return _Said(fault=Fault.INVALID_COMMAND)
            if reason == _ALREADY and in_vcsec:
                continue  # a locked car that is to be locked is a success
            if reason:
                return _refused(reason, in_vcsec=in_vcsec)
            wanted.append(deed)
        for deed in wanted:
            self._machine.apply(deed.name, deed.parameters)
        payload = b"" if in_vcsec else _action_status()
        return _Said(payload, acted=bool(wanted))

    def _too_long(self, message: RoutableMessage, said: _Said) -> Received:
        answer = answer_to(message)
        fault = Fault.RESPONSE_MTU_EXCEEDED
        answer.signedMessageStatus.signed_message_fault = int(fault)  # type: ignore[assignment]
        return Received(answer.SerializeToString(), _reason(fault), said.acted, said.keys_changed)


def _read(domain: int, payload: bytes) -> Ask | None:
    try:
        return _READERS[domain](payload)
    except UndecodableError:
        return None


def _may(signer: KeyEntry, ask: Ask) -> bool:
    if rights_of(ask) <= rights_of_role(signer.role):
        return True
    if signer.role != "SERVICE" or not isinstance(ask, Deeds):
        return False
    return {deed.name for deed in ask.deeds} <= SERVICE_DEEDS


def _refused(reason: str, *, in_vcsec: bool) -> _Said:
    if in_vcsec:
        return _Said(_generic(_GENERIC.get(reason, _GENERIC_DISABLED)), reason=reason)
    return _Said(_action_status(reason), reason=reason)


def _action_status(reason: str = "") -> bytes:
    response = Response()
    response.actionStatus.result = int(bool(reason))  # type: ignore[assignment]  # OK, ERROR
    if reason:
        response.actionStatus.result_reason.plain_text = reason
    return response.SerializeToString()


def _generic(error: int) -> bytes:
    answer = FromVCSECMessage()
    answer.nominalError.genericError = error  # type: ignore[assignment]
    return answer.SerializeToString()


def _reason(fault: Fault) -> str:
    return f"fault_{fault.value}_{fault.name.lower()}"
