"""The promises of sharing (`registry/sharing/port.py`), on every engine."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from motorcade.clock import SimulatedClock
from motorcade.config import RegistryConfig
from motorcade.registry.embedded import EmbeddedRegistry
from motorcade.registry.errors import AlreadyExistsError, NotFoundError, TooManyError
from motorcade.registry.people.names import public_point
from motorcade.registry.people.port import AppRequest
from motorcade.registry.port import Vehicle
from motorcade.registry.sharing.port import Home, NamedKey, Registration, Sharing

VINS = ("5YJ3E1EA7KF000001", "5YJ3E1EA7KF000002")
START_US = 1_750_000_000_000_000
DAY_S = 86_400
PEM = (
    ec.derive_private_key(7, ec.SECP256R1())
    .public_key()
    .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    .decode()
)

Open = Callable[[], EmbeddedRegistry]


@pytest.fixture
def clock() -> SimulatedClock:
    return SimulatedClock(START_US)


@pytest.fixture(params=["embedded"])
def open_again(clock: SimulatedClock, tmp_path: Path) -> Iterator[Open]:
    opened: list[EmbeddedRegistry] = []

    def open_embedded() -> EmbeddedRegistry:
        path, config = tmp_path / "registry.sqlite", RegistryConfig(drivers_max=3, named_keys_max=2)
        registry = EmbeddedRegistry(path, account_key=bytes(32), clock=clock, config=config)
        opened.append(registry)
        return registry

    yield open_embedded
    for registry in opened:
        registry.close()


@pytest.fixture
def registry(open_again: Open) -> EmbeddedRegistry:
    return open_again()


@pytest.fixture
def sharing(registry: EmbeddedRegistry) -> Sharing:
    return registry.sharing


@pytest.fixture
def cars(registry: EmbeddedRegistry) -> list[Vehicle]:
    return [new.vehicle for new in registry.add_vehicles(list(VINS))]


def code_of(sharing: Sharing, car: Vehicle, inviter: str = "owner") -> str:
    code = sharing.invite(car.id, inviter).code
    assert code is not None
    return code


def test_a_redeemed_invitation_makes_a_driver(
    sharing: Sharing, cars: list[Vehicle], open_again: Open, clock: SimulatedClock
) -> None:
    invitation = sharing.invite(cars[0].id, "owner")
    assert invitation.state(clock.now_us()) == "pending"
    assert invitation.code is not None
    assert len(invitation.code) >= 43
    driver = sharing.redeem(invitation.code, "bob")
    assert (driver.vehicle_id, driver.subject) == (cars[0].id, "bob")
    other = open_again().sharing  # another process sees it
    assert other.drives("bob", cars[0].id)
    assert not other.drives("bob", cars[1].id)
    assert not other.drives("eve", cars[0].id)
    assert other.driven("bob", 0, 10) == [cars[0]]
    assert other.driven_count("bob") == 1
    assert list(other.drivers(cars[0].id)) == [driver]
    (kept,) = other.invitations(cars[0].id, 0, 10)
    assert (kept.state(clock.now_us()), kept.code) == ("redeemed", None)


def test_an_invitation_works_once_and_not_for_who_sent_it(
    sharing: Sharing, cars: list[Vehicle]
) -> None:
    code = code_of(sharing, cars[0])
    with pytest.raises(NotFoundError):
        sharing.redeem(code, "owner")
    sharing.redeem(code, "bob")
    for subject in ("bob", "eve"):
        with pytest.raises(NotFoundError):
            sharing.redeem(code, subject)
    with pytest.raises(NotFoundError):
        sharing.redeem("", "eve")
    assert [driver.subject for driver in sharing.drivers(cars[0].id)] == ["bob"]


def test_an_invitation_expires(
    sharing: Sharing, cars: list[Vehicle], clock: SimulatedClock
) -> None:
    code = code_of(sharing, cars[0])
    clock.advance(DAY_S)
    with pytest.raises(NotFoundError):
        sharing.redeem(code, "bob")
    (kept,) = sharing.invitations(cars[0].id, 0, 10)
    assert kept.state(clock.now_us()) == "expired"
    with pytest.raises(NotFoundError):
        sharing.revoke(cars[0].id, kept.id)


def test_a_revoked_invitation_is_good_for_nothing(
    sharing: Sharing, cars: list[Vehicle], clock: SimulatedClock
) -> None:
    invitation = sharing.invite(cars[0].id, "owner")
    assert invitation.code is not None
    with pytest.raises(NotFoundError):  # of another vehicle
        sharing.revoke(cars[1].id, invitation.id)
    ended = sharing.revoke(cars[0].id, invitation.id)
    assert (ended.state(clock.now_us()), ended.code) == ("revoked", None)
    with pytest.raises(NotFoundError):
        sharing.redeem(invitation.code, "bob")
    with pytest.raises(NotFoundError):
        sharing.revoke(cars[0].id, invitation.id)


def test_an_invitation_to_a_vehicle_that_is_gone_is_good_for_nothing(
    registry: EmbeddedRegistry, cars: list[Vehicle]
) -> None:
    code = code_of(registry.sharing, cars[0])
    registry.remove_vehicle(cars[0].vin)
    with pytest.raises(NotFoundError):
        registry.sharing.redeem(code, "bob")


def test_a_vehicle_that_is_gone_is_driven_by_nobody(
    registry: EmbeddedRegistry, cars: list[Vehicle]
) -> None:
    registry.sharing.redeem(code_of(registry.sharing, cars[0]), "bob")
    registry.remove_vehicle(cars[0].vin)
    assert registry.sharing.driven("bob", 0, 10) == []
    assert registry.sharing.driven_count("bob") == 0


def test_removing_a_driver_ends_it_and_a_new_invitation_begins_anew(
    sharing: Sharing, cars: list[Vehicle]
) -> None:
    driver = sharing.redeem(code_of(sharing, cars[0]), "bob")
    with pytest.raises(NotFoundError):
        sharing.remove_driver(cars[1].id, driver.id)
    assert sharing.remove_driver(cars[0].id, driver.id) == driver
    assert not sharing.drives("bob", cars[0].id)
    with pytest.raises(NotFoundError):
        sharing.remove_driver(cars[0].id, driver.id)
    assert sharing.redeem(code_of(sharing, cars[0]), "bob").id != driver.id


def test_redeeming_twice_is_one_driver(sharing: Sharing, cars: list[Vehicle]) -> None:
    drivers = {sharing.redeem(code_of(sharing, cars[0]), "bob") for _ in range(2)}
    assert len(drivers) == 1


def test_drivers_and_pending_invitations_are_few(
    sharing: Sharing, cars: list[Vehicle], clock: SimulatedClock
) -> None:
    sharing.redeem(code_of(sharing, cars[0]), "bob")
    first = sharing.invite(cars[0].id, "owner")
    sharing.invite(cars[0].id, "owner")
    with pytest.raises(TooManyError, match="at most 3"):
        sharing.invite(cars[0].id, "owner")
    sharing.invite(cars[1].id, "owner")
    sharing.revoke(cars[0].id, first.id)
    sharing.invite(cars[0].id, "owner")
    clock.advance(DAY_S)
    for _ in range(2):
        sharing.invite(cars[0].id, "owner")
    assert sharing.invitation_count(cars[0].id) == 6
    assert [row.id for row in sharing.invitations(cars[0].id, 1, 2)] == [6, 5]


def test_an_account_lives_here_unless_it_was_moved(sharing: Sharing, open_again: Open) -> None:
    assert sharing.home("bob") is None
    home = Home("eu", "https://eu.example")
    sharing.set_home("bob", Home("cn", "https://cn.example"))
    sharing.set_home("bob", home)
    assert open_again().sharing.home("bob") == home
    sharing.set_home("bob", None)
    assert sharing.home("bob") is None


def add_app(registry: EmbeddedRegistry, client_id: str, person_id: int | None = None) -> None:
    redirects, scopes = ("https://app.example/callback",), ("openid",)
    registry.people.add_app(AppRequest("A", redirects, scopes, client_id=client_id), person_id)


def test_an_app_is_registered_with_one_domain_that_no_other_has(registry: EmbeddedRegistry) -> None:
    sharing = registry.sharing
    add_app(registry, "app")
    add_app(registry, "thief")
    assert sharing.registration("app") is None
    sharing.register("app", "old.example", "04aa")
    row = sharing.register("app", "app.example", "04bb")
    assert sharing.registration("app") == sharing.registration_of("app.example") == row
    assert (row.public_key, row.registered_time_us) == ("04bb", START_US)
    assert sharing.registration_of("old.example") is None
    with pytest.raises(AlreadyExistsError):
        sharing.register("thief", "app.example", "04cc")
    assert sharing.registration("thief") is None
    with pytest.raises(NotFoundError):
        sharing.register("none", "none.example", "04dd")


def test_a_revoked_app_holds_no_domain(registry: EmbeddedRegistry, open_again: Open) -> None:
    sharing = registry.sharing
    add_app(registry, "app")
    add_app(registry, "next")
    sharing.register("app", "app.example", "04aa")
    registry.people.revoke_app("app")
    assert sharing.registration("app") is None
    assert sharing.registration_of("app.example") is None
    with pytest.raises(NotFoundError):
        sharing.register("app", "app.example", "04aa")
    row = sharing.register("next", "app.example", "04aa")
    assert open_again().sharing.registration_of("app.example") == row


def test_a_domain_can_be_released(registry: EmbeddedRegistry) -> None:
    sharing = registry.sharing
    add_app(registry, "thief")
    add_app(registry, "app")
    row = sharing.register("thief", "app.example", "04aa")
    assert sharing.release("app.example") == row
    assert sharing.registration("thief") is None
    with pytest.raises(NotFoundError):
        sharing.release("app.example")
    sharing.register("app", "app.example", "04bb")


def test_a_key_is_one_persons(registry: EmbeddedRegistry) -> None:
    """Whose key it is says what cars tell: nobody may name another's, which is public."""
    sharing = registry.sharing
    ann, bob = (
        registry.people.add_person(f"{name}@example.org", name, "long enough")[0].id
        for name in ("ann", "bob")
    )
    add_app(registry, "anns", ann)
    add_app(registry, "anns-second", ann)
    add_app(registry, "bobs", bob)
    add_app(registry, "operators")
    sharing.register("anns", "ann.example", "04aa")
    sharing.register("anns-second", "second.ann.example", "04aa")
    for thief in ("bobs", "operators"):
        with pytest.raises(AlreadyExistsError, match="key"):
            sharing.register(thief, f"{thief}.example", "04aa")
    registry.people.revoke_app("anns")
    registry.people.revoke_app("anns-second")
    sharing.register("bobs", "bob.example", "04aa")


def add_operators(registry: EmbeddedRegistry, client_id: str, domain: str, pem: str = "") -> str:
    """As `motorcade app add --domain D --public-key F`; the key's point."""
    redirects, scopes = ("https://app.example/callback",), ("openid",)
    asked = AppRequest("Fleet", redirects, scopes, "", domain, pem, client_id=client_id)
    registry.people.add_app(asked)
    return public_point(pem) if pem else ""


@pytest.mark.parametrize("with_key", [True, False])
@pytest.mark.parametrize("domain", ["fleet.internal", "a.eu.fleet.internal"])
def test_nobody_takes_the_domain_of_an_app_of_the_operators(
    registry: EmbeddedRegistry, domain: str, with_key: bool
) -> None:
    sharing = registry.sharing
    eve = registry.people.add_person("eve@example.org", "Eve", "long enough")[0].id
    add_app(registry, "eves", eve)
    add_app(registry, "nameless")
    add_operators(registry, "fleet", "fleet.internal", PEM if with_key else "")
    before = sharing.registration_of(domain)
    for thief in ("eves", "nameless"):
        with pytest.raises(AlreadyExistsError, match="operator"):
            sharing.register(thief, domain, "04ee")
    assert sharing.registration_of(domain) == before
    sharing.register("eves", "notfleet.internal", "04ee")
    assert sharing.register("fleet", domain, "04aa").client_id == "fleet"
    registry.people.revoke_app("fleet")
    assert sharing.register("eves", domain, "04ee").client_id == "eves"


def test_an_app_of_the_operators_is_registered_unasked(registry: EmbeddedRegistry) -> None:
    sharing = registry.sharing
    eve = registry.people.add_person("eve@example.org", "Eve", "long enough")[0].id
    add_app(registry, "eves", eve)
    sharing.register("eves", "fleet.internal", "04ee")  # before the operator named it
    point = add_operators(registry, "fleet", "fleet.internal", PEM)
    added = Registration("fleet", "fleet.internal", point, START_US)
    assert sharing.registration("fleet") == sharing.registration_of("fleet.internal") == added
    sharing.release("fleet.internal")
    row = sharing.register("fleet", "fleet.internal", "04aa")
    assert sharing.registration("fleet") == sharing.registration_of("fleet.internal") == row
    registry.people.revoke_app("fleet")
    assert sharing.registration("fleet") is sharing.registration_of("fleet.internal") is None
    add_operators(registry, "keyless", "keyless.internal")
    assert sharing.registration("keyless") is None


def test_keys_have_names(sharing: Sharing, clock: SimulatedClock) -> None:
    sharing.name_key("bob", NamedKey("04aa", "mobile_device", "phone", "old", ""))
    clock.advance(1)
    sharing.name_key("bob", NamedKey("04bb", "mobile_device", "phone", "b", ""))
    clock.advance(1)
    sharing.name_key("bob", NamedKey("04aa", "mobile_device", "phone", "new", "t"))
    assert [(key.public_key, key.name) for key in sharing.named_keys("bob")] == [
        ("04aa", "new"),
        ("04bb", "b"),
    ]
    assert sharing.named_keys("eve") == []
    with pytest.raises(TooManyError):
        sharing.name_key("bob", NamedKey("04cc", "mobile_device", "phone", "c", ""))
