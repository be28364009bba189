"""A sandbox as a test sees it: worlds, cars, faults. The standard library alone.

Every method returns when what it did is in force: the next request of the app under test meets it.
"""

import http.client
import json
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Final
from urllib.parse import quote, urlsplit

TIMEOUT_S: Final = 60.0
ADVANCE_CAR_S: Final = 100 * 3_600.0  # of all cars together in a request: some 20 s of a core


class SandboxError(Exception):
    """The sandbox refused. The text is what it said."""


class Sandbox:
    """A running sandbox. May be used from any thread."""

    def __init__(self, url: str) -> None:
        """`url`: where its API is, as `motorcade sandbox` prints it."""
        self.url = url.rstrip("/")
        parts = urlsplit(self.url)
        self._host, self._port = parts.hostname or "", parts.port
        self._local = threading.local()

    def world(
        self,
        vehicles: int | Sequence[str] = 1,
        *,
        seed: int | None = None,
        speed: float = 1.0,
        signed_commands: str = "supported",
    ) -> "World":
        """A fresh world. `vehicles`: how many parked ones, or what each of them does: "parked",
        "driving", "charging", "asleep"."""
        body = {
            "vehicles": vehicles if isinstance(vehicles, int) else list(vehicles),
            "speed": speed,
            "signed_commands": signed_commands,
        }
        if seed is not None:
            body["seed"] = seed
        return World(self, self.call("POST", "/worlds", body))

    def default_world(self) -> "World":
        """The world with the plain names, which lasts."""
        return World(self, self.call("GET", "/worlds/default"))

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Ask below `/sandbox`; the member `response` of the answer. Raises `SandboxError`."""
        content = b"" if method == "GET" else json.dumps(body or {}).encode()
        headers = {"Content-Type": "application/json"}
        for attempt in range(2):
            connection, fresh = self._connection()
            try:
                connection.request(method, f"/sandbox{path}", content, headers)
                answer = connection.getresponse()
                text = answer.read()
                break
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                self._local.connection = None
                closed = isinstance(error, ConnectionError)  # kept too long, closed meanwhile
                if fresh or attempt or not closed:  # else it may have been heard: not twice
                    raise SandboxError(f"{self.url} does not answer: {error}") from error
        if answer.status != http.HTTPStatus.OK:
            raise SandboxError(_reason(answer.status, text))
        return json.loads(text)["response"]

    def _connection(self) -> tuple[http.client.HTTPConnection, bool]:
        kept = getattr(self._local, "connection", None)
        if kept is not None:
            return kept, False
        opened = http.client.HTTPConnection(self._host, self._port, timeout=TIMEOUT_S)
        self._local.connection = opened
        return opened, True


class World:
    """An owner, an app that the owner has let in, and cars, apart from every other world."""

    def __init__(self, sandbox: Sandbox, told: dict[str, Any]) -> None:
        self._sandbox = sandbox
        self._take(told)

    def _take(self, told: dict[str, Any]) -> None:
        self.id: str = told["id"]
        self.seed: int = told["seed"]
        self.api_url: str = told["api_url"]
        self.token_url: str = told["token_url"]
        app, user, tokens = told["app"], told["user"], told["tokens"]
        self.client_id: str = app["client_id"]
        self.client_secret: str = app["client_secret"]
        self.redirect_uri: str = app["redirect_uris"][0]
        self.scopes: list[str] = app["scopes"]
        self.domain: str = app["domain"]
        self.email: str = user["email"]
        self.password: str = user["password"]
        self.access_token: str = tokens["access_token"]
        self.refresh_token: str = tokens["refresh_token"]
        self.private_key_pem: str = told["private_key_pem"]
        self.public_key_pem: str = told["public_key_pem"]
        self.vehicles: list[Vehicle] = [
            Vehicle(self._sandbox, self, vehicle) for vehicle in told["vehicles"]
        ]

    @property
    def vehicle(self) -> "Vehicle":
        """The first car."""
        return self.vehicles[0]

    @property
    def headers(self) -> dict[str, str]:
        """What an app sends with each request."""
        return {"Authorization": f"Bearer {self.access_token}"}

    # Faults.

    def fail_next(
        self,
        answer: int,
        *,
        times: int | None = 1,
        path: str = "",
        method: str = "",
        vehicle: str = "",
        retry_s: int = 60,
        latency_ms: float = 0.0,
    ) -> int:
        """Answer the next requests of this world's app with that status; `times=None`: always.

        `path` may hold `*`. Without limits any request counts. Returns the rule's id.
        """
        rule: dict[str, Any] = {"answer": answer, "times": times, "path": path}
        rule |= {"method": method, "vehicle": vehicle}
        rule |= {"retry_s": retry_s, "latency_ms": latency_ms}
        return int(self._sandbox.call("POST", "/faults", {**rule, "world": self.id})["id"])

    def slow_down(self, latency_ms: float, *, times: int | None = None, path: str = "") -> int:
        """Let requests wait before they are answered. Returns the rule's id."""
        rule: dict[str, Any] = {"latency_ms": latency_ms, "times": times, "path": path}
        rule["world"] = self.id
        return int(self._sandbox.call("POST", "/faults", rule)["id"])

    def faults(self) -> list[dict[str, Any]]:
        """The rules that are left."""
        return list(self._sandbox.call("GET", f"/faults?world={quote(self.id)}"))

    def clear_faults(self) -> None:
        """Forget this world's rules."""
        self._sandbox.call("DELETE", f"/faults?world={quote(self.id)}")

    def move_region(self, region: str | None = "eu", base_url: str = "") -> None:
        """Move the owner's account to another region (421); `None`: back here."""
        body = {"region": region}
        if base_url:
            body["base_url"] = base_url
        self._call("POST", "/region", body)

    def expire_tokens(self) -> None:
        """Every access token made until now is too old; refresh tokens are not."""
        self._call("POST", "/expire_tokens")

    # Time.

    def speed_up(self, speed: float) -> None:
        """Let this world's time go so much faster than the machine's."""
        self._call("POST", "/clock", {"speed": speed})

    def advance(self, seconds: float) -> None:
        """Let so much of this world's time pass at once; a long one takes several requests."""
        at_once_s = ADVANCE_CAR_S / max(len(self.vehicles), 1)
        left_s = seconds
        while left_s > at_once_s:
            self._call("POST", "/clock", {"advance_s": at_once_s})
            left_s -= at_once_s
        self._call("POST", "/clock", {"advance_s": left_s})

    # The rest.

    def authorization_code(
        self,
        redirect_uri: str = "",
        *,
        scopes: Sequence[str] | None = None,
        code_challenge: str = "",
        nonce: str = "",
    ) -> str:
        """What a browser would bring back after the owner had allowed the app these scopes."""
        body = {
            "redirect_uri": redirect_uri or self.redirect_uri,
            "scopes": None if scopes is None else list(scopes),
            "code_challenge": code_challenge,
            "nonce": nonce,
        }
        return str(self._call("POST", "/code", body)["code"])

    def reset(self, seed: int | None = None) -> None:
        """As it was at its start: cars, keys, drivers, tokens (new ones), faults, allowances."""
        self._take(self._call("POST", "/reset", {} if seed is None else {"seed": seed}))

    def close(self) -> None:
        """Let the world go: its cars leave the road."""
        self._call("DELETE", "")

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        return self._sandbox.call(method, f"/worlds/{quote(self.id)}{path}", body)

    def __enter__(self) -> "World":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class Vehicle:
    """A car of a world."""

    def __init__(self, sandbox: Sandbox, world: World, told: dict[str, Any]) -> None:
        self._sandbox, self._world = sandbox, world
        self.vin: str = told["vin"]
        self.id: int = told["id"]
        self.told = told
        """How it was, when the sandbox was last asked for something about it."""

    def sleep(self) -> None:
        """It sleeps, and answers to `wake_up` alone."""
        self._change(doing="asleep")

    def wake(self) -> None:
        """It is awake."""
        self._change(doing="awake")

    def drive(self) -> None:
        """It drives, parks for a while, and drives again."""
        self._change(doing="driving")

    def park(self) -> None:
        """It stands, and stays."""
        self._change(doing="parked")

    def charge(self) -> None:
        """It is plugged in and charges."""
        self._change(doing="charging")

    def set_battery(self, percent: float) -> None:
        """Its state of charge."""
        self._change(battery_percent=percent)

    def lose_network(self) -> None:
        """It is offline until `regain_network`."""
        self._change(network="down")

    def regain_network(self) -> None:
        """It is back."""
        self._change(network="up")

    def skew_clock(self, seconds: float) -> None:
        """Its clock is so much ahead: of its telemetry, and of signed commands' sessions."""
        self._change(clock_skew_s=seconds)

    def set_signed_commands(self, support: str) -> None:
        """Other firmware: "none", "supported", or "required"."""
        self._change(signed_commands=support)

    def refuse(
        self, command: str = "*", reason: str = "could_not_wake_buses", times: int | None = 1
    ) -> None:
        """Say no to the next command of that name, with this reason; `times=None`: always."""
        self._change(refuse=[{"command": command, "reason": reason, "times": times}])

    def obey(self) -> None:
        """Refuse nothing more."""
        self._change(refuse=[])

    def pair(self, public_key_pem: str = "", role: str = "owner") -> None:
        """Pair a key, without one the world's, as the owner does in Tesla's app."""
        self._keys("pair", {"public_key_pem": public_key_pem, "role": role})

    def unpair(self, public_key_pem: str = "") -> None:
        """Remove a key, without one the world's."""
        self._keys("unpair", {"public_key_pem": public_key_pem})

    def fail_next(self, answer: int, **limits: Any) -> int:
        """As `World.fail_next`, of requests about this car."""
        return self._world.fail_next(answer, vehicle=self.vin, **limits)

    def _change(self, **members: Any) -> None:
        self.told = self._sandbox.call("POST", f"/vehicles/{self.vin}", members)

    def _keys(self, verb: str, body: dict[str, str]) -> None:
        self.told = self._sandbox.call("POST", f"/vehicles/{self.vin}/{verb}", body)


def _reason(status: int, text: bytes) -> str:
    try:
        body = json.loads(text)
        return f"{status} {body['error']}: {body.get('error_description', '')}".rstrip(": ")
    except (ValueError, LookupError, TypeError):
        return f"{status}: {text[:200].decode('utf-8', 'replace')}"
