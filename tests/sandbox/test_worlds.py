"""Worlds: fresh, apart from each other, the same for a seed, and set back."""

import base64
import json
import statistics
import time
from typing import Any

import httpx
import pytest

from motorcade.sandbox.client import Sandbox, SandboxError, World
from tests.sandbox.app import App, Signed, done

TAKES = 100
TAKE_S_MAX = 0.2


def shown(app: App) -> dict[str, Any]:
    """What an app sees of a car that has just begun, times apart."""
    answer = app.get("/vehicle_data").json()["response"]
    groups = ("charge_state", "climate_state", "vehicle_config", "vehicle_state", "drive_state")
    return {
        group: {name: value for name, value in answer[group].items() if "time" not in name}
        for group in groups
    }


def test_a_world_has_all_that_an_app_needs(world: World, app: App) -> None:
    entry = app.http.get("/api/1/vehicles").json()["response"]
    assert [row["vin"] for row in entry] == [world.vehicle.vin]
    assert (entry[0]["access_type"], entry[0]["state"]) == ("OWNER", "online")
    me = app.http.get("/api/1/users/me").json()["response"]
    assert me["email"] == world.email
    refreshed = app.refresh().json()
    assert refreshed["refresh_token"].startswith("NA_")
    headers = {"Authorization": f"Bearer {refreshed['access_token']}"}
    assert app.http.get("/api/1/vehicles", headers=headers).status_code == 200
    partner = httpx.post(
        world.token_url,
        data={
            "grant_type": "client_credentials",
            "client_id": world.client_id,
            "client_secret": world.client_secret,
            "scope": "openid vehicle_device_data",
        },
    )
    assert partner.status_code == 200
    bearer = {"Authorization": f"Bearer {partner.json()['access_token']}"}
    answer = app.http.post("/api/1/partner_accounts", json={"domain": world.domain}, headers=bearer)
    assert answer.status_code == 200, answer.text


def test_worlds_do_not_see_each_other(sandbox: Sandbox, app: App) -> None:
    with sandbox.world(2) as other:
        theirs = App(other)
        seen = [row["vin"] for row in theirs.http.get("/api/1/vehicles").json()["response"]]
        assert seen == [car.vin for car in other.vehicles]
        assert app.vin not in seen
        assert theirs.http.get(f"/api/1/vehicles/{app.vin}").status_code == 404
        assert theirs.http.post(f"/api/1/vehicles/{app.vin}/command/honk_horn").status_code == 404
        other.vehicles[0].sleep()
        assert app.state() == "online"
        theirs.close()


def test_the_same_seed_gives_the_same_cars(sandbox: Sandbox) -> None:
    seen = []
    for seed in (11, 11, 12):
        with sandbox.world(seed=seed, speed=0) as world:
            app = App(world)
            seen.append(shown(app))
            app.close()
    assert seen[0] == seen[1]
    assert seen[0] != seen[2]


def test_reset_undoes_what_apps_people_and_tests_did(sandbox: Sandbox) -> None:
    with sandbox.world(speed=0) as world:
        app, vin = App(world), world.vehicle.vin
        before = shown(app)
        old_refresh = world.refresh_token
        app.command("set_charge_limit", percent=61)
        app.command("door_unlock")
        invitation = app.post("/invitations").json()["response"]
        world.vehicle.unpair()
        world.vehicle.set_battery(3)
        world.vehicle.skew_clock(200)  # later, what is right would be too old to be shown
        world.vehicle.lose_network()
        world.fail_next(503, times=None)
        world.move_region("eu")
        world.speed_up(50)
        world.reset()
        world.speed_up(0)
        assert world.vehicle.vin == vin
        assert world.faults() == []
        app.close()
        app = App(world)
        assert app.state() == "online"
        again = shown(app)
        assert again["charge_state"] == before["charge_state"]
        assert again["vehicle_state"]["locked"] == before["vehicle_state"]["locked"]
        assert invitation["state"] == "pending"
        assert app.get("/invitations").json()["response"] == []
        assert app.get("/commands").json()["response"] == []
        session = Signed(app)
        assert session.begin() == 0
        assert done(session.ask())
        assert world.refresh_token != old_refresh
        assert app.refresh().status_code == 200
        world.refresh_token = old_refresh
        assert app.refresh().status_code == 401
        app.close()


def test_reset_ends_what_the_app_got_by_codes_of_its_own(world: World, app: App) -> None:
    def exchange(code: str) -> httpx.Response:
        form = {"grant_type": "authorization_code", "code": code, "client_id": world.client_id}
        form |= {"client_secret": world.client_secret, "redirect_uri": world.redirect_uri}
        return httpx.post(world.token_url, data=form)

    got = exchange(world.authorization_code()).json()
    unused = world.authorization_code()
    headers = {"Authorization": f"Bearer {got['access_token']}"}
    assert app.http.get("/api/1/users/me", headers=headers).status_code == 200
    world.reset()
    assert app.http.get("/api/1/users/me", headers=headers).status_code == 401
    world.refresh_token, fresh = got["refresh_token"], world.refresh_token
    assert app.refresh().status_code == 401
    assert exchange(unused).status_code >= 400
    world.refresh_token = fresh
    assert app.refresh().status_code == 200


def test_reset_gives_the_app_its_allowance_back(world: World, app: App) -> None:
    while app.post("/wake_up").status_code == 200:
        pass
    assert app.post("/wake_up").status_code == 429
    world.reset()
    app.http.headers.update(world.headers)
    assert app.post("/wake_up").status_code == 200


def test_the_default_world_is_as_documented(sandbox: Sandbox) -> None:
    world = sandbox.default_world()
    assert (world.client_id, world.client_secret) == ("sandbox-app", "sandbox-secret")
    assert (world.email, world.password) == ("owner@sandbox.test", "sandbox-password")
    assert [car.vin[-6:] for car in world.vehicles] == ["000001", "000002"]
    assert world.vehicles[0].told["doing"] in ("driving", "parked")  # it drives by itself
    assert world.vehicles[1].told["doing"] == "charging"
    assert world.vehicles[1].told["elapsed_s"] > 0
    page = httpx.get(
        f"{world.api_url}/oauth2/v3/authorize",
        params={
            "response_type": "code",
            "client_id": world.client_id,
            "redirect_uri": world.redirect_uri,
            "scope": "openid",
            "state": "x",
        },
    )
    assert page.status_code == 200
    assert "Sign in" in page.text


def test_an_authorisation_code_without_a_browser(world: World, app: App) -> None:
    code = world.authorization_code(scopes=["openid", "vehicle_device_data"])
    answer = app.http.post(
        world.token_url,
        data={
            "grant_type": "authorization_code",
            "client_id": world.client_id,
            "client_secret": world.client_secret,
            "code": code,
            "redirect_uri": world.redirect_uri,
        },
    ).json()
    payload = answer["access_token"].split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    assert claims["scp"] == ["openid", "vehicle_device_data"]
    with pytest.raises(SandboxError, match="redirect_uri"):
        world.authorization_code("https://elsewhere.example/callback")
    with pytest.raises(SandboxError, match="scopes"):
        world.authorization_code(scopes=["everything"])


def test_a_region_move_is_told_to_the_app_and_taken_back(world: World, app: App) -> None:
    world.move_region("eu")
    answer = app.get("")
    assert answer.status_code == 421
    assert answer.headers["Alt-Svc"] == "h2=https://fleet-api.prd.eu.vn.cloud.tesla.com"
    told = app.http.get("/api/1/users/region").json()["response"]
    assert told["region"] == "eu"
    world.move_region(None)
    assert app.get("").status_code == 200


def test_taking_a_fresh_world_takes_less_than_200_ms(sandbox: Sandbox) -> None:
    spent_s = []
    for _ in range(TAKES):
        begun_s = time.perf_counter()
        world = sandbox.world()
        spent_s.append(time.perf_counter() - begun_s)
        world.close()
    assert statistics.median(spent_s) < TAKE_S_MAX


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"vehicles": 101}, "at most 100"),
        ({"vehicles": -1}, "vehicles"),
        ({"vehicles": ["flying"]}, "flying"),
        ({"seed": -1}, "seed"),
        ({"speed": 1e9}, "speed"),
        ({"signed_commands": "maybe"}, "signed_commands"),
    ],
)
def test_a_world_that_cannot_be(sandbox: Sandbox, body: dict[str, object], text: str) -> None:
    with pytest.raises(SandboxError, match=f"400.*{text}"):
        sandbox.call("POST", "/worlds", body)


def test_a_page_from_elsewhere_cannot_reach_the_sandbox(sandbox: Sandbox) -> None:
    named = {"Host": "evil.example", "Content-Type": "application/json"}
    assert httpx.get(f"{sandbox.url}/sandbox/", headers=named).status_code == 421
    plain = {"Content-Type": "text/plain"}
    url = f"{sandbox.url}/sandbox/worlds"
    assert httpx.post(url, content=b"{}", headers=plain).status_code == 406
    assert "access-control-allow-origin" not in httpx.options(url).headers


def test_a_world_that_was_made_ahead_has_cars_that_obey(sandbox: Sandbox) -> None:
    """Its car stands in for the one that was driven meanwhile."""
    for limit in (61, 62, 63, 64):
        with sandbox.world() as world:
            app = App(world)
            answer = app.command("set_charge_limit", percent=limit)
            assert answer.json()["response"]["result"], answer.text
            time.sleep(1.5)  # a sample later; meanwhile the next world is made
            assert app.data("charge_state")["charge_limit_soc"] == limit
            app.close()


def test_a_reset_gives_a_world_the_speed_of_its_start(sandbox: Sandbox) -> None:
    with sandbox.world(speed=0) as world:
        world.speed_up(50)
        world.reset()
        assert sandbox.call("POST", f"/worlds/{world.id}/clock", {})["speed"] == 0
