"""Done when 3 of issue 6, on real processes: what live state showed at T is what `at=T` gives.

Cars send by MQTT while somebody reads: late, twice, ahead of time, coming and going. Between two
breaths of the senders the whole fleet is read live, with T; while they send, single cars are, each
with the time it was heard last. Later the past must say the same, vehicle by vehicle and signal by
signal, before and after a restart; and as-corrected what the senders know of themselves.
"""

import http.client
import json
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.late_senders import Convoy, driving
from tests.platform_process import Platform, add_vehicles, run_motorcade

VINS = [f"5YJ3E1EA7KF{number:06d}" for number in range(6)]
SETTINGS = (
    "past.keep_s=1",
    "state.snapshot_s=0.5",
    "past.coarse_s=1",
    "past.disk_free_bytes_min=0",
    "past.settle_s=0.2",
)
ROUNDS = 8
SEED = 20261126


def read(platform: Platform, query: str, vin: str) -> dict[str, Any]:
    url = platform.ready["api"]["url"].removeprefix("http://")
    connection = http.client.HTTPConnection(url, timeout=30)
    headers = {"Authorization": f"Bearer {platform.ready['admin_token']}"}
    connection.request("GET", f"/api/2/vehicles/{vin}{query}", headers=headers)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    assert answer.status == 200, body
    view: dict[str, Any] = json.loads(body)["response"]
    return view


def shown(view: dict[str, Any]) -> dict[str, Any]:
    return {name: part for name, part in view.items() if name not in ("at_us", "mode")}


@dataclass
class Voyage:
    platform: Platform
    convoy: Convoy
    dumps: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    glances: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def dump(self) -> None:
        """The fleet, once live state has all that was acked; nobody sends meanwhile."""
        for _ in range(200):
            fleet = {vin: read(self.platform, "", vin) for vin in VINS}
            if all(self._is_current(vin, view) for vin, view in fleet.items()):
                break
            time.sleep(0.02)
        else:
            raise AssertionError("live state does not catch up")
        self.dumps.append((time.time_ns() // 1_000, fleet))

    def _is_current(self, vin: str, view: dict[str, Any]) -> bool:
        said = [one for one in self.convoy.senders[vin].said if one[1] == "count"]
        if not said:
            return True
        newest = max(said, key=lambda one: one[0])
        counts = [s["value"] for s in view["signals"] if s["name"] == "count"]
        return counts == [newest[2]]


@pytest.fixture(scope="module")
def voyage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Voyage]:
    directory: Path = tmp_path_factory.mktemp("past")
    files = add_vehicles(directory / "data", VINS, directory / "vehicles")
    platform = Platform(directory / "data", SETTINGS)
    chance = random.Random(SEED)
    platform.start()
    try:
        with driving(platform, files) as convoy:
            trip = Voyage(platform, convoy)
            for _ in range(ROUNDS):
                for _ in range(20):
                    time.sleep(chance.uniform(0.0, 0.05))
                    vin = chance.choice(VINS)
                    trip.glances.append((vin, read(platform, "", vin)))
                with convoy.still():
                    trip.dump()
        yield trip
    finally:
        assert platform.stop() == 0


def compare(trip: Voyage) -> None:
    for at_us, fleet in trip.dumps:
        for vin, live in fleet.items():
            assert shown(read(trip.platform, f"?at={at_us}", vin)) == shown(live), (at_us, vin)
    seen = [(vin, view) for vin, view in trip.glances if view["last_received_us"]]
    assert len(seen) > 50
    for vin, live in seen[::4]:
        past = read(trip.platform, f"?at={live['last_received_us']}", vin)
        assert past["signals"] == live["signals"], (vin, live["last_received_us"])


def test_the_past_is_what_live_state_showed(voyage: Voyage) -> None:
    assert any(not view["online"] for _, fleet in voyage.dumps for view in fleet.values())
    compare(voyage)


def test_as_corrected_is_what_the_senders_know(voyage: Voyage) -> None:
    for at_us, _ in voyage.dumps:
        for vin, sender in voyage.convoy.senders.items():
            view = read(voyage.platform, f"?at={at_us}&mode=corrected", vin)
            expected: dict[str, tuple[int, float]] = {}
            for time_us, name, value in sender.said:
                if time_us <= at_us and time_us >= expected.get(name, (0, 0.0))[0]:
                    expected[name] = (time_us, value)
            got = {s["name"]: (s["time_us"], s["value"]) for s in view["signals"]}
            assert got == expected, (at_us, vin)


def test_it_differs_from_as_arrived_where_data_came_late(voyage: Voyage) -> None:
    differ = 0
    for at_us, fleet in voyage.dumps:
        for vin, live in fleet.items():
            corrected = read(voyage.platform, f"?at={at_us}&mode=corrected", vin)
            differ += corrected["signals"] != live["signals"]
    assert differ > 0


def test_snapshots_were_kept_and_the_command_line_shows_an_instant(voyage: Voyage) -> None:
    kept = list((voyage.platform.data / "state" / "kept").glob("*.kept"))
    assert len(kept) >= 3
    at_us, fleet = voyage.dumps[-2]
    words = ("watch", VINS[0], "--at", str(at_us), "--data", str(voyage.platform.data))
    assert shown(json.loads(run_motorcade(*words, "--json"))) == shown(fleet[VINS[0]])
    printed = run_motorcade(*words)
    assert "count" in printed
    assert "as arrived" in printed


def test_a_restart_changes_no_past(voyage: Voyage) -> None:
    assert voyage.platform.stop() == 0
    voyage.platform.start()
    compare(voyage)
