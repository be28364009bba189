"""An app of a world: its HTTP requests, and signed commands as its clients sign them."""

import base64
from typing import Any

import httpx
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from tesla_protocol.command.car_server_pb2 import Response
from tesla_protocol.command.signatures_pb2 import SessionInfo
from tesla_protocol.command.universal_message_pb2 import RoutableMessage

from motorcade.sandbox.client import World
from motorcade.wire.tesla_command.keys import encode_public, read_public
from motorcade.wire.tesla_command.messages import INFOTAINMENT
from tests.vehicle.signed.car import HONK
from tests.wire.tesla_command.signer import ADDRESS, Client

GOOD_S = 30


class App:
    """Asks the API as the world's app."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.http = httpx.Client(base_url=world.api_url, headers=world.headers, timeout=30)
        self.vin = world.vehicles[0].vin if world.vehicles else ""

    def close(self) -> None:
        self.http.close()

    def get(self, path: str) -> httpx.Response:
        """Of the first car."""
        return self.http.get(f"/api/1/vehicles/{self.vin}{path}")

    def post(self, path: str, body: Any = None) -> httpx.Response:
        return self.http.post(f"/api/1/vehicles/{self.vin}{path}", json=body)

    def command(self, name: str, **parameters: Any) -> httpx.Response:
        return self.post(f"/command/{name}", parameters)

    def data(self, group: str) -> dict[str, Any]:
        answer = self.get("/vehicle_data?endpoints=location_data;drive_state;charge_state")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()["response"][group]
        return found

    def state(self) -> str:
        found: str = self.get("").json()["response"]["state"]
        return found

    def refresh(self) -> httpx.Response:
        """Exchange the refresh token."""
        form = {
            "grant_type": "refresh_token",
            "client_id": self.world.client_id,
            "client_secret": self.world.client_secret,
            "refresh_token": self.world.refresh_token,
        }
        return httpx.post(self.world.token_url, data=form)


class Signed:
    """A session of one domain with the first car, begun anew where the car says so."""

    def __init__(self, app: App, domain: int = INFOTAINMENT) -> None:
        self.app, self.domain = app, domain
        private = load_pem_private_key(app.world.private_key_pem.encode(), None)
        assert isinstance(private, ec.EllipticCurvePrivateKey)
        self.private = private
        self.counter = 0

    def begin(self) -> int:
        """Ask for the session; the answer's status."""
        hello = RoutableMessage(uuid=b"h" * 16)
        hello.to_destination.domain = self.domain
        hello.from_destination.routing_address = ADDRESS
        hello.session_info_request.public_key = encode_public(self.private.public_key())
        answer = self.send(hello)
        self.take(answer)
        return int(SessionInfo.FromString(answer.session_info).status)

    def take(self, answer: RoutableMessage) -> None:
        info = SessionInfo.FromString(answer.session_info)
        if info.publicKey:
            car = read_public(info.publicKey)
            self.client = Client(self.private, car, self.app.vin, self.domain)
            self.epoch, self.clock_s, self.counter = info.epoch, info.clock_time, info.counter

    def message(self, payload: bytes = HONK) -> RoutableMessage:
        self.counter += 1
        return self.client.request(
            payload, epoch=self.epoch, counter=self.counter, expires_at=self.clock_s + GOOD_S
        )

    def ask(self, payload: bytes = HONK) -> RoutableMessage:
        """Send it signed."""
        return self.send(self.message(payload))

    def send(self, message: RoutableMessage) -> RoutableMessage:
        answer = self.post(message)
        assert answer.status_code == 200, answer.text
        return RoutableMessage.FromString(base64.b64decode(answer.json()["response"]))

    def post(self, message: RoutableMessage) -> httpx.Response:
        text = base64.b64encode(message.SerializeToString()).decode()
        return self.app.post("/signed_command", {"routable_message": text})


def done(answer: RoutableMessage) -> bool:
    """Whether the car carried it out."""
    said = Response.FromString(answer.protobuf_message_as_bytes)
    return not answer.signedMessageStatus.signed_message_fault and said.actionStatus.result == 0


def reason(answer: RoutableMessage) -> str:
    """Why it did not."""
    said = Response.FromString(answer.protobuf_message_as_bytes)
    return str(said.actionStatus.result_reason.plain_text)


def fault(answer: RoutableMessage) -> int:
    return int(answer.signedMessageStatus.signed_message_fault)
