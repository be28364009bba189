"""Signed commands over HTTP: carried as they are, refused by scope, and every way they end."""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from tesla_protocol.command.car_server_pb2 import GetVehicleData
from tesla_protocol.command.universal_message_pb2 import RoutableMessage
from tesla_protocol.command.vcsec_pb2 import ClosureMoveRequest, InformationRequest

from motorcade.registry.signing.port import PairedKey, SigningState
from motorcade.wire.command.messages import Answer, Command
from motorcade.wire.tesla_command.messages import INFOTAINMENT, VCSEC
from tests.api.standins import TOKENS, VINS, Platform, bearer, running
from tests.vehicle import test_streaming
from tests.vehicle.signed.car import HONK, LOCK, action, public, unsigned
from tests.wire.tesla_command.signer import ADDRESS

CAR = f"/api/1/vehicles/{VINS[0]}/signed_command"
ANSWER = base64.b64encode(b"the car's own words").decode()


@dataclass
class FakeSigning:
    """Key lists as cars told them, by vehicle id."""

    states: dict[int, SigningState] = field(default_factory=dict)

    configured: list[tuple[int, str, str, str, str]] = field(default_factory=list)

    def configure(
        self, vehicle_id: int, token: str, config: str, issuer: str, client_id: str
    ) -> None:
        self.configured.append((vehicle_id, token, config, issuer, client_id))

    def state_of(self, vehicle_id: int) -> SigningState | None:
        return self.states.get(vehicle_id)


def answers(command: Command) -> Answer:
    return Answer(id=command.id, state="executed", response=ANSWER)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    with running(tmp_path_factory.mktemp("api"), "commands.response_s_max=0.4") as platform:
        yield platform


@pytest.fixture
def platform(shared: Platform) -> Platform:
    shared.gateway.script, shared.gateway.online = answers, True
    shared.gateway.seen, shared.gateway.waiting = [], []
    shared.counter.signing = FakeSigning()
    shared.live.change(TOKENS[0], online=True)
    return shared


@pytest.fixture
def client(platform: Platform) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=platform.url, headers=bearer()) as client:
        yield client


def message(payload: bytes = HONK, domain: int = INFOTAINMENT, kind: str = "HMAC") -> bytes:
    sent = RoutableMessage(protobuf_message_as_bytes=payload, uuid=b"u" * 16)
    sent.to_destination.domain = domain
    sent.from_destination.routing_address = ADDRESS
    if kind == "HMAC":
        sent.signature_data.HMAC_Personalized_data.counter = 1
    elif kind == "GCM":
        sent.signature_data.AES_GCM_Personalized_data.counter = 1
    elif kind == "hello":
        sent.session_info_request.public_key = b"\x04" + bytes(64)
    return sent.SerializeToString()


def body(data: bytes) -> dict[str, str]:
    return {"routable_message": base64.b64encode(data).decode()}


def test_the_message_goes_down_and_the_answer_comes_back_untouched(
    platform: Platform, client: httpx.Client
) -> None:
    data = message()
    answer = client.post(CAR, json=body(data))
    assert (answer.status_code, answer.json()) == (200, {"response": ANSWER})
    (command,) = platform.gateway.seen
    assert command.name == "signed_command"
    assert base64.b64decode(command.parameters["routable_message"]) == data
    shown = client.get(
        f"/api/1/vehicles/{VINS[0]}/commands/{answer.headers['x-command-id']}"
    ).json()["response"]
    assert [step["state"] for step in shown["timeline"]] == ["requested", "handed_over", "executed"]
    assert shown["parameters"] == {}
    assert ANSWER not in str(shown)  # it may hold places and PINs: it is the sender's alone


def test_a_refusal_is_an_answer_too(platform: Platform, client: httpx.Client) -> None:
    platform.gateway.script = lambda command: Answer(
        id=command.id, state="refused", reason="fault_6_invalid", response=ANSWER
    )
    answer = client.post(CAR, json=body(message()))
    assert (answer.status_code, answer.json()) == (200, {"response": ANSWER})


def test_a_repeated_key_is_answered_again_and_sent_once(
    platform: Platform, client: httpx.Client
) -> None:
    headers = {"Idempotency-Key": "signed-once"}
    first = client.post(CAR, json=body(message()), headers=headers)
    again = client.post(CAR, json=body(message()), headers=headers)
    assert first.json() == again.json() == {"response": ANSWER}
    assert first.headers["x-command-id"] == again.headers["x-command-id"]
    assert len(platform.gateway.seen) == 1
    other = client.post(CAR, json=body(message(LOCK, VCSEC)), headers=headers)
    assert other.status_code == 422


@pytest.mark.parametrize(
    "sent",
    [
        {},
        {"routable_message": 7},
        {"routable_message": "%%%"},
        {"routable_message": ""},
        body(b"\xff\xff\xff"),
        body(message()[:20]),
        body(b"\x00" * (33 << 10)),
        body(message(kind="GCM")),
    ],
)
def test_what_is_no_message_is_400(
    platform: Platform, client: httpx.Client, sent: dict[str, Any]
) -> None:
    answer = client.post(CAR, json=sent)
    assert answer.status_code == 400
    assert answer.json()["error"] == "invalid_request"
    assert platform.gateway.seen == []


def test_a_car_that_is_not_there_is_408_at_once(platform: Platform, client: httpx.Client) -> None:
    platform.live.change(TOKENS[0], online=False)
    answer = client.post(CAR, json=body(message()))
    assert answer.status_code == 408
    assert "vehicle is offline" in answer.json()["error"]
    assert platform.gateway.seen == []


def test_a_silent_car_is_408_with_the_command(platform: Platform, client: httpx.Client) -> None:
    platform.gateway.script = lambda command: None
    answer = client.post(CAR, json=body(message()))
    assert answer.status_code == 408
    assert answer.json()["command_id"] == platform.gateway.seen[0].id


def test_an_older_car_is_422_known_or_not(platform: Platform, client: httpx.Client) -> None:
    platform.gateway.script = lambda command: Answer(
        id=command.id, state="refused", reason="unknown_command"
    )
    assert client.post(CAR, json=body(message())).status_code == 422
    platform.gateway.seen.clear()
    platform.counter.signing = FakeSigning({1_000: SigningState("none")})
    answer = client.post(CAR, json=body(message()))
    assert answer.status_code == 422
    assert answer.json()["error"] == "vehicle does not support signed commands"
    assert platform.gateway.seen == []


def test_a_car_that_wants_signatures_takes_no_plain_command(
    platform: Platform, client: httpx.Client
) -> None:
    key = PairedKey(0, "04" * 65, "OWNER", 9)
    platform.counter.signing = FakeSigning({1_000: SigningState("required", (key,))})
    answer = client.post(f"/api/1/vehicles/{VINS[0]}/command/honk_horn")
    assert answer.status_code == 403
    assert answer.json()["error"].startswith("Tesla Vehicle Command Protocol required, ")
    assert platform.gateway.seen == []
    assert client.post(CAR, json=body(message())).status_code == 200
    unsigned_still = {
        "type": "t",
        "value": "Alexanderplatz",
        "locale": "de",
    }
    answer = client.post(
        f"/api/1/vehicles/{VINS[0]}/command/navigation_request", json=unsigned_still
    )
    assert answer.status_code == 200


CMDS, CHARGING, DATA, PLACE = (
    "vehicle_cmds",
    "vehicle_charging_cmds",
    "vehicle_device_data",
    "vehicle_location",
)
LIMIT = action(chargingSetLimitAction={"percent": 60})
STATE = action(getVehicleData=GetVehicleData(getChargeState={}))
WHERE = action(getVehicleData=GetVehicleData(getLocationState={}))
FLAP = unsigned(closureMoveRequest=ClosureMoveRequest(chargePort=3))
TRUNK = unsigned(closureMoveRequest=ClosureMoveRequest(chargePort=3, rearTrunk=3))
KEYS = unsigned(InformationRequest=InformationRequest(informationRequestType=5))


@pytest.mark.parametrize(
    ("scopes", "data", "passes"),
    [
        ((CMDS,), message(HONK), True),
        ((CHARGING,), message(HONK), False),
        ((CHARGING,), message(LIMIT), True),
        ((CMDS,), message(LIMIT), True),
        ((DATA,), message(LIMIT), False),
        ((CHARGING,), message(LOCK, VCSEC), False),
        ((CMDS,), message(LOCK, VCSEC), True),
        ((CHARGING,), message(FLAP, VCSEC), True),
        ((CHARGING,), message(TRUNK, VCSEC), False),
        ((CHARGING,), message(STATE), False),
        ((CHARGING, DATA), message(STATE), True),
        ((CMDS, DATA), message(WHERE), False),
        ((CMDS, DATA, PLACE), message(WHERE), True),
        ((CHARGING,), message(kind="hello"), True),
        ((CHARGING,), message(KEYS, VCSEC, kind="none"), True),
        ((CHARGING,), message(b"\xff\xff"), False),
        ((CHARGING,), message(HONK, 4), False),
        ((DATA,), message(kind="hello"), False),
    ],
)
def test_scopes(platform: Platform, scopes: tuple[str, ...], data: bytes, passes: bool) -> None:
    with httpx.Client(base_url=platform.url, headers=bearer("owner", *scopes)) as client:
        answer = client.post(CAR, json=body(data))
    assert answer.status_code == (200 if passes else 403)
    assert len(platform.gateway.seen) == passes
    if not passes:
        assert answer.json()["error"].startswith("Unauthorized missing scopes")


def test_another_s_car_is_not_there(platform: Platform) -> None:
    with httpx.Client(base_url=platform.url, headers=bearer("somebody")) as client:
        assert client.post(CAR, json=body(message())).status_code == 404


CONFIGS = "/api/1/vehicles/fleet_telemetry_config_jws"


def test_a_signed_configuration_goes_to_cars_that_know_its_key(
    platform: Platform, client: httpx.Client
) -> None:
    paired = SigningState("supported", (PairedKey(0, public(3).hex(), "FM", 9),))
    signing = FakeSigning({1_000: paired, 1_001: SigningState("supported")})
    platform.counter.signing = signing
    token = test_streaming.token()
    answer = client.post(CONFIGS, json={"vins": list(VINS), "token": token})
    assert answer.status_code == 200, answer.text
    assert answer.json()["response"] == {
        "updated_vehicles": 1,
        "skipped_vehicles": {
            "missing_key": [VINS[1]],
            "unsupported_hardware": [],
            "unsupported_firmware": [VINS[2]],
            "max_configs": [],
        },
    }
    ((vehicle_id, stored, config, *whose),) = signing.configured
    assert (vehicle_id, stored, whose) == (1_000, token, [public(3).hex(), "test"])
    assert json.loads(config) == test_streaming.CONFIG


@pytest.mark.parametrize(
    "changes",
    [
        {"vins": []},
        {"vins": "all"},
        {"vins": [7]},
        {"token": None},
        {"token": "a.b.c"},
        {"token": test_streaming.token()[:-4] + "AAAA"},
        {"token": test_streaming.token({**test_streaming.CONFIG, "port": 0})},
        {"token": test_streaming.token({**test_streaming.CONFIG, "exp": 1_000})},
    ],
)
def test_configurations_that_are_refused(client: httpx.Client, changes: dict[str, Any]) -> None:
    good = {"vins": [VINS[0]], "token": test_streaming.token()}
    answer = client.post(CONFIGS, json={**good, **changes})
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_field")


def test_another_s_car_is_not_configured(platform: Platform) -> None:
    body = {"vins": [VINS[0]], "token": test_streaming.token()}
    with httpx.Client(base_url=platform.url, headers=bearer("somebody")) as client:
        assert client.post(CONFIGS, json=body).status_code == 404
