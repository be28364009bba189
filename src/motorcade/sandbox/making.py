"""Makes worlds: owner, app and cars in the registry, and again at a reset. All of it blocks.

`worlds.py` asks it in threads, one at a time, and puts the cars on the road.
"""

import asyncio
import contextlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec

from motorcade.api.counter import Counter
from motorcade.identity.authority import Authority
from motorcade.identity.signing import command_signer
from motorcade.registry.errors import NotFoundError
from motorcade.registry.people.port import App, AppRequest, CodeRequest, Person, Session
from motorcade.registry.port import IssuedCertificate, NewVehicle
from motorcade.sandbox import known
from motorcade.sandbox.control import CarSpec, CarView, Key
from motorcade.sandbox.machine import PARKED
from motorcade.sandbox.times import WorldTime
from motorcade.vehicle.signed.program import Signing
from motorcade.vehicle.vehicle_file import MqttAccess

BROWSER: Final = "sandbox"  # a name: worlds have owners, who have no browsers
_ROLE: Final = "OWNER"


@dataclass(slots=True)
class World:
    """One world."""

    id: str
    seed: int
    person: Person
    app: App
    session: Session
    refresh_token: str
    cars: list[CarSpec]
    vehicle_ids: dict[str, int]  # by VIN: Tesla's `id`
    time: WorldTime
    start_speed: float = 1.0
    views: dict[str, CarView] = field(default_factory=dict)
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)  # one reset or drop after the other


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked of a world."""

    doings: tuple[str, ...] = (PARKED,)  # what each car does
    seed: int = 1
    speed: float = 1.0
    signed_commands: str = Signing.SUPPORTED


class Maker:
    """Writes worlds into the registry, over the platform's ports."""

    def __init__(
        self, counter: Counter, authority: Authority, data: Path, redirect_uris: tuple[str, ...]
    ) -> None:
        assert counter.desk is not None  # the composition root gives one
        self._counter, self._authority, self._data = counter, authority, data
        self._people, self._desk = counter.desk.people, counter.desk
        self._redirect_uris = redirect_uris
        self._command_keys = dict(command_signer(authority).public_keys)
        self._cars = 0

    def register(self, world_id: str, wanted: Wanted, speed: float) -> World:
        """Its owner, app and cars, in the registry. Blocks."""
        now_us = self._counter.clock.now_us()
        subject = known.subject(world_id)
        person, _ = self._people.add_person(
            known.email(world_id), "Sandbox Owner", known.PASSWORD, subject
        )
        request = AppRequest(
            name="Sandbox app",
            redirect_uris=self._redirect_uris,
            scopes=known.SCOPES,
            purpose="To be tested",
            domain=known.domain(world_id),
            public_key_pem=known.public_key_pem(),
            client_id=known.client_id(world_id),
            secret=known.CLIENT_SECRET,
        )
        app, _ = self._people.add_app(request)
        session, refresh_token = self._grant(person, app)
        vins = []
        for place in range(len(wanted.doings)):
            self._cars += 1
            vins.append(known.vin(wanted.seed + place, self._cars))
        added = self._counter.registry.add_vehicles(vins, subject)
        cars = self._outfit(added, wanted)
        ids = {new.vehicle.vin: new.vehicle.id for new in added}
        time = WorldTime(now_us, speed)
        return World(
            world_id, wanted.seed, person, app, session, refresh_token, cars, ids, time, speed
        )

    def _grant(self, person: Person, app: App) -> tuple[Session, str]:
        """The owner lets the app in. Blocks."""
        code = self._people.issue_code(self.code_request(person, app, app.redirect_uris[0]), "")
        begun = self._people.begin_session(code, app, self._desk.prefix)
        assert begun is not None  # the code is a moment old, and ours
        return begun

    def code_request(self, person: Person, app: App, redirect_uri: str) -> CodeRequest:
        """All that the app may ask for, allowed in a browser that has just signed in. Blocks."""
        mark = self._people.browser_mark(person.email, BROWSER)
        signed_in = self._people.sign_in(self._people.begin_sign_in(person.id, BROWSER, mark))
        assert signed_in is not None  # a moment ago
        return CodeRequest(
            person_id=person.id,
            app_id=app.id,
            scopes=known.SCOPES,
            asked=known.SCOPES,
            redirect_uri=redirect_uri,
            challenge="",
            nonce="",
            signed_in_time_us=signed_in.signed_in_time_us,
            sign_in_id=signed_in.id,
        )

    def _outfit(self, added: list[NewVehicle], wanted: Wanted) -> list[CarSpec]:
        """Certificates and specifications. Blocks."""
        keys = (Key(known.public_key_hex(), _ROLE),)
        cars, issued = [], []
        for place, new in enumerate(added):
            vehicle = new.vehicle
            certificate = self._authority.issue_vehicle(vehicle.vin)
            issued.append(
                IssuedCertificate(vehicle.vin, certificate.serial, certificate.expires_time_us)
            )
            folder = self._data / "cars" / vehicle.vin
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            (folder / "cert.pem").write_bytes(certificate.certificate_pem)
            (folder / "key.pem").write_bytes(certificate.key_pem)
            cars.append(
                CarSpec(
                    vin=vehicle.vin,
                    token=vehicle.token,
                    mqtt=MqttAccess(
                        vehicle.token,
                        vehicle.token,
                        new.password,
                        f"v/{vehicle.token}",
                        f"v/{vehicle.token}/commands",
                    ),
                    cert_file=str(folder / "cert.pem"),
                    key_file=str(folder / "key.pem"),
                    ca_file=str(self._authority.ca_file),
                    command_keys=self._command_keys,
                    seed=wanted.seed + place,
                    doing=wanted.doings[place],
                    signed_commands=wanted.signed_commands,
                    keys=keys,
                )
            )
        self._counter.registry.record_certificates(issued)
        return cars

    def register_again(self, world: World, wanted: Wanted) -> None:
        """Its cars, and what apps and people have changed of its owner. Blocks."""
        people, registry, sharing = self._people, self._counter.registry, self._counter.sharing
        subject = world.person.subject
        if people.check_password(world.person.email, known.PASSWORD) is None:
            people.set_password(subject, known.PASSWORD)
        if sharing is not None and sharing.home(subject) is not None:
            sharing.set_home(subject, None)
        with contextlib.suppress(NotFoundError):  # the owner took it back
            people.revoke_grant(world.person.id, world.app.client_id)  # its own codes' tokens, too
        world.session, world.refresh_token = self._grant(world.person, world.app)
        vins = [spec.vin for spec in world.cars]
        for vin in vins:
            registry.remove_vehicle(vin)
        added = registry.add_vehicles(vins, subject)
        world.cars = self._outfit(added, wanted)
        world.vehicle_ids = {new.vehicle.vin: new.vehicle.id for new in added}


def at_start(spec: CarSpec, wanted: Wanted, place: int) -> CarSpec:
    """The same car at its start, as wanted."""
    return msgspec.structs.replace(
        spec,
        seed=wanted.seed + place,
        doing=wanted.doings[place],
        signed_commands=wanted.signed_commands,
    )
