"""The past of a site over HTTP equals what its house has lived, from the log, across a kill."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import paho.mqtt.client as paho
import pytest

from motorcade.clock import SimulatedClock
from motorcade.vehicle.disk import MemoryDisk
from motorcade.vehicle.samples import JsonSampler
from motorcade.vehicle.site.home import Homes
from motorcade.vehicle.site.model import Flow
from motorcade.vehicle.site.samples import SiteSignals
from motorcade.vehicle.site.site_file import read_site_file
from motorcade.zones import offset_s
from tests.api.energy.house import ENERGY, Caller, token
from tests.platform_process import Platform
from tests.vehicle.site.running import add_site, change_house, until
from tests.wire.test_tariff import CONTENT

DAYS = 3
SAMPLE_S = 60
ZONE = "Europe/Berlin"
DAY_S = 86_400


class Lived:
    """A house that has lived for some days, and all that it has sent."""

    def __init__(self, file: Path, now_s: int) -> None:
        self.site = read_site_file(file)
        midnight_s = now_s - (now_s + offset_s(now_s * 1_000_000, ZONE)) % DAY_S
        self.from_s = midnight_s - (DAYS - 1) * DAY_S
        self.until_s = now_s - now_s % SAMPLE_S
        self.outage = (self.from_s + 40_000, self.from_s + 43_000)
        change_house(file, grid_outages=[self.outage], outages_per_year=0)
        self.site = read_site_file(file)
        self.meters: dict[int, list[int]] = {}
        self.sessions: dict[int, tuple[int, int]] = {}
        self.payloads: list[bytes] = []

    def live(self) -> None:
        clock = SimulatedClock(self.from_s * 1_000_000)
        house = self.site.house
        homes = Homes([(house.site(), house.time_zone, MemoryDisk())], clock)
        (home,) = homes.homes
        home.apply("time_of_use_settings", {"tariff_content_v2": CONTENT})
        sampler = JsonSampler(SiteSignals())
        while clock.now_us() <= self.until_s * 1_000_000:
            self.payloads.append(sampler.sample(home, {}, clock.now_us()))
            row = home.row
            self.meters[clock.now_us() // 1_000_000] = row["meter_j"].tolist()
            if row["charge_start_s"]:
                length_s = int(row["charge_end_s"] - row["charge_start_s"])
                self.sessions[int(row["charge_start_s"])] = (length_s, int(row["charge_j"]))
            home.look()
            homes.columns.step(np.array([SAMPLE_S]))  # in ticks of a second it takes minutes
            clock.advance(SAMPLE_S)

    def send(self, address: dict[str, Any]) -> None:
        access = self.site.identity.mqtt
        client = paho.Client(
            paho.CallbackAPIVersion.VERSION2, client_id=access.client_id, protocol=paho.MQTTv5
        )
        client.username_pw_set(access.username, access.password)
        client.connect(address["host"], address["port"])
        client.loop_start()
        topic = f"{access.publish_topic_prefix}/energy"
        sent = [client.publish(topic, payload, qos=1) for payload in self.payloads]
        for one in sent:
            one.wait_for_publish(30)
        client.disconnect()
        client.loop_stop()


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Caller, Lived]]:
    place = tmp_path_factory.mktemp("history")
    up = Platform(place / "data", ["energy.ledger_commit_s=0.2", "energy.history_events_max=2"])
    up.start()
    try:
        added = add_site(up.data, place / "site", "--time-zone", ZONE)
        caller = Caller(up, added["energy_site_id"], token(up.data, ENERGY))
        lived = Lived(Path(added["file"]), int(time.time()))
        lived.live()
        lived.send(up.ready["mqtt"])
        until(lambda: total(caller.get("calendar_history", kind="energy", period="month")) > 0)
        until(lambda: settled(caller))
        yield caller, lived
    finally:
        up.stop()


def settled(caller: Caller) -> bool:
    before = caller.get("calendar_history", kind="energy", period="week")
    time.sleep(0.5)
    return bool(before == caller.get("calendar_history", kind="energy", period="week"))


def total(history: Any, member: str = "total_home_usage") -> float:
    return float(sum(one[member] for one in history["time_series"]))


def home_wh(lived: Lived, from_s: int, until_s: int) -> float:
    first, last = lived.meters[from_s], lived.meters[until_s]
    flows = (Flow.SOLAR_TO_HOUSE, Flow.BATTERY_TO_HOUSE, Flow.GRID_TO_HOUSE)
    return sum(last[flow] - first[flow] for flow in flows) / 3_600


def iso(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def test_the_sum_of_any_span_is_what_the_meters_ran(past: tuple[Caller, Lived]) -> None:
    caller, lived = past
    whole = home_wh(lived, lived.from_s, lived.until_s)
    for period in ("day", "week", "month", "year", "lifetime"):
        history = caller.get(
            "calendar_history", kind="energy", period=period, start_date=iso(lived.from_s)
        )
        assert history["period"] == period
        assert total(history) == pytest.approx(whole, abs=0.01), period
        for one in history["time_series"]:
            comes = one["solar_energy_exported"] + one["grid_energy_imported"]
            goes = one["total_home_usage"] + one["total_grid_energy_exported"]
            stored = one["total_battery_charge"] - one["battery_energy_exported"]
            assert comes == pytest.approx(goes + stored, abs=1e-6)


def test_a_day_is_cut_every_five_minutes(past: tuple[Caller, Lived]) -> None:
    caller, lived = past
    day = caller.get(
        "calendar_history",
        kind="energy",
        period="day",
        start_date=iso(lived.from_s),
        end_date=iso(lived.from_s + DAY_S),
        time_zone=ZONE,
    )
    assert len(day["time_series"]) == 288
    assert "T00:00:00" in day["time_series"][0]["timestamp"]
    for number in (0, 100, 287):
        begin_s = lived.from_s + number * 300
        expected = home_wh(lived, begin_s, begin_s + 300)
        # The ledger keeps a slot's last sample: a minute of five is shared evenly.
        got = day["time_series"][number]["total_home_usage"]
        assert got == pytest.approx(expected, rel=0.5, abs=60)


def test_days_of_the_month_are_local_ones(past: tuple[Caller, Lived]) -> None:
    caller, lived = past
    days = caller.get(
        "calendar_history",
        kind="energy",
        period="month",
        start_date=iso(lived.from_s),
        time_zone=ZONE,
    )["time_series"]
    assert len(days) == DAYS
    assert all("T00:00:00" in one["timestamp"] for one in days)
    expected = home_wh(lived, lived.from_s, lived.from_s + DAY_S)
    assert days[0]["total_home_usage"] == pytest.approx(expected, abs=30)


def test_the_failure_of_the_grid_is_told(past: tuple[Caller, Lived]) -> None:
    caller, lived = past
    history = caller.get(
        "calendar_history", kind="backup", period="week", start_date=iso(lived.from_s)
    )
    assert history["total_events"] == 1
    (event,) = history["events"]
    assert event["duration"] == lived.outage[1] - lived.outage[0]
    assert event["timestamp"].startswith(
        time.strftime("%Y-%m-%dT%H:", time.gmtime(lived.outage[0] + 3_600))
    )
    before = caller.get(
        "calendar_history",
        kind="backup",
        start_date=iso(lived.from_s),
        end_date=iso(lived.outage[0]),
    )
    assert before["events"] == []


def test_the_wall_connector_s_sessions_are_told_the_newest_first(
    past: tuple[Caller, Lived],
) -> None:
    caller, lived = past
    told = caller.get(
        "telemetry_history", kind="charge", start_date=iso(lived.from_s), end_date=iso(1 << 32)
    )["charge_history"]
    expected = sorted(lived.sessions.items(), reverse=True)[:2]  # history_events_max
    assert [
        (one["charge_start_time"]["seconds"], one["charge_duration"]["seconds"]) for one in told
    ] == [(start_s, length_s) for start_s, (length_s, _) in expected]
    for one, (_, (_, joules)) in zip(told, expected, strict=True):
        assert one["energy_added_wh"] == pytest.approx(joules / 3_600, abs=0.01)


def test_the_tariff_is_shown_whole(past: tuple[Caller, Lived]) -> None:
    caller, _ = past
    assert caller.get("site_info")["tariff_content"] == CONTENT
    assert caller.get("site_info")["tariff_content_v2"] == CONTENT


@pytest.mark.parametrize(
    ("what", "query", "word"),
    [
        ("calendar_history", {}, "kind"),
        ("calendar_history", {"kind": "savings"}, "kind"),
        ("telemetry_history", {"kind": "energy"}, "kind"),
        ("calendar_history", {"kind": "energy", "period": "decade"}, "period"),
        ("calendar_history", {"kind": "energy", "time_zone": "Mars/One"}, "time_zone"),
        ("calendar_history", {"kind": "energy", "start_date": "soon"}, "RFC 3339"),
        ("calendar_history", {"kind": "backup", "end_date": "9999-99-99"}, "RFC 3339"),
        ("calendar_history", {"kind": "energy", "start_date": "0001-01-01"}, "intervals"),
    ],
)
def test_a_wrong_question_is_refused_by_its_member(
    past: tuple[Caller, Lived], what: str, query: dict[str, str], word: str
) -> None:
    caller, _ = past
    answer = caller.ask("GET", f"/api/1/energy_sites/{caller.site_id}/{what}", params=query)
    assert answer.status_code == 400
    assert word in answer.json()["error_description"]


def test_an_unregistered_span_is_empty(past: tuple[Caller, Lived]) -> None:
    caller, lived = past
    early = {"start_date": iso(lived.from_s - 10 * DAY_S), "end_date": iso(lived.from_s - DAY_S)}
    week = caller.get("calendar_history", kind="energy", period="week", **early)
    assert week["time_series"] == []
    assert caller.get("telemetry_history", kind="charge", **early)["charge_history"] == []


def test_the_past_survives_a_kill_of_everything(past: tuple[Caller, Lived]) -> None:
    caller, lived = past
    query = {"kind": "energy", "period": "week", "start_date": iso(lived.from_s)}
    before = caller.get("calendar_history", **query)
    caller.platform.kill_all()
    caller.platform.start()
    until(lambda: caller.get("calendar_history", **query)["time_series"])
    after = caller.get("calendar_history", **query)
    assert json.dumps(after["time_series"][:-1]) == json.dumps(before["time_series"][:-1])
    assert total(after) == pytest.approx(total(before), abs=0.01)
    assert caller.get("site_info")["tariff_content"] == CONTENT
