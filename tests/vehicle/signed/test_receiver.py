"""The car's end of the protocol: sessions, faults, roles, encrypted answers, both domains."""

from typing import Any

import pytest
from tesla_protocol.command.car_server_pb2 import GetVehicleData
from tesla_protocol.command.signatures_pb2 import SessionInfo
from tesla_protocol.command.universal_message_pb2 import RoutableMessage
from tesla_protocol.command.vcsec_pb2 import ClosureMoveRequest, InformationRequest

from motorcade.wire.tesla_command.faults import Fault
from motorcade.wire.tesla_command.messages import INFOTAINMENT, VCSEC
from motorcade.wire.tesla_command.tags import decrypt_response, request_hash
from tests.vehicle.cloud import VIN
from tests.vehicle.signed.car import (
    HONK,
    LOCK,
    SignedCar,
    Signer,
    action,
    fault,
    infotainment,
    public,
    unsigned,
    vcsec,
)
from tests.wire.tesla_command.signer import ADDRESS, Client, key


@pytest.fixture
def car() -> SignedCar:
    car = SignedCar()
    car.pair(2)
    return car


@pytest.fixture
def owner(car: SignedCar) -> Signer:
    signer = Signer(car)
    signer.greet()
    return signer


@pytest.fixture
def fob(car: SignedCar) -> Signer:
    signer = Signer(car, domain=VCSEC)
    signer.greet()
    return signer


def test_a_signed_action_is_done_once_and_answered(car: SignedCar, owner: Signer) -> None:
    message = owner.sign(HONK)
    answer = car.answer(message)
    assert infotainment(answer).actionStatus.result == 0
    assert answer.to_destination.routing_address == ADDRESS
    assert answer.from_destination.domain == INFOTAINMENT
    assert answer.request_uuid == message.uuid
    again = car.receive(message)
    assert again.reason == "fault_6_invalid_token_or_counter"
    assert not again.acted
    assert car.machine.done == [("honk_horn", {})]


def test_domains_have_keys_epochs_and_counters_of_their_own(car: SignedCar) -> None:
    signers = [Signer(car, domain=domain) for domain in (INFOTAINMENT, VCSEC)]
    infos = [SessionInfo.FromString(signer.greet().session_info) for signer in signers]
    assert infos[0].publicKey != infos[1].publicKey
    assert infos[0].epoch != infos[1].epoch
    assert fault(signers[0].send(HONK)) == 0
    assert SessionInfo.FromString(signers[1].greet().session_info).counter == 0
    assert SessionInfo.FromString(signers[0].greet().session_info).counter == 1


def test_an_unpaired_key_gets_no_session_and_no_obedience(car: SignedCar, owner: Signer) -> None:
    stranger = Signer(car, number=3)
    info = SessionInfo.FromString(stranger.greet().session_info)
    assert (info.status, info.publicKey) == (1, b"")
    stranger.client = Client(key(3), owner.client.car, VIN)
    stranger.epoch, stranger.begun_s = owner.epoch, owner.begun_s
    answer = stranger.send(HONK)
    assert fault(answer) == Fault.UNKNOWN_KEY_ID
    assert not answer.session_info
    assert car.machine.done == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"epoch": b"o" * 16}, Fault.INCORRECT_EPOCH),
        ({"expires_at": 0}, Fault.TIME_EXPIRED),
        ({"counter": 0, "expires_at": 1_000}, Fault.TIME_TO_LIVE_TOO_LONG),
    ],
)
def test_faults_of_synchronisation_carry_a_fresh_session_info(
    car: SignedCar, owner: Signer, changes: dict[str, Any], expected: Fault
) -> None:
    car.now_s += 5
    message = owner.sign(HONK, **changes)
    answer = car.answer(message)
    assert fault(answer) == expected
    owner.take(answer, message.uuid)  # asserts its tag
    assert infotainment(owner.send(HONK)).actionStatus.result == 0
    assert len(car.machine.done) == 1


def test_a_restarted_car_resynchronises_its_clients(car: SignedCar, owner: Signer) -> None:
    again = SignedCar(car.disk, seed=7)
    answer = again.answer(message := owner.sign(HONK))
    assert fault(answer) == Fault.INCORRECT_EPOCH
    old = SessionInfo.FromString(Signer(car).greet().session_info)
    owner.car = again
    owner.take(answer, message.uuid)
    assert SessionInfo.FromString(answer.session_info).publicKey == old.publicKey  # clients pin it
    assert infotainment(owner.send(HONK)).actionStatus.result == 0


def test_an_encrypted_answer_is_for_its_asker_alone(car: SignedCar, owner: Signer) -> None:
    message = owner.sign(action(ping={"ping_id": 7}), flags=2)
    answer = car.answer(message)
    sealed = answer.signature_data.AES_GCM_Response_data
    assert len(sealed.nonce) == 12
    plain = decrypt_response(owner.client.keys, VIN, answer, request_hash(message))
    assert b"\x08\x07" in plain
    assert answer.protobuf_message_as_bytes != plain
    second = owner.sign(HONK, flags=2)
    other = car.answer(second).signature_data.AES_GCM_Response_data
    assert other.counter != sealed.counter
    assert other.nonce != sealed.nonce


def test_vcsec_s_success_is_empty_also_when_encrypted(car: SignedCar, fob: Signer) -> None:
    plain = fob.send(LOCK)
    assert plain.HasField("protobuf_message_as_bytes")
    assert plain.protobuf_message_as_bytes == b""
    message = fob.sign(LOCK, flags=2)
    answer = car.answer(message)
    assert decrypt_response(fob.client.keys, VIN, answer, request_hash(message)) == b""
    assert [name for name, _ in car.machine.done] == ["door_lock", "door_lock"]


def test_a_fault_after_authentication_is_sealed_too(car: SignedCar) -> None:
    car.pair(4, "VEHICLE_MONITOR")
    monitor = Signer(car, number=4)
    monitor.greet()
    message = monitor.sign(HONK, flags=2)
    answer = car.answer(message)
    assert fault(answer) == Fault.INSUFFICIENT_PRIVILEGES
    assert decrypt_response(monitor.client.keys, VIN, answer, request_hash(message)) == b""


def test_refusals_are_application_answers(car: SignedCar, owner: Signer, fob: Signer) -> None:
    car.machine.refuses = {"honk_horn": "vehicle_is_driving", "door_lock": "door_open"}
    status = infotainment(owner.send(HONK)).actionStatus
    assert (status.result, status.result_reason.plain_text) == (1, "vehicle_is_driving")
    assert vcsec(fob.send(LOCK)).nominalError.genericError == 2
    assert car.machine.done == []


def test_a_locked_car_that_is_locked_is_a_success_in_vcsec(car: SignedCar, fob: Signer) -> None:
    car.machine.refuses = {"door_lock": "already_set"}
    answer = car.receive(fob.sign(LOCK))
    assert (answer.reason, answer.acted) == ("", False)


def test_what_a_car_cannot_do_is_an_invalid_command(
    car: SignedCar, owner: Signer, fob: Signer
) -> None:
    car.machine.refuses = {"honk_horn": "unknown_command"}
    assert fault(owner.send(HONK)) == Fault.INVALID_COMMAND
    assert fault(owner.send(action(dashcamSaveClipAction={}))) == Fault.INVALID_COMMAND
    assert fault(fob.send(unsigned(RKEAction=19))) == Fault.INVALID_COMMAND
    assert fault(owner.send(b"\xff\xff")) == Fault.DECODING
    assert fault(owner.send(b"")) == Fault.DECODING
    doors = unsigned(closureMoveRequest=ClosureMoveRequest(frontDriverDoor=3))
    assert vcsec(fob.send(doors)).nominalError.genericError == 9
    assert car.machine.done == []


def test_all_or_nothing(car: SignedCar, fob: Signer) -> None:
    car.machine.refuses = {"remote_start_drive": "no"}
    assert vcsec(fob.send(unsigned(RKEAction=31))).HasField("nominalError")
    assert car.machine.done == []


@pytest.mark.parametrize(
    ("move", "is_open", "expected"),
    [
        ({"rearTrunk": 1}, False, [("actuate_trunk", {"which_trunk": "rear"})]),
        ({"rearTrunk": 1}, True, [("actuate_trunk", {"which_trunk": "rear"})]),
        ({"frontTrunk": 3}, False, [("actuate_trunk", {"which_trunk": "front"})]),
        ({"rearTrunk": 3}, True, []),
        ({"rearTrunk": 4}, False, []),
        ({"rearTrunk": 4}, True, [("actuate_trunk", {"which_trunk": "rear"})]),
        ({"chargePort": 3}, False, [("charge_port_door_open", {})]),
        ({"chargePort": 4}, True, [("charge_port_door_close", {})]),
        ({"tonneau": 2}, True, [("stop_tonneau", {})]),
    ],
)
def test_closures_by_how_they_stand(
    car: SignedCar, fob: Signer, move: dict[str, int], is_open: bool, expected: list[Any]
) -> None:
    names = ("trunk_rear_open", "trunk_front_open", "charge_port_door_open", "tonneau_open")
    car.machine.said |= dict.fromkeys(names, is_open)
    vcsec(fob.send(unsigned(closureMoveRequest=ClosureMoveRequest(**move))))
    assert car.machine.done == expected


def test_information_needs_no_key_and_nothing_else_goes_without(car: SignedCar) -> None:
    def ask(payload: bytes, domain: int = VCSEC) -> RoutableMessage:
        message = RoutableMessage(protobuf_message_as_bytes=payload, uuid=b"u")
        message.to_destination.domain = domain
        message.from_destination.routing_address = ADDRESS
        return car.answer(message)

    def information(**members: Any) -> Any:
        return vcsec(ask(unsigned(InformationRequest=InformationRequest(**members))))

    assert information(informationRequestType=0).vehicleStatus.vehicleLockState == 1
    summary = information(informationRequestType=5).whitelistInfo
    assert (summary.numberOfEntries, summary.slotMask) == (1, 1)
    entry = information(informationRequestType=6, slot=0).whitelistEntryInfo
    assert (entry.publicKey.PublicKeyRaw, entry.keyRole, entry.slot) == (public(2), 2, 0)
    assert entry.metadataForKey.keyFormFactor == 9
    by_key = information(informationRequestType=6, publicKey=public(2)).whitelistEntryInfo
    assert by_key == entry
    missing = information(informationRequestType=6, slot=3)
    assert missing.nominalError.genericError == 8
    assert (
        fault(ask(unsigned(InformationRequest=InformationRequest(informationRequestType=1)))) == 9
    )
    assert fault(ask(LOCK)) == Fault.BAD_PARAMETER
    assert fault(ask(HONK, INFOTAINMENT)) == Fault.BAD_PARAMETER
    assert fault(ask(HONK, 4)) == Fault.INVALID_DOMAINS
    assert car.machine.done == []


def test_vehicle_data_is_what_the_car_says_of_itself(car: SignedCar, owner: Signer) -> None:
    asked = GetVehicleData()
    asked.getChargeState.SetInParent()
    asked.getSohState.SetInParent()
    data = infotainment(owner.send(action(getVehicleData=asked))).vehicleData
    assert data.charge_state.battery_level == 61
    assert data.charge_state.timestamp.seconds == 1_000
    assert not data.HasField("location_state")
    assert data.HasField("soh_state")


MONITOR, CHARGER, DRIVER, FM, SERVICE = (
    "VEHICLE_MONITOR",
    "CHARGING_MANAGER",
    "DRIVER",
    "FM",
    "SERVICE",
)
CHARGE = action(chargingSetLimitAction={"percent": 60})
PIN = action(vehicleControlSetPinToDriveAction={"on": True, "password": "1234"})
READ = action(getVehicleData=GetVehicleData(getLocationState={}))


@pytest.mark.parametrize(
    ("role", "allowed", "forbidden"),
    [
        ("OWNER", [HONK, CHARGE, PIN, READ], []),
        (FM, [HONK, CHARGE, PIN, READ], []),
        (DRIVER, [HONK, CHARGE, READ], [PIN]),
        ("GUEST", [HONK, CHARGE, READ], [PIN]),
        (CHARGER, [CHARGE, READ], [HONK, PIN]),
        (MONITOR, [READ], [HONK, CHARGE, PIN]),
        (SERVICE, [], [HONK, CHARGE, PIN, READ]),
        ("RIDER", [], [HONK, CHARGE, PIN, READ]),
    ],
)
def test_roles(role: str, allowed: list[bytes], forbidden: list[bytes]) -> None:
    car = SignedCar()
    car.pair(2, role)
    signer = Signer(car)
    signer.greet()
    for payload in allowed:
        assert fault(signer.send(payload)) == 0
    for payload in forbidden:
        assert fault(signer.send(payload)) == Fault.INSUFFICIENT_PRIVILEGES


def test_service_works_the_locks_and_no_lid() -> None:
    car = SignedCar()
    car.pair(2, SERVICE)
    signer = Signer(car, domain=VCSEC)
    signer.greet()
    assert fault(signer.send(LOCK)) == 0
    assert fault(signer.send(unsigned(RKEAction=2))) == Fault.INSUFFICIENT_PRIVILEGES


def test_garbage_is_no_message(car: SignedCar) -> None:
    received = car.receive(b"\x00garbage")
    assert (received.response, received.reason) == (b"", "malformed")
