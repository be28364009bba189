"""Metrics and health of a whole platform: what they say is what happened to it."""

import json
import os
import resource
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from motorcade.metrics.table import METRICS
from tests.metrics.watching import eventually, get, ready, samples, scrape, value
from tests.platform_process import MOTORCADE, Platform, add_vehicles, platform, run_motorcade

VIN = "5YJ3E1EA7KF000001"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Platform, str]]:
    """A platform on which a car drives; and the car's token."""
    directory = tmp_path_factory.mktemp("seen")
    with platform(directory / "data") as up:
        car = add_vehicles(up.data, [VIN], directory / "cars")[VIN]
        driving = subprocess.Popen(
            [MOTORCADE, "drive", "--vehicle", str(directory / "cars" / VIN / "vehicle.json")],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            eventually(lambda: value(up, "motorcade_state_records_total") > 3)
            yield up, car["token"]
        finally:
            driving.terminate()
            driving.wait()


def test_every_family_is_a_row_of_the_table_with_its_labels(
    running: tuple[Platform, str],
) -> None:
    up, token = running
    text = scrape(up)
    assert VIN not in text
    assert token not in text
    seen = set()
    for family in text_string_to_metric_families(text):
        name = family.name + ("_total" if family.type == "counter" else "")
        row = METRICS[name]
        seen.add(name)
        assert (family.type, family.documentation) == (row.kind.value, row.help)
        for sample in family.samples:
            assert set(sample.labels) - {"le"} == set(row.labels), sample
    missing = METRICS.keys() - seen
    assert missing <= {  # labelled by what happened, which nothing did yet
        "motorcade_api_calls_total",
        "motorcade_commands_total",
        "motorcade_commands_refused_total",
    }, missing


def test_what_a_car_sent_is_counted_at_every_station(running: tuple[Platform, str]) -> None:
    up, _ = running

    def the_same_everywhere() -> bool:
        seen = samples(up)
        taken = seen["motorcade_gateway_records_total", (("door", "mqtt"),)]
        acked = seen["motorcade_gateway_acks_total", (("door", "mqtt"),)]
        stored = seen["motorcade_log_records_total", (("lane", "gateway-bulk"),)]
        read = seen["motorcade_state_records_total", ()]
        answers = seen["motorcade_log_records_total", (("lane", "gateway-fast"),)]
        own = stored + answers - taken  # of the gateway: it started, the car connected
        hello = 1  # at QoS 0: nobody acknowledges it
        return taken > 3 and acked + hello == taken and stored == read and own == 2

    eventually(the_same_everywhere)


def test_a_command_is_counted_and_timed(running: tuple[Platform, str]) -> None:
    up, _ = running
    run_motorcade("send", "--data", str(up.data), VIN, "honk_horn")
    seen = samples(up)
    assert seen["motorcade_commands_total", (("state", "requested"),)] >= 1
    assert seen["motorcade_commands_total", (("state", "executed"),)] >= 1
    done = (("state", "executed"),)
    assert seen["motorcade_commands_duration_seconds_count", done] >= 1
    assert 0 < seen["motorcade_commands_duration_seconds_sum", done] < 60


def test_people_are_shown_what_the_metrics_say(running: tuple[Platform, str]) -> None:
    up, _ = running

    def shown() -> dict[str, Any]:
        status, body = get(up, "/api/2/system", token=up.ready["admin_token"])
        assert status == 200, body
        told: dict[str, Any] = json.loads(body)["response"]
        return told

    told = eventually(lambda: told if (told := shown())["records_per_s"] > 0 else None)
    seen = samples(up)
    assert told["ledger"]["taken"] <= seen["motorcade_gateway_records_total", (("door", "mqtt"),)]
    assert told["ledger"]["read"] > 3
    assert (told["lost"], told["failing"], told["vehicles"]) == (0, [], 1)
    assert 0 < told["ack_ms_p50"] <= told["ack_ms_p99"] < 10_000
    assert {row["reader"]: row["lag_s"] < 60 for row in told["lag"]} == {
        "live state": True,
        "history": True,
    }
    running_ones = {row["process"]: (row["up"], row["restarts"]) for row in told["processes"]}
    assert running_ones["supervisor"] == (True, None)
    assert all(running_ones[name] == (True, 0) for name in ("gateway", "api", "reader"))
    assert {"door": "mqtt", "open": 1} in [
        {"door": row["door"], "open": row["open"]} for row in told["connections"]
    ]
    ends = {row["name"]: row["ends_us"] / 1e6 - time.time() for row in told["certificates"]}
    assert set(ends) == {"root CA", "vehicle CA", "server CA", "doors"}
    assert 396 < ends["doors"] / 86_400 <= 397  # identity.server_certificate_s


def test_metrics_want_a_token_of_their_scope_and_health_none(
    running: tuple[Platform, str],
) -> None:
    up, _ = running
    assert get(up, "/metrics")[0] == 401
    minted = run_motorcade("token", "--data", str(up.data), "--scopes", "vehicle_device_data")
    other = minted.split('"access_token": "')[1].split('"')[0]
    assert get(up, "/metrics", token=other)[0] == 403
    assert get(up, "/health/live")[0] == 200
    assert ready(up) == (200, {})


def test_not_ready_while_the_gateway_is_dead_or_stuck(running: tuple[Platform, str]) -> None:
    up, _ = running
    restarts = value(up, "motorcade_process_restarts_total", process="gateway")
    os.kill(up.child("gateway"), signal.SIGKILL)
    eventually(lambda: ready(up)[0] == 503 and "gateway" in ready(up)[1])
    assert value(up, "motorcade_process_up", process="gateway") == 0
    eventually(lambda: ready(up) == (200, {}))
    assert value(up, "motorcade_process_restarts_total", process="gateway") == restarts + 1

    stuck = up.child("gateway")
    os.kill(stuck, signal.SIGSTOP)
    try:
        status, reasons = ready(up)
    finally:
        os.kill(stuck, signal.SIGCONT)
    assert (status, list(reasons)) == (503, ["gateway"])
    eventually(lambda: ready(up) == (200, {}))


def test_not_ready_while_the_log_cannot_commit_and_again_by_itself(
    running: tuple[Platform, str],
) -> None:
    """The kernel refuses the gateway's writes, as a full disk does; then no more."""
    up, _ = running
    pid = up.child("gateway")
    soft, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, hard))
    try:
        _, reasons = eventually(lambda: ready(up) if ready(up)[0] == 503 else None)
        assert "cannot commit" in reasons["log gateway-bulk"]
        assert value(up, "motorcade_log_writable", lane="gateway-bulk") == 0
        assert value(up, "motorcade_log_commit_failures_total", lane="gateway-bulk") > 0
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (soft, hard))
    eventually(lambda: ready(up) == (200, {}))
    assert value(up, "motorcade_log_writable", lane="gateway-bulk") == 1


def test_a_stuck_follower_is_not_ready_then_not_live(tmp_path: Path) -> None:
    settings = ("health.state_silent_s_max=0", "health.stuck_s_max=0")
    with platform(tmp_path / "data", settings) as up:
        time.sleep(0.3)  # beyond any poll's age of 0
        assert "state" in ready(up)[1]
        assert get(up, "/health/live")[0] == 503
