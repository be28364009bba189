"""What apps ask is noted by the hour, and what the owner asks is not."""

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from websockets.sync.client import connect

from motorcade.api.accesses import AccessNotes
from motorcade.api.counter import kind_of
from motorcade.api.rights import RIGHTS, VEHICLE, Right, Token
from motorcade.clock import SimulatedClock
from motorcade.events import VehicleToken
from motorcade.identity.port import AccessToken
from motorcade.identity.scopes import SCOPES
from motorcade.registry.accesses.port import HOUR_US, Accesses
from motorcade.registry.errors import RegistryUnavailableError
from motorcade.registry.people.port import AppRequest
from motorcade.state.embedded import EmbeddedLiveState
from motorcade.state.port import VehicleState
from tests.api.standins import ALL_SCOPES, TOKENS, VINS, Platform, bearer, running
from tests.vehicle import test_streaming

CAR, CAR_ID = f"/api/1/vehicles/{VINS[0]}", 1_000
OWNERS = "owner:" + "+".join(ALL_SCOPES) + ":own"


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    with running(tmp_path) as platform:
        platform.live.states[TOKENS[0]] = VehicleState({}, True, 5)
        platform.counter.viewers._picture.state = EmbeddedLiveState(platform.config)
        platform.tokens.clients[OWNERS] = "motorcade"
        asked = AppRequest(
            name="Charger",
            redirect_uris=("https://a.example",),
            scopes=("openid",),
            purpose="Charge cheaply",
            client_id="test",
        )
        platform.registry.people.add_app(asked)
        yield platform


def flush(platform: Platform) -> None:
    notes = platform.counter.accesses
    asyncio.run_coroutine_threadsafe(notes.flush(), platform.loop).result(10)


def kinds(platform: Platform) -> dict[str, int]:
    rows = platform.registry.access_log.accesses(CAR_ID, 100)
    return {row.kind: row.times for row in rows}


def test_a_stream_is_noted_in_each_hour_that_it_lasts_and_when_it_ends() -> None:
    clock = SimulatedClock(9 * HOUR_US + 59 * HOUR_US // 60)
    owner = AccessToken("o", frozenset(), 1 << 60, "app")
    rows: dict[tuple[str, int], tuple[int, int]] = {}

    class Log:
        def write(self, written: list[Accesses]) -> None:
            for row in written:
                rows[row.kind, row.last_time_us // HOUR_US] = row.times, row.last_time_us

    async def run() -> None:
        notes = AccessNotes(cast(Any, Log()), clock, 3.0)
        notes.note(owner, VehicleToken(TOKENS[0]), "stream")
        with notes.lasting(owner, VehicleToken(TOKENS[0]), "stream"):
            clock.advance(60 - 0.02)  # 20 ms before the hour
            with notes.lasting(owner, VehicleToken(TOKENS[0]), "other"):
                clock.advance(0.02)
                await asyncio.sleep(0.2)
            clock.advance(1_800)
        await notes.flush()

    asyncio.run(run())
    assert rows["stream", 9][0] == 1
    assert rows["stream", 10] == (0, 10 * HOUR_US + HOUR_US // 2)  # until when it lasted
    assert rows["other", 10][0] >= 1  # in the next hour too


def test_each_app_s_questions_are_counted_by_kind(platform: Platform) -> None:
    for _ in range(3):
        assert httpx.get(f"{platform.url}{CAR}/vehicle_data", headers=bearer()).status_code == 200
    httpx.post(f"{platform.url}{CAR}/command/honk_horn", headers=bearer())
    with connect(platform.ws_url + CAR + "/stream", additional_headers=bearer(), proxy=None) as way:
        way.recv(timeout=10)
    httpx.get(f"{platform.url}{CAR}/service_data", headers={"Authorization": f"Bearer {OWNERS}"})
    assert kinds(platform) == {}  # nothing is written on a request's way
    flush(platform)
    wanted = {"vehicle_data": 3, "command": 1, "stream": 1}
    assert kinds(platform) == wanted
    row = platform.registry.access_log.accesses(CAR_ID, 1)[0]
    assert (row.app_name, row.purpose, row.subject) == ("Charger", "Charge cheaply", "owner")
    httpx.get(f"{platform.url}{CAR}/vehicle_data", headers=bearer())
    flush(platform)
    assert kinds(platform) == wanted | {"vehicle_data": 4}


TELLING = [
    row
    for row in RIGHTS.values()
    if row.token in (Token.PERSON, Token.EITHER) and row.method in ("GET", "POST")
    if not row.path.endswith("/stream")  # has no end; the test above has one
]
LISTS = {"vehicles", "products", "history", "sessions", "fleet_telemetry_config_jws"}


def ask(platform: Platform, row: Right, vin: str) -> httpx.Response:
    path = row.path.replace("{tag}", VINS[0]).replace("{name}", "honk_horn")
    path = platform.url + re.sub(r"\{\w+\}", "1", path)
    sign = platform.tokens.page if row.role else bearer
    headers, query = sign("owner", *SCOPES), {"vin": vin} if vin else {}
    body = {"vins": [VINS[0]], "token": test_streaming.token()} if row.method == "POST" else None
    return httpx.request(row.method, path, params=query, json=body, headers=headers, timeout=20)


@pytest.mark.parametrize("vin", ["", VINS[0]], ids=["all", "one"])
def test_every_route_that_tells_of_a_vehicle_is_noted(platform: Platform, vin: str) -> None:
    """Those under a vehicle's path, those that read of each vehicle, and whose answers name it."""
    missing = []
    for row in TELLING:
        before = sum(kinds(platform).values())
        answer = ask(platform, row, vin)
        assert answer.status_code != 403, row.path
        flush(platform)
        noted = sum(kinds(platform).values()) - before
        tells = row.path.startswith(VEHICLE) or kind_of(row) in LISTS or VINS[0] in answer.text
        if tells and noted != 1:
            missing.append((row.method, row.path, noted))
    assert missing == []


def test_what_could_not_be_written_is_written_later(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    httpx.get(f"{platform.url}{CAR}/vehicle_data", headers=bearer())
    log = platform.registry.access_log

    def fail(_rows: object) -> None:
        raise RegistryUnavailableError("locked")

    with monkeypatch.context() as broken:
        broken.setattr(log, "write", fail)
        flush(platform)
    httpx.get(f"{platform.url}{CAR}/vehicle_data", headers=bearer())
    flush(platform)
    assert kinds(platform) == {"vehicle_data": 2}


def test_hours_are_rows_and_old_ones_go(platform: Platform) -> None:
    log, now_us = platform.registry.access_log, platform.clock.now_us()
    row = Accesses(TOKENS[0], "test", "owner", "vehicle_data", 5, now_us)
    log.write([row, row._replace(last_time_us=now_us - HOUR_US)])
    assert [one.times for one in log.accesses(CAR_ID, 9)] == [5, 5]
    old_us = now_us - (platform.registry._config.access_log_s + 7_200) * 1_000_000
    log.write([row._replace(last_time_us=old_us), row._replace(vehicle=VehicleToken("nobody"))])
    assert [one.times for one in log.accesses(CAR_ID, 9)] == [5, 5]
