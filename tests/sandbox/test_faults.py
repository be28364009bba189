"""Answers that are to fail: what the app sees of each, and whom they meet."""

import time

import httpx
import pytest

from motorcade.sandbox.client import Sandbox, SandboxError, World
from motorcade.sandbox.faults import FAULTS_MAX, Asked, Fault, Faults
from tests.sandbox.app import App


def test_the_next_answer_is_408_as_of_a_sleeping_car(world: World, app: App) -> None:
    world.fail_next(408)
    answer = app.get("/vehicle_data")
    assert answer.status_code == 408
    assert answer.json()["error"] == "vehicle unavailable: vehicle is offline or asleep"
    assert answer.json()["txid"] == answer.headers["x-txid"]
    assert app.get("/vehicle_data").status_code == 200


def test_the_next_answer_is_429_with_the_headers_that_clients_read(world: World, app: App) -> None:
    world.fail_next(429, retry_s=7, times=2)
    for _ in range(2):
        answer = app.get("/vehicle_data")
        assert answer.status_code == 429
        assert answer.json()["error"] == "Retry in 7 seconds"
        names = ("Retry-After", "RateLimit-Reset", "RateLimit-Remaining", "RateLimit-Limit")
        assert [answer.headers[name] for name in names] == ["7", "7", "0", "1"]
    assert app.get("/vehicle_data").status_code == 200


def test_the_next_answer_is_503(world: World, app: App) -> None:
    world.fail_next(503, retry_s=2)
    answer = app.command("honk_horn")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
    assert answer.json()["error"] == "service unavailable"
    assert app.command("honk_horn").json()["response"]["result"]


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (401, "token expired (401)"),
        (402, "payment required"),
        (403, "Tesla Vehicle Command Protocol required"),
        (412, "must be registered in the current region"),
        (421, "user out of region, use base URL: https://fleet-api.prd.eu"),
        (423, "locked"),
        (500, "internal server error"),
        (504, "gateway timeout"),
        (540, "vehicle error"),
    ],
)
def test_further_answers_have_their_texts(world: World, app: App, status: int, text: str) -> None:
    world.fail_next(status)
    answer = app.get("")
    assert answer.status_code == status
    assert answer.json()["error"].startswith(text) or text in answer.json()["error"]
    assert app.get("").status_code == 200


def test_a_wrong_region_names_its_host_in_alt_svc(world: World, app: App) -> None:
    world.fail_next(421)
    assert app.get("").headers["Alt-Svc"] == "h2=https://fleet-api.prd.eu.vn.cloud.tesla.com"


def test_latency_comes_before_the_real_answer(world: World, app: App) -> None:
    world.slow_down(300, times=1)
    begun_s = time.monotonic()
    assert app.get("").status_code == 200
    assert time.monotonic() - begun_s >= 0.3
    begun_s = time.monotonic()
    assert app.get("").status_code == 200
    assert time.monotonic() - begun_s < 0.3


def test_a_fault_meets_its_path_method_and_vehicle_alone(sandbox: Sandbox) -> None:
    with sandbox.world(2) as world:
        app, other = App(world), world.vehicles[1].vin
        world.fail_next(500, path="*/command/*", times=None)
        world.fail_next(408, method="post", path="*/wake_up", times=None)
        world.vehicles[1].fail_next(503, times=None)
        assert app.get("").status_code == 200
        assert app.command("honk_horn").status_code == 500
        assert app.post("/wake_up").status_code == 408
        assert app.http.get(f"/api/1/vehicles/{other}").status_code == 503
        by_id = f"/api/1/vehicles/{world.vehicles[1].id}"
        assert app.http.get(by_id).status_code == 503
        assert len(world.faults()) == 3
        world.clear_faults()
        assert app.command("honk_horn").status_code == 200
        assert app.http.get(by_id).status_code == 200
        app.close()


def test_a_fault_of_one_world_does_not_meet_another(sandbox: Sandbox, app: App) -> None:
    with sandbox.world() as other:
        other.fail_next(503, times=None)
        assert app.get("").status_code == 200
        theirs = App(other)
        assert theirs.get("").status_code == 503
        theirs.close()
    assert sandbox.call("GET", "/faults") == []  # gone with its world


def test_the_token_endpoint_fails_for_the_worlds_app(sandbox: Sandbox, world: World) -> None:
    app = App(world)
    world.fail_next(401, path="/oauth2/v3/token")
    with sandbox.world() as other:
        theirs = App(other)
        assert theirs.refresh().status_code == 200
        theirs.close()
    refused = app.refresh()
    assert (refused.status_code, refused.json()["error"]) == (401, "login_required")
    assert app.refresh().status_code == 200
    world.fail_next(503, path="/oauth2/v3/token")
    form = {"grant_type": "client_credentials", "scope": "openid vehicle_device_data"}
    access = (world.client_id, world.client_secret)
    assert httpx.post(world.token_url, data=form, auth=access).status_code == 503
    assert httpx.post(world.token_url, data=form, auth=access).status_code == 200
    app.close()


def test_a_fault_without_a_world_meets_whoever_asks_next(sandbox: Sandbox, app: App) -> None:
    rule = sandbox.call("POST", "/faults", {"answer": 503, "times": None})
    assert app.get("").status_code == 503
    assert app.refresh().status_code == 503
    sandbox.call("DELETE", f"/faults/{rule['id']}")
    assert app.get("").status_code == 200
    with pytest.raises(SandboxError, match="404"):
        sandbox.call("DELETE", f"/faults/{rule['id']}")


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"answer": 418}, "one of 401"),
        ({}, "give an answer"),
        ({"answer": 408, "times": 0}, "times"),
        ({"answer": 408, "times": 1 << 70}, "times"),
        ({"answer": 429, "retry_s": 1 << 70}, "retry_s"),
        ({"answer": 421, "base_url": "https://a\r\nSet-Cookie: b"}, "base_url"),
        ({"latency_ms": 1e9}, "latency_ms"),
        ({"answer": 408, "world": "nowhere"}, "no world"),
        ({"anser": 408}, "anser"),
        ({"answer": "408"}, "int"),
    ],
)
def test_a_wrong_fault_says_why(sandbox: Sandbox, body: dict[str, object], text: str) -> None:
    with pytest.raises(SandboxError, match=text):
        sandbox.call("POST", "/faults", body)


def test_rules_are_asked_in_their_order_and_counted_down() -> None:
    faults, asked = Faults(), Asked("GET", "/api/1/vehicles", world="w1")
    faults.add(Fault(0, latency_s=0.5, times=None))
    faults.add(Fault(0, world="w2", answer=500))
    second = faults.add(Fault(0, answer=408, times=2))
    faults.add(Fault(0, answer=503))
    seen = [faults.take(asked) for _ in range(4)]
    assert [verdict.latency_s for verdict in seen] == [0.5] * 4
    statuses = [verdict.error.status if verdict.error else 0 for verdict in seen]
    assert statuses == [408, 408, 503, 0]
    assert second.id == 3
    assert [rule.world for rule in faults.of()] == ["", "w2"]


def test_there_are_not_endlessly_many_rules() -> None:
    faults = Faults()
    for _ in range(FAULTS_MAX):
        faults.add(Fault(0, answer=500))
    with pytest.raises(OverflowError, match="remove some"):
        faults.add(Fault(0, answer=500))
