"""The key list by signed operations: who may add, change and remove whom."""

from typing import Any

import pytest
from tesla_protocol.command.vcsec_pb2 import (
    CommandStatus,
    InformationRequest,
    KeyMetadata,
    PermissionChange,
    PublicKey,
    WhitelistOperation,
)

from motorcade.vehicle.signed import key_list
from motorcade.wire.command.messages import KEYS_MAX
from motorcade.wire.tesla_command.faults import Fault
from motorcade.wire.tesla_command.messages import VCSEC
from tests.vehicle.signed.car import LOCK, SignedCar, Signer, fault, public, unsigned, vcsec

OWNER, DRIVER, FM, SERVICE, NONE = 2, 3, 4, 1, 0


def add(number: int, role: int = DRIVER, raw: bytes | None = None) -> bytes:
    key = PublicKey(PublicKeyRaw=public(number) if raw is None else raw)
    return unsigned(
        WhitelistOperation=WhitelistOperation(
            addKeyToWhitelistAndAddPermissions=PermissionChange(key=key, keyRole=role),
            metadataForKey=KeyMetadata(keyFormFactor=6),
        )
    )


def update(number: int, role: int) -> bytes:
    change = PermissionChange(key=PublicKey(PublicKeyRaw=public(number)), keyRole=role)
    return unsigned(WhitelistOperation=WhitelistOperation(updateKeyAndPermissions=change))


def remove(number: int) -> bytes:
    key = PublicKey(PublicKeyRaw=public(number))
    return unsigned(WhitelistOperation=WhitelistOperation(removePublicKeyFromWhitelist=key))


def signer(car: SignedCar, number: int) -> Signer:
    one = Signer(car, number, VCSEC)
    one.greet()
    return one


def status(answer: Any) -> CommandStatus:
    return vcsec(answer).commandStatus


def code(answer: Any) -> int:
    return int(status(answer).whitelistOperationStatus.whitelistOperationInformation)


def test_the_mask_of_slots_holds_a_full_list() -> None:
    car = SignedCar(keys_max=KEYS_MAX)
    for number in range(1, KEYS_MAX + 1):
        car.pair(number)
    asked = InformationRequest(informationRequestType=5)  # type: ignore[arg-type]
    told = key_list.tell(car.keychain, asked)
    assert told is not None
    assert told.whitelistInfo.slotMask == (1 << KEYS_MAX) - 1


@pytest.fixture
def car() -> SignedCar:
    car = SignedCar(keys_max=5)
    for number, role in ((2, "OWNER"), (3, "DRIVER"), (4, "FM"), (5, "SERVICE")):
        car.pair(number, role)
    return car


def test_an_owner_adds_a_key_that_works_and_removes_it(car: SignedCar) -> None:
    owner = signer(car, 2)
    received = car.receive(owner.sign(add(6)))
    assert (received.reason, received.keys_changed) == ("", True)
    new = signer(car, 6)
    assert fault(new.send(LOCK)) == 0
    answer = status(owner.send(remove(6)))
    assert answer.operationStatus == 0
    assert answer.whitelistOperationStatus.signerOfOperation.publicKeySHA1
    assert fault(new.send(LOCK)) == Fault.UNKNOWN_KEY_ID
    assert [name for name, _ in car.machine.done] == ["door_lock"]


@pytest.mark.parametrize(
    ("number", "payload", "expected"),
    [
        (2, add(3), key_list.ON_LIST_ALREADY),
        (2, add(7, NONE), key_list.NO_ROLE),
        (2, add(7, SERVICE), key_list.SERVICE_ROLE),
        (2, add(7, raw=b"\x04" + bytes(64)), key_list.INVALID_KEY),
        (2, remove(7), key_list.NOT_ON_LIST),
        (2, remove(2), key_list.NOT_ONESELF),
        (2, update(7, DRIVER), key_list.NOT_ON_LIST),
        (2, update(2, DRIVER), key_list.MAY_NOT_CHANGE),
        (5, add(7), key_list.MAY_NOT_ADD),
        (5, remove(2), key_list.MAY_NOT_REMOVE),
        (5, update(3, OWNER), key_list.MAY_NOT_CHANGE),
        (5, remove(3), key_list.DONE),
        (5, remove(4), key_list.DONE),
        (2, update(3, OWNER), key_list.DONE),
    ],
)
def test_operations(car: SignedCar, number: int, payload: bytes, expected: int) -> None:
    before = list(car.keychain)
    answer = signer(car, number).send(payload)
    assert code(answer) == expected
    assert status(answer).operationStatus == (0 if expected == key_list.DONE else 2)
    assert (list(car.keychain) != before) is (expected == key_list.DONE)


@pytest.mark.parametrize("number", [3, 4])
@pytest.mark.parametrize("payload", [add(7), remove(3), update(3, OWNER)])
def test_drivers_and_fleet_managers_manage_no_keys(
    car: SignedCar, number: int, payload: bytes
) -> None:
    before = list(car.keychain)
    assert fault(signer(car, number).send(payload)) == Fault.INSUFFICIENT_PRIVILEGES
    assert list(car.keychain) == before


def test_a_full_list_says_so(car: SignedCar) -> None:
    owner = signer(car, 2)
    assert code(owner.send(add(6))) == key_list.DONE
    assert code(owner.send(add(7))) == key_list.LIST_FULL


def test_impermanent_keys_are_not_supported(car: SignedCar) -> None:
    change = PermissionChange(key=PublicKey(PublicKeyRaw=public(7)), keyRole=DRIVER)
    payload = unsigned(WhitelistOperation=WhitelistOperation(addImpermanentKey=change))
    assert vcsec(signer(car, 2).send(payload)).nominalError.genericError == 9


def test_a_key_that_comes_back_does_not_make_old_messages_fresh(car: SignedCar) -> None:
    owner, driver = signer(car, 2), signer(car, 3)
    old = driver.sign(LOCK)
    assert fault(car.answer(old)) == 0
    assert code(owner.send(remove(3))) == key_list.DONE
    assert code(owner.send(add(3))) == key_list.DONE
    assert fault(car.answer(old)) == Fault.INVALID_TOKEN_OR_COUNTER
    assert len(car.machine.done) == 1


def test_the_platform_s_approval_stands_for_the_owner(car: SignedCar) -> None:
    assert key_list.approve(car.keychain, public(8), "OWNER", 9) == key_list.DONE
    assert key_list.approve(car.keychain, public(8), "OWNER", 9) == key_list.DONE
    assert fault(signer(car, 8).send(LOCK)) == 0
    assert key_list.approve(car.keychain, public(9), "KING", 9) == key_list.NO_ROLE
    assert key_list.approve(car.keychain, b"", "OWNER", 9) == key_list.INVALID_KEY
    assert key_list.approve(car.keychain, public(9), "OWNER", 9) == key_list.LIST_FULL
