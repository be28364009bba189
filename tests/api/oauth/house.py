"""The API on a socket with a real registry and real tokens, and a browser and an app to use it."""

import asyncio
import base64
import contextlib
import hashlib
import html
import json
import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import uvloop

from motorcade.api.build import build_api
from motorcade.api.counter import Counter
from motorcade.api.oauth.desk import Desk
from motorcade.api.server import listen, serve
from motorcade.clock import SimulatedClock
from motorcade.config import Config
from motorcade.identity.authority import open_authority
from motorcade.identity.tokens import token_authority
from motorcade.registry.embedded import EmbeddedRegistry
from motorcade.registry.people.port import App, AppRequest, Person
from tests.api.standins import FakeLive

START_US = 1_750_000_000_000_000
EMAIL, PASSWORD = "ann@example.org", "correct horse"
REDIRECT = "https://app.example/callback"
SCOPES = (
    "openid",
    "offline_access",
    "email",
    "vehicle_device_data",
    "vehicle_location",
    "vehicle_charging_cmds",
)
VIN = "5YJ3E1EA7KF000001"
CHEAP = ("registry.password_passes=1", "registry.password_memory_kib=64")
VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=")


class NoCommands:
    """Nobody commands here."""

    def watch(self, *_: Any) -> None: ...

    def unwatch(self, *_: Any) -> None: ...

    def recent(self, *_: Any) -> list[Any]:
        return []


class House:
    """A deployment: one person, one app, one vehicle."""

    def __init__(self, directory: Path, *settings: str) -> None:
        self.config = Config().with_overrides([*CHEAP, *settings])
        self.clock = SimulatedClock(START_US)
        self.authority = authority = open_authority(
            directory, clock=self.clock, config=self.config.identity
        )
        self.path = directory / "registry.sqlite"
        self.registry = self.open_registry()
        self.people = self.registry.people
        self.tokens = token_authority(authority)
        self.ann: Person = self.people.add_person(EMAIL, "Ann Owner", PASSWORD, "owner")[0]
        self.app, self.secret = self.add_app()
        self.registry.add_vehicles([VIN])
        self._listener = listen("127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._listener.port}"
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: uvloop.run(self._main()))

    def open_registry(self) -> EmbeddedRegistry:
        """The registry, as another process would open it."""
        return EmbeddedRegistry(
            self.path, account_key=bytes(32), clock=self.clock, config=self.config.registry
        )

    def add_app(self, **changes: Any) -> tuple[App, str]:
        wanted: dict[str, Any] = {
            "name": "Charger",
            "redirect_uris": (REDIRECT,),
            "scopes": SCOPES,
            "purpose": "Charge cheaply",
        }
        return self.people.add_app(AppRequest(**(wanted | changes)))

    async def _main(self) -> None:
        self.loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        state: Any = FakeLive()
        commands: Any = NoCommands()
        self.counter = Counter(
            self.config,
            self.clock,
            self.registry,
            self.tokens,
            commands,
            state,
            os.urandom,
            desk=Desk(
                self.people,
                self.tokens,
                clock=self.clock,
                entropy=os.urandom,
                config=self.config,
            ),
        )
        server = await serve(build_api(self.counter), [self._listener])
        self.counter.standing.start()
        self._ready.set()
        await self._stopping.wait()
        await server.stop()
        await self.counter.standing.stop()

    def start(self) -> None:
        self._thread.start()
        assert self._ready.wait(10)

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()
        self.registry.close()

    # What an app does.

    def query(self, **changes: Any) -> dict[str, str]:
        """The parameters of `authorize`; `None` leaves one out."""
        wanted = {
            "response_type": "code",
            "client_id": self.app.client_id,
            "redirect_uri": REDIRECT,
            "scope": " ".join(SCOPES),
            "state": "s-1",
        } | changes
        return {name: value for name, value in wanted.items() if value is not None}

    def token(self, **fields: Any) -> httpx.Response:
        """POST to the token endpoint as the app, with its secret."""
        wanted = {"client_id": self.app.client_id, "client_secret": self.secret} | fields
        sent = {name: value for name, value in wanted.items() if value is not None}
        return httpx.post(f"{self.url}/oauth2/v3/token", data=sent)

    def exchange(self, code: str, **changes: Any) -> httpx.Response:
        fields = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT}
        return self.token(**(fields | changes))

    def refresh(self, refresh_token: str, **changes: Any) -> httpx.Response:
        fields = {"grant_type": "refresh_token", "refresh_token": refresh_token}
        return self.token(**(fields | changes))

    def code(self, *, granted: tuple[str, ...] = SCOPES, **changes: Any) -> str:
        """A code that Ann allowed in a browser of her own."""
        with Browser(self) as browser:
            browser.sign_in(**changes)
            return browser.allow(granted)["code"]

    def signed_in(self, **changes: Any) -> dict[str, Any]:
        """The token endpoint's answer after all of it."""
        answer = self.exchange(self.code(**changes))
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def get(self, path: str, access_token: str) -> httpx.Response:
        return httpx.get(self.url + path, headers={"Authorization": f"Bearer {access_token}"})


class Browser:
    """A browser of one person: cookies, the page it shows, its forms."""

    def __init__(self, house: House) -> None:
        self._house = house
        self.client = httpx.Client(base_url=house.url)
        self.shown = httpx.Response(204)

    def __enter__(self) -> "Browser":
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()

    def open(self, **changes: Any) -> httpx.Response:
        """What an app's link leads to."""
        self.shown = self.client.get("/oauth2/v3/authorize", params=self._house.query(**changes))
        return self.shown

    def field(self, name: str) -> str:
        """The value of a field of the form that is shown."""
        found = re.search(rf'name="{name}"[^>]*value="([^"]*)"', self.shown.text)
        assert found is not None, self.shown.text
        return html.unescape(found[1])

    @property
    def action(self) -> str:
        """Where the form that is shown leads."""
        found = re.search(r'<form method="post" action="([^"]*)"', self.shown.text)
        assert found is not None, self.shown.text
        return html.unescape(found[1])

    def send(self, fields: Any, **headers: str) -> httpx.Response:
        """Send the form that is shown; follow where it leads within the house."""
        fields = {"form_token": self.field("form_token")} | fields
        answer = self.client.post(self.action, data=fields, headers=headers)
        while answer.status_code == 303 and answer.headers["location"].startswith("/"):
            answer = self.client.get(answer.headers["location"])
        self.shown = answer
        return answer

    def sign_in(
        self, *, email: str = EMAIL, password: str = PASSWORD, **changes: Any
    ) -> httpx.Response:
        self.open(**changes)
        return self.send({"step": "sign_in", "email": email, "password": password})

    def allow(self, granted: tuple[str, ...] = SCOPES) -> dict[str, str]:
        """Allow so much; what the app's redirect URI is told."""
        self.send({"step": "consent", "decision": "allow", "scope": list(granted)})
        return told(self.shown)


def told(answer: httpx.Response) -> dict[str, str]:
    """What a redirect to an app carries."""
    assert answer.status_code == 303, (answer.status_code, answer.text)
    return dict(parse_qsl(urlsplit(answer.headers["location"]).query, strict_parsing=True))


def claims(token: str) -> dict[str, Any]:
    """A token's claims, decoded as the Go SDK does: by the standard alphabet."""
    text = token.split(".")[1]
    return dict(json.loads(base64.b64decode(text + "=" * (-len(text) % 4), validate=True)))


@contextlib.contextmanager
def housed(directory: Path, *settings: str) -> Iterator[House]:
    house = House(directory, *settings)
    house.start()
    try:
        yield house
    finally:
        house.stop()
