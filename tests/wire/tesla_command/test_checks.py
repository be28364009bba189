"""The checks of a request: their order, each fault, and what they leave unchanged."""

import pytest
from tesla_protocol.command.universal_message_pb2 import MessageFault_E, RoutableMessage

from motorcade.wire.tesla_command.checks import UNCOUNTED_MAX, Peer, Place, check
from motorcade.wire.tesla_command.faults import Fault
from motorcade.wire.tesla_command.messages import INFOTAINMENT, VCSEC
from motorcade.wire.tesla_command.window import CounterWindow
from tests.wire.tesla_command.signer import VIN, Client, key

EPOCH = b"e" * 16
NOW_S = 1_000
CAR = key(1)
CLIENT = Client(key(2), CAR.public_key())


def peer(client: Client = CLIENT, counter: int = 10) -> Peer:
    window = CounterWindow(rising=client.domain == VCSEC)
    window.use(counter)
    return Peer(client.keys, window)


def place(domain: int = INFOTAINMENT, now_s: int = NOW_S) -> Place:
    return Place(VIN, domain, EPOCH, now_s)


def request(**changes: object) -> RoutableMessage:
    given = {"epoch": EPOCH, "counter": 11, "expires_at": NOW_S + 10, **changes}
    return CLIENT.request(b"payload", **given)


def spoiled(message: RoutableMessage) -> RoutableMessage:
    message.signature_data.HMAC_Personalized_data.tag = b"\0" * 32
    return message


def test_our_table_of_faults_is_the_protocol_s() -> None:
    theirs = {value.number: value.name for value in MessageFault_E.DESCRIPTOR.values}
    assert {fault.value: f"MESSAGEFAULT_ERROR_{fault.name}" for fault in Fault} == theirs


def test_a_good_request_passes_and_changes_nothing() -> None:
    known = peer()
    for _ in range(2):
        assert check(request(), known, place()) is Fault.NONE
    known.use(request(), NOW_S)
    assert check(request(), known, place()) is Fault.INVALID_TOKEN_OR_COUNTER


def test_the_epoch_need_not_be_said_but_is_always_signed() -> None:
    assert check(request(say_epoch=False), peer(), place()) is Fault.NONE
    other = request(say_epoch=False, epoch=b"o" * 16)
    assert check(other, peer(), place()) is Fault.INVALID_SIGNATURE


def test_flags_are_signed() -> None:
    message = request(flags=2)
    assert check(message, peer(), place()) is Fault.NONE
    message.flags = 0
    assert check(message, peer(), place()) is Fault.INVALID_SIGNATURE


@pytest.mark.parametrize(
    ("message", "fault"),
    [
        (request(epoch=b"o" * 16, expires_at=0, counter=1), Fault.INCORRECT_EPOCH),
        (request(expires_at=NOW_S - 1, counter=1), Fault.TIME_EXPIRED),
        (request(expires_at=0), Fault.TIME_EXPIRED),
        (request(expires_at=(1 << 30) + 1), Fault.BAD_PARAMETER),
        (spoiled(request(expires_at=NOW_S + 31, counter=9)), Fault.TIME_TO_LIVE_TOO_LONG),
        (spoiled(request(expires_at=NOW_S + 31, counter=0)), Fault.TIME_TO_LIVE_TOO_LONG),
        (spoiled(request(counter=10)), Fault.INVALID_SIGNATURE),
        (request(counter=10), Fault.INVALID_TOKEN_OR_COUNTER),
        (request(expires_at=NOW_S), Fault.NONE),
        (request(expires_at=NOW_S + 5_000), Fault.NONE),
        (request(counter=9, expires_at=NOW_S + 30), Fault.NONE),
    ],
)
def test_faults_in_their_order(message: RoutableMessage, fault: Fault) -> None:
    assert check(message, peer(), place()) is fault


def test_another_domain_s_request_is_refused_before_all_else() -> None:
    message = spoiled(request(epoch=b"o" * 16, expires_at=0))
    assert check(message, peer(), place(VCSEC)) is Fault.INVALID_DOMAINS


def test_vcsec_takes_no_counter_that_comes_late() -> None:
    client = Client(key(2), CAR.public_key(), domain=VCSEC)
    for counter in (0, 9):
        late = client.request(b"p", epoch=EPOCH, counter=counter, expires_at=NOW_S + 10)
        known = peer(client)
        assert check(late, known, place(VCSEC)) is Fault.INVALID_TOKEN_OR_COUNTER


def test_encrypted_requests_are_for_bluetooth() -> None:
    message = request()
    message.signature_data.AES_GCM_Personalized_data.counter = 11
    assert check(message, peer(), place()) is Fault.BAD_PARAMETER


def test_a_tag_cut_short_does_not_pass() -> None:
    message = request()
    message.signature_data.HMAC_Personalized_data.tag = (
        message.signature_data.HMAC_Personalized_data.tag[:16]
    )
    assert check(message, peer(), place()) is Fault.INVALID_SIGNATURE


def test_a_request_for_another_car_does_not_pass() -> None:
    other = Place("5YJ30123456789ABD", INFOTAINMENT, EPOCH, NOW_S)
    assert check(request(), peer(), other) is Fault.INVALID_SIGNATURE


def test_without_a_counter_a_message_acts_once_too() -> None:
    known, message = peer(), request(counter=0)
    assert check(message, known, place()) is Fault.NONE
    known.use(message, NOW_S)
    assert check(message, known, place(now_s=NOW_S + 10)) is Fault.INVALID_TOKEN_OR_COUNTER
    for number in range(UNCOUNTED_MAX - 1):
        other = request(counter=0, uuid=b"x", flags=number + 4)
        assert check(other, known, place()) is Fault.NONE
        known.use(other, NOW_S)
    one_more = request(counter=0, flags=1_000)
    assert check(one_more, known, place()) is Fault.BUSY
    later = request(counter=0, flags=1_000, expires_at=NOW_S + 20)
    assert check(later, known, place(now_s=NOW_S + 11)) is Fault.NONE
