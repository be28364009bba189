"""Signed commands: requests with a good signature around any payload, and such tokens."""

import base64
import contextlib

from motorcade.wire.tesla_command.asks import UndecodableError, rights_of
from motorcade.wire.tesla_command.errors import InvalidTokenError, MalformedMessageError
from motorcade.wire.tesla_command.infotainment import read_infotainment
from motorcade.wire.tesla_command.jws import verify_token
from motorcade.wire.tesla_command.messages import VCSEC, read_message
from motorcade.wire.tesla_command.vcsec import read_vcsec
from tests.fuzz.target import Target
from tests.vehicle.signed import test_key_list
from tests.vehicle.signed.car import HONK, LOCK, SignedCar, Signer, action, public, unsigned
from tests.wire.tesla_command import test_asks, test_jws

WIRE = "motorcade.wire.tesla_command"
CAR = "motorcade.vehicle.signed"


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


def read_payloads(data: bytes) -> None:
    """Whatever an owner signs is answered, in both domains, and read alike by the cloud."""
    for domain, read in ((3, read_infotainment), (VCSEC, read_vcsec)):
        with contextlib.suppress(UndecodableError):
            rights_of(read(data))
        car = SignedCar()
        car.pair(2)
        signer = Signer(car, domain=domain)
        signer.greet()
        assert car.receive(signer.sign(data, flags=2)).response
        assert (
            car.receiver.keychain.find(public(2)) is not None
        )  # an owner does not lock itself out


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


def _payloads() -> list[bytes]:
    actions = [action(**members) for members, _, _ in test_asks.EXPECTED]
    return [*actions, LOCK, unsigned(RKEAction=31), b"\xff\xff", *_key_operations()]


def _key_operations() -> list[bytes]:
    return [test_key_list.add(6), test_key_list.update(3, 2), test_key_list.remove(2)]


def _tokens() -> list[bytes]:
    return [test_jws.token().encode(), base64.b64encode(b"x"), b"{}", b'{"iss":1}', b"\xe9.."]


TARGETS = (
    Target("signed-messages", read_bytes, _messages, (f"{WIRE}.messages", f"{CAR}.receiver")),
    Target(
        "signed-payloads",
        read_payloads,
        _payloads,
        (f"{WIRE}.infotainment", f"{WIRE}.vcsec", f"{CAR}.receiver", f"{CAR}.key_list"),
        mutations=300,
    ),
    Target("signed-tokens", read_tokens, _tokens, (f"{WIRE}.jws",), mutations=120),
)
