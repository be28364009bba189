"""Sleep and wake on the running platform: `motorcade up`, `motorcade drive`, an app's requests."""

import signal
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.platform_process import MOTORCADE, Platform

SETTINGS = ("vehicle.sleep_after_s=5", "vehicle.wake_s=1", "vehicle.asleep_sample_s=1")


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """An app with a car that stays where it is: its lid is open."""
    platform = Platform(tmp_path_factory.mktemp("sleep") / "data")
    platform.start()
    words = [f"--set={setting}" for setting in SETTINGS]
    car = subprocess.Popen(
        [MOTORCADE, "drive", "-n", "1", "--data", str(platform.data), *words],
        stdout=subprocess.DEVNULL,
    )
    headers = {"Authorization": f"Bearer {platform.ready['admin_token']}"}
    try:
        with httpx.Client(
            base_url=platform.ready["api"]["url"] + "/api/1", headers=headers, timeout=20
        ) as client:
            yield client
    finally:
        car.send_signal(signal.SIGTERM)
        car.wait(20)
        platform.stop()


def until(client: httpx.Client, path: str, state: str) -> dict[str, Any]:
    """The car's entry once it is in `state`."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        answer = client.get(path).json()["response"]
        entry = answer[0] if isinstance(answer, list) and answer else answer
        if entry and entry["state"] == state:
            return dict(entry)
        time.sleep(0.05)
    raise AssertionError(f"the car did not become {state}")


def locked(client: httpx.Client, path: str) -> bool:
    data = client.get(f"{path}/vehicle_data?endpoints=vehicle_state").json()["response"]
    return bool(data["vehicle_state"]["locked"])


def test_a_car_sleeps_is_woken_and_obeys(client: httpx.Client) -> None:
    path = f"/vehicles/{until(client, '/vehicles', 'online')['vin']}"
    held = {"which_trunk": "rear"}
    waking = {"X-Command-Wake": "true"}
    opened = client.post(f"{path}/command/actuate_trunk", json=held, headers=waking)
    while opened.json()["response"]["reason"] == "vehicle_is_driving":  # it set off already
        time.sleep(1)
        opened = client.post(f"{path}/command/actuate_trunk", json=held, headers=waking)
    assert opened.json()["response"]["result"]

    until(client, path, "asleep")
    for refused in (client.post(f"{path}/command/honk_horn"), client.get(f"{path}/vehicle_data")):
        assert refused.status_code == 408
        assert "vehicle is offline" in refused.text

    begun_s = time.monotonic()
    sent = client.post(f"{path}/command/door_unlock", headers=waking)
    assert sent.json()["response"] == {"result": True, "reason": ""}
    assert time.monotonic() - begun_s >= 0.5  # a second of the car's, which counts in halves
    until(client, path, "online")
    deadline = time.monotonic() + 20
    while locked(client, path):  # the answer comes before the sample that shows it
        assert time.monotonic() < deadline
        time.sleep(0.05)

    until(client, path, "asleep")
    assert client.post(f"{path}/wake_up", json=None).json()["response"]["state"] == "asleep"
    until(client, path, "online")
    assert client.post(f"{path}/command/honk_horn").json()["response"]["result"]
