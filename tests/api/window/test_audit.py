"""Who did what by page and API: each deed has its row, with its doer, vehicle and outcome."""

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from motorcade.api.audit import TEXT_CHARACTERS_MAX
from motorcade.registry.audit.port import What
from motorcade.registry.errors import RegistryUnavailableError
from motorcade.state.port import VehicleState
from motorcade.wire.command.messages import Answer, Command
from tests.api.standins import TOKENS, VINS, Platform, bearer, running

SEES = ("vehicle_device_data",)


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    settings = ("commands.response_s_max=0.3",)
    with running(tmp_path_factory.mktemp("audit"), *settings) as platform:
        for token in TOKENS:
            platform.live.states[token] = VehicleState({}, True, 5)
        people = platform.registry.people
        people.add_first_person("owner@a.example", "Olga Owner", "owner")
        people.add_person("bob@a.example", "Bob", subject="bob")
        people.add_person("ann@a.example", "Ann", subject="ann")
        people.set_role("ann", "operator")
        yield platform


def deeds(platform: Platform, **query: Any) -> list[dict[str, Any]]:
    return list(answer(platform, **query)["response"])


def answer(platform: Platform, **query: Any) -> Any:
    got = httpx.get(
        f"{platform.url}/api/2/audit",
        params=query,
        headers=platform.tokens.page("owner", *SEES),
        timeout=20,
    )
    assert got.status_code == 200, got.text
    return got.json()


def send(platform: Platform, name: str, vin: str = VINS[0], **headers: str) -> httpx.Response:
    url = f"{platform.url}/api/1/vehicles/{vin}/command/{name}"
    return httpx.post(url, json={}, headers=headers or bearer(), timeout=20)


def told(deed: dict[str, Any]) -> tuple[Any, ...]:
    return deed["who"], deed["what"], deed["text"], deed["outcome"]


def test_a_command_has_its_row_however_it_ended(platform: Platform) -> None:
    def refuses(command: Command) -> Answer:
        return Answer(
            id=command.id,
            state="refused",
            time_us=1,
            counter=command.counter,
            reason="not_now",
        )

    before_us = platform.clock.now_us()
    send(platform, "honk_horn", **platform.tokens.page("ann", "vehicle_cmds"))
    script, platform.gateway.script = platform.gateway.script, refuses
    send(platform, "flash_lights", VINS[1])
    platform.gateway.script = lambda _: None
    assert send(platform, "door_lock").status_code == 408
    platform.gateway.script = script
    found = deeds(platform, limit=3)
    assert [told(deed) for deed in found] == [
        ("Olga Owner", "sent_command", "door_lock", "handed_over"),
        ("Olga Owner", "sent_command", "flash_lights: not_now", "refused"),
        ("Ann", "sent_command", "honk_horn", "executed"),
    ]
    assert [deed["vehicle"] for deed in found] == [
        {"id": "1000", "name": "Car 0"},
        {"id": "1001", "name": "Car 1"},
        {"id": "1000", "name": "Car 0"},
    ]
    assert [deed["client_id"] for deed in found] == ["test", "test", "motorcade-page"]
    assert all(before_us <= deed["time_us"] <= platform.clock.now_us() for deed in found)


def test_a_command_that_was_never_sent_has_none(platform: Platform) -> None:
    before = len(deeds(platform))
    assert send(platform, "honk_horn", **bearer("owner", *SEES)).status_code == 403
    assert send(platform, "honk_horn", VINS[0][:-1] + "9").status_code == 404
    assert send(platform, "no_such").status_code == 400
    assert len(deeds(platform)) == before


def test_a_role_is_on_disk_before_it_is_answered(platform: Platform) -> None:
    url = f"{platform.url}/api/2/people/bob/role"
    httpx.post(url, json={"role": "viewer"}, headers=platform.tokens.page("owner", *SEES))
    assert platform.counter.audit._waiting == []
    httpx.post(
        f"{platform.url}/api/2/people/owner/role",
        json={"role": None},
        headers=platform.tokens.page(),
    )
    refused, given = deeds(platform, limit=2)
    assert told(given) == ("Olga Owner", "changed_role", "Bob (bob) is viewer", "done")
    assert told(refused)[:2] + told(refused)[3:] == ("Olga Owner", "changed_role", "refused")
    assert given["vehicle"] is None


def test_it_is_read_in_pieces_and_by_who_and_vehicle(platform: Platform) -> None:
    for subject in ("owner", "bob", "owner", "bob"):
        send(platform, "honk_horn", VINS[2], **bearer(subject))
    send(platform, "honk_horn", VINS[2], **platform.tokens.page("ann", "vehicle_cmds"))
    everything = deeds(platform, limit=500)
    first = answer(platform, limit=2)
    second = answer(platform, limit=2, cursor=first["cursor"])
    assert first["response"] + second["response"] == everything[:4]
    ids = [int(deed["id"]) for deed in everything]
    assert ids == sorted(set(ids), reverse=True)
    assert {deed["who"] for deed in deeds(platform, who="ann")} == {"Ann"}
    assert {deed["subject"] for deed in deeds(platform, who="OLGA")} == {"owner"}
    assert deeds(platform, who="nobody") == []
    assert {deed["vehicle"]["name"] for deed in deeds(platform, vehicle=1002)} == {"Car 2"}
    assert answer(platform, limit=500)["cursor"] is None


@pytest.mark.parametrize("query", [{"limit": 0}, {"cursor": "x"}, {"who": "x" * 201}])
def test_a_question_that_cannot_be_is_refused(platform: Platform, query: dict[str, Any]) -> None:
    url = f"{platform.url}/api/2/audit"
    got = httpx.get(url, params=query, headers=platform.tokens.page("owner", *SEES))
    assert (got.status_code, next(iter(query)) in got.text) == (400, True)


def test_what_could_not_be_written_is_written_later(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    access = platform.tokens.verify("owner:openid")

    def fail(_deeds: object) -> None:
        raise RegistryUnavailableError("full")

    def tell(text: str) -> None:
        telling = platform.counter.audit.tell(access, What.COMMENTED, text)
        asyncio.run_coroutine_threadsafe(telling, platform.loop).result(10)

    with monkeypatch.context() as broken:
        broken.setattr(platform.registry.audit, "write", fail)
        tell("first" + "x" * TEXT_CHARACTERS_MAX)
    tell("second")
    texts = [deed["text"] for deed in deeds(platform, limit=2)]
    assert texts == ["second", "first" + "x" * (TEXT_CHARACTERS_MAX - 5)]
