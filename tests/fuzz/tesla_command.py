"""Signed commands: requests with a good signature around any payload, and such tokens."""

import base64
import contextlib

from tesla_protocol.command.car_server_pb2 import GetVehicleData, HvacSeatCoolerActions
from tesla_protocol.command.universal_message_pb2 import RoutableMessage
from tesla_protocol.command.vcsec_pb2 import InformationRequest, KeyIdentifier, WhitelistOperation

from motorcade.wire.tesla_command.asks import UndecodableError, rights_of
from motorcade.wire.tesla_command.errors import InvalidTokenError, MalformedMessageError
from motorcade.wire.tesla_command.infotainment import read_infotainment
from motorcade.wire.tesla_command.jws import verify_token
from motorcade.wire.tesla_command.keys import key_identifier
from motorcade.wire.tesla_command.messages import VCSEC, read_message
from motorcade.wire.tesla_command.vcsec import read_vcsec
from tests.fuzz.target import Target
from tests.vehicle.signed import test_key_list
from tests.vehicle.signed.car import HONK, LOCK, SignedCar, Signer, action, public, unsigned
from tests.wire.tesla_command import test_asks, test_jws

WIRE = "motorcade.wire.tesla_command"
CAR = "motorcade.vehicle.signed"
UNSENT = 64  # in a step's second byte: it changes a new message instead of one that was sent
ROLES = ("OWNER", "FM", "DRIVER", "SERVICE")
STEPS_MAX = 80  # of an exchange: more than messages without a counter are remembered


def read_bytes(data: bytes) -> None:
    """A message that is read has what an answer needs."""
    try:
        message = read_message(data)
    except MalformedMessageError:
        return
    assert len(message.from_destination.routing_address) == 16
    assert read_message(message.SerializeToString()) == message
    car = SignedCar(seed=5)  # with other keys than the seeds were signed for
    car.pair(2)
    received = car.receive(data)
    assert received.response
    assert not received.acted  # nobody signed it


def exchange(data: bytes) -> None:
    """Three bytes are a step: sign, send again, change on the way, let time pass. What was signed
    well acts once at most, what was changed never."""
    car = SignedCar()
    car.pair(2)
    signers = [Signer(car), Signer(car, domain=VCSEC)]
    for signer in signers:
        signer.greet()
    sent: list[bytes] = []
    acted: set[bytes] = set()
    for step in (data[at : at + 3] for at in range(0, min(len(data), 3 * STEPS_MAX) - 2, 3)):
        kind, first, second = step
        if kind % 4 == 0:
            car.now_s += first + second / 100
            continue
        signer = signers[first & 1]
        fresh = kind % 4 == 1 or not sent or bool(first & UNSENT)
        message = _sign(signer, first, second) if fresh else _again(sent, first)
        changed = kind % 4 == 3 and _change(message, second)
        if fresh and not changed:
            sent.append(message.SerializeToString())
        received = car.receive(message)
        assert received.response
        raw = message.signature_data.HMAC_Personalized_data.tag
        assert not (received.acted and (changed or raw in acted))
        if received.acted:
            acted.add(raw)


def _sign(signer: Signer, first: int, second: int) -> RoutableMessage:
    """The signer's next message, or one out of order, late, without counter or epoch."""
    counter = 0 if first & 2 else max(1, signer.counter + (first >> 3 & 7) - 4)
    expires_at = int(signer.car.now_s - signer.begun_s) + second - 20
    return signer.sign(
        HONK if signer.domain != VCSEC else LOCK,
        counter=counter,
        expires_at=max(0, expires_at),
        say_epoch=not first & 4,
        flags=2 * (second & 1),
    )


def _again(sent: list[bytes], which: int) -> RoutableMessage:
    return RoutableMessage.FromString(sent[which % len(sent)])


def _change(message: RoutableMessage, how: int) -> bool:
    """Change what the signature covers, or the signer; whether it is another message then."""
    before = message.SerializeToString(deterministic=True)
    said = message.signature_data.HMAC_Personalized_data
    match how % 9:
        case 0:
            said.counter += how
        case 1:
            said.expires_at += how
        case 2:
            message.flags ^= how
        case 3:
            message.protobuf_message_as_bytes += bytes([how])
        case 4:
            said.tag = said.tag[: how % 32]
        case 5:
            said.epoch = bytes(16)
        case 6:
            message.to_destination.domain = how % 5  # type: ignore[assignment]
        case 7:
            message.signature_data.signer_identity.public_key = public(3)
        case 8:
            message.signature_data.AES_GCM_Personalized_data.counter = how
    return message.SerializeToString(deterministic=True) != before


def read_payloads(data: bytes) -> None:
    """Whatever a key of any role signs is answered, in both domains, and read alike by the cloud.
    The first byte is the role."""
    role, payload = ROLES[data[0] % len(ROLES) if data else 0], data[1:]
    for domain, read in ((3, read_infotainment), (VCSEC, read_vcsec)):
        with contextlib.suppress(UndecodableError):
            rights_of(read(payload))
        car = SignedCar()
        car.pair(2, role)
        car.pair(4, "DRIVER")
        signer = Signer(car, domain=domain)
        signer.greet()
        assert car.receive(signer.sign(payload, flags=2)).response
        kept = [entry.role for entry in car.receiver.keychain]
        assert role in kept  # nobody takes the own key out
        assert role == "OWNER" or "OWNER" not in kept  # nor makes owners


def read_tokens(data: bytes) -> None:
    for token in (data.decode("latin-1"), test_jws.sign_parts(data)):
        try:
            said = verify_token(token)
        except InvalidTokenError:
            continue
        assert len(said.public_key) == 65
        assert "iss" not in said.claims


def _messages() -> list[bytes]:
    car = SignedCar()
    car.pair(2)
    signers = [Signer(car), Signer(car, domain=VCSEC)]
    sent = []
    for signer, payload in zip(signers, (HONK, LOCK), strict=True):
        signer.greet()
        sent.append(signer.sign(payload).SerializeToString())
    return [*sent, b"", b"\xff", b"\x00" * (33 << 10)]


def _exchanges() -> list[bytes]:
    sign, again, change, wait = 1, 2, 3, 0
    sent = bytes([sign, 32, 30])
    return [
        sent * 3,
        sent + bytes([again, 0, 0]),
        bytes([sign, 2, 30, again, 0, 0, sign, 2, 60, sign, 36, 30]),
        bytes([sign, 32, 30, wait, 200, 0, sign, 33, 10]),
        bytes([sign, 40, 30, sign, 40, 31, sign, 32, 100]),
        bytes([sign, 33, 31, sign, 0, 90, sign, 0, 25]),
        bytes([sign, 2, 30]) * STEPS_MAX,
        *(bytes([change, which, how]) for which in (0, UNSENT | 32) for how in range(27, 36)),
    ]


def _payloads() -> list[bytes]:
    actions = [action(**members) for members, _, _ in test_asks.EXPECTED]
    actions += [
        action(ping={"ping_id": 7}),
        action(getVehicleData=GetVehicleData(getChargeState={}, getDriveState={})),
        action(hvacSeatCoolerActions=HvacSeatCoolerActions(hvacSeatCoolerAction=[{}])),
        action(vehicleControlTriggerHomelinkAction={}),
    ]
    others = [LOCK, *(unsigned(RKEAction=number) for number in (30, 31, 99)), b"\xff\xff", b""]
    owners = [b"\0" + payload for payload in (*actions, *others, *_key_operations())]
    return owners + [bytes([role]) + each for role in (1, 2, 3) for each in _key_operations()]


def _key_operations() -> list[bytes]:
    add, update, remove = test_key_list.add, test_key_list.update, test_key_list.remove
    who = public(4)
    asked = [
        InformationRequest(informationRequestType=5),  # type: ignore[arg-type]
        InformationRequest(informationRequestType=6, slot=9),  # type: ignore[arg-type]
        InformationRequest(informationRequestType=6, publicKey=who),  # type: ignore[arg-type]
        InformationRequest(
            informationRequestType=6,  # type: ignore[arg-type]
            keyId=KeyIdentifier(publicKeySHA1=key_identifier(who)),
        ),
        InformationRequest(informationRequestType=3),  # type: ignore[arg-type]
    ]
    changes = [
        *(add(6), add(6, 0), add(6, 1), add(4), add(6, raw=b"x")),
        *(update(4, 2), update(4, 0), update(4, 1), update(2, 3), update(7, 2)),
        *(remove(4), remove(2), remove(7)),
    ]
    unknown = unsigned(WhitelistOperation=WhitelistOperation())
    return [*changes, unknown, *(unsigned(InformationRequest=one) for one in asked)]


def _tokens() -> list[bytes]:
    return [test_jws.token().encode(), base64.b64encode(b"x"), b"{}", b'{"iss":1}', b"\xe9.."]


TARGETS = (
    Target("signed-messages", read_bytes, _messages, (f"{WIRE}.messages",)),
    Target(
        "signed-exchanges",
        exchange,
        _exchanges,
        (f"{WIRE}.checks", f"{WIRE}.window"),
        bytes_max=3 * STEPS_MAX,
        mutations=120,
    ),
    Target(
        "signed-payloads",
        read_payloads,
        _payloads,
        (f"{WIRE}.infotainment", f"{WIRE}.vcsec", f"{CAR}.key_list"),
        mutations=300,
    ),
    Target("signed-tokens", read_tokens, _tokens, (f"{WIRE}.jws",), mutations=120),
)
