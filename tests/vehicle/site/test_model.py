"""The house's energy: balance in every instant, exact meters, and what each mode does."""

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from motorcade.vehicle.site.model import Export, Flow, Mode, Site, Sites
from motorcade.wire.tariff import Price

NOON_S = 1_782_043_200  # 2026-06-21 12:00 UTC
MIDNIGHT_S = NOON_S - 43_200
KWH_MJ = 3_600_000_000


def site(**columns: Any) -> Site:
    usual: dict[str, Any] = {
        "seed": 7,
        "latitude_deg": 37.0,
        "longitude_deg": 0.0,
        "solar_w_peak": 8_000,
        "house_w": 1_500,
        "battery_count": 2,
        "battery_j": 48_600_000,
        "battery_w": 5_000,
        "wall_connector": True,
        "outages_per_year": 0.0,
    }
    return Site(**(usual | columns))


def one(start_s: int = NOON_S, share: float = 0.5, **columns: Any) -> Sites:
    sites = Sites([site(**columns)], start_s)
    sites.rows["energy_mj"] = (sites.capacity_mj * share).astype(np.int64)
    return sites


def run(sites: Sites, seconds: int, tick: int = 1) -> None:
    for _ in range(seconds // tick):
        sites.step(np.full(len(sites.rows), tick))


def load(rows: Any) -> Any:
    return rows["house_w"] + rows["wall_w"]


settings_of_a_site = st.fixed_dictionaries(
    {
        "mode": st.sampled_from(Mode),
        "export": st.sampled_from(Export),
        "price": st.sampled_from(Price),
        "grid_charging": st.booleans(),
        "storm_mode": st.booleans(),
        "reserve": st.integers(0, 100),
        "car_reserve": st.integers(0, 100),
    }
)


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 1 << 63),
    latitude=st.floats(-65, 65),
    start_s=st.integers(MIDNIGHT_S, MIDNIGHT_S + 365 * 86_400),
    share=st.floats(0, 1),
    count=st.integers(1, 5),
    peak=st.sampled_from([0, 3_000, 20_000]),
    ticks=st.lists(st.sampled_from([0, 1, 60, 900]), min_size=1, max_size=20),
    chosen=settings_of_a_site,
    outage=st.tuples(st.integers(0, 5_000), st.integers(0, 5_000)),
)
def test_it_balances_in_every_instant_and_meters_are_exact(
    seed: int,
    latitude: float,
    start_s: int,
    share: float,
    count: int,
    peak: int,
    ticks: list[int],
    chosen: dict[str, Any],
    outage: tuple[int, int],
) -> None:
    sites = one(
        start_s,
        share,
        seed=seed,
        latitude_deg=latitude,
        battery_count=count,
        solar_w_peak=peak,
        outages_per_year=40.0,
        grid_outages=((start_s + outage[0], start_s + sum(outage)),),
    )
    for name, value in chosen.items():
        sites.rows[name] = value
    sums = dict.fromkeys(["solar_w", "grid_w", "battery_w", "load"], 0)
    before_mj = int(sites.rows["energy_mj"][0])
    given_j = taken_j = 0
    for tick in ticks:
        sites.step(np.array([tick]))
        row = sites.rows[0]
        assert row["battery_w"] + row["solar_w"] + row["grid_w"] == load(row)
        assert 0 <= row["solar_w"] <= peak
        assert abs(row["battery_w"]) <= sites.power_w_max[0]
        assert load(row) >= 0
        assert 0 <= row["energy_mj"] <= sites.capacity_mj[0]
        if not row["grid_up"]:
            assert row["grid_w"] == 0
        if row["export"] == Export.NEVER:
            assert row["grid_w"] >= 0
        for name in ("solar_w", "grid_w", "battery_w"):
            sums[name] += int(row[name]) * tick
        sums["load"] += int(load(row)) * tick
        given_j += max(int(row["battery_w"]), 0) * tick
        taken_j += max(-int(row["battery_w"]), 0) * tick
    meter = dict(zip(Flow, map(int, sites.rows["meter_j"][0]), strict=True))
    assert min(meter.values()) >= 0
    from_solar = meter[Flow.SOLAR_TO_HOUSE] + meter[Flow.SOLAR_TO_BATTERY]
    assert from_solar + meter[Flow.SOLAR_TO_GRID] == sums["solar_w"]
    to_house = meter[Flow.SOLAR_TO_HOUSE] + meter[Flow.BATTERY_TO_HOUSE]
    assert to_house + meter[Flow.GRID_TO_HOUSE] == sums["load"]
    imported = meter[Flow.GRID_TO_HOUSE] + meter[Flow.GRID_TO_BATTERY]
    exported = meter[Flow.SOLAR_TO_GRID] + meter[Flow.BATTERY_TO_GRID]
    assert imported - exported == sums["grid_w"]
    # What went in and did not come out is in the battery, but for the losses: 5 % each way.
    stored_j = (int(sites.rows["energy_mj"][0]) - before_mj) / 1_000
    expected_j = taken_j * 0.949 - given_j / 0.949
    assert abs(stored_j - expected_j) <= 0.001 * len(ticks)
    if chosen["export"] != Export.BATTERY_OK or chosen["mode"] != Mode.AUTONOMOUS:
        assert meter[Flow.BATTERY_TO_GRID] == 0
    if not chosen["grid_charging"] and peak:
        assert meter[Flow.GRID_TO_BATTERY] == 0


def test_the_same_seed_gives_the_same_house_whatever_its_neighbours_are() -> None:
    alone, street = one(seed=3), Sites([site(seed=2), site(seed=3), site(seed=4)], NOON_S)
    street.rows["energy_mj"][1] = alone.rows["energy_mj"][0]
    run(alone, 7_200, 60)
    run(street, 7_200, 60)
    assert street.rows[1] == alone.rows[0]
    assert street.rows[2] != alone.rows[0]


def test_the_sun_shines_by_day_more_in_summer_and_not_at_night() -> None:
    def day_kwh(start_s: int, latitude_deg: float) -> float:
        sites = one(start_s, 1.0, latitude_deg=latitude_deg, seed=11)
        run(sites, 86_400, 900)
        return float(sites.rows["meter_j"][0][:3].sum() / 3.6e6)

    summer = sum(day_kwh(MIDNIGHT_S + day * 86_400, 50.0) for day in range(-5, 5))
    winter = sum(day_kwh(MIDNIGHT_S + (183 + day) * 86_400, 50.0) for day in range(-5, 5))
    assert summer > 1.8 * winter > 0
    south = sum(day_kwh(MIDNIGHT_S + (183 + day) * 86_400, -50.0) for day in range(-5, 5))
    assert south > 1.8 * winter  # it is summer there
    assert 100 < summer < 10 * 80  # 8 kW of panels
    night = one(MIDNIGHT_S)
    night.step(np.array([1]))
    assert night.rows["solar_w"][0] == 0


def test_self_consumption_uses_the_battery_by_night_down_to_its_reserve() -> None:
    sites = one(MIDNIGHT_S, 0.21, wall_connector=False)
    sites.step(np.array([1]))
    assert sites.rows["battery_w"][0] == load(sites.rows[0]) > 0
    assert sites.rows["grid_w"][0] == 0
    run(sites, 3 * 3_600, 60)
    assert 19.9 <= sites.percent[0] <= 20.1
    assert sites.rows["battery_w"][0] == 0
    assert sites.rows["grid_w"][0] == load(sites.rows[0])


def test_backup_fills_the_battery_and_keeps_it() -> None:
    sites = one(MIDNIGHT_S, 0.5, wall_connector=False)
    sites.rows["mode"] = Mode.BACKUP
    sites.step(np.array([1]))
    assert sites.rows["battery_w"][0] == -10_000  # from the grid: it is night
    run(sites, 4 * 3_600, 60)
    assert sites.percent[0] > 99.9
    assert sites.rows["battery_w"][0] >= -1
    sites.rows["energy_mj"] = sites.capacity_mj // 2
    sites.rows["grid_charging"] = False
    sites.step(np.array([1]))
    assert sites.rows["battery_w"][0] == 0


def test_storm_watch_fills_the_battery_whatever_the_mode() -> None:
    stormy = next(
        sites
        for sites in (one(MIDNIGHT_S, 0.5, seed=seed) for seed in range(1_000))
        if sites.rows["storm"][0]
    )
    stormy.step(np.array([1]))
    assert stormy.rows["battery_w"][0] >= 0
    stormy.rows["storm_mode"] = True
    stormy.step(np.array([1]))
    assert stormy.rows["battery_w"][0] == -10_000


def test_autonomous_fills_in_the_valley_uses_at_the_peak_and_sells_where_it_may() -> None:
    sites = one(MIDNIGHT_S, 0.5, wall_connector=False)
    row = sites.rows
    row["mode"] = Mode.AUTONOMOUS
    row["price"] = Price.VALLEY
    sites.settle()
    assert row["battery_w"][0] == -10_000
    row["price"] = Price.BETWEEN
    sites.settle()
    assert row["battery_w"][0] == load(row[0])
    row["price"] = Price.PEAK
    sites.settle()
    assert row["grid_w"][0] == 0
    row["export"] = Export.BATTERY_OK
    sites.settle()
    assert row["battery_w"][0] == 10_000
    assert row["grid_w"][0] == load(row[0]) - 10_000
    run(sites, 3 * 3_600, 60)
    assert 19.9 <= sites.percent[0] <= 20.1


def test_an_island_lives_on_its_battery_and_sheds_the_car_first() -> None:
    evening_s = next(
        start_s
        for start_s in range(MIDNIGHT_S + 20 * 3_600, MIDNIGHT_S + 30 * 86_400, 86_400)
        if one(start_s).rows["wall_w"][0]
    )
    outage = ((evening_s + 60, evening_s + 7_200),)
    sites = one(evening_s, 0.6, grid_outages=outage)
    run(sites, 120)
    row = sites.rows[0]
    assert not row["grid_up"]
    assert row["wall_w"] > 0  # 60 % is above the car's reserve of 50
    assert row["battery_w"] + row["solar_w"] == load(row)
    sites.rows["car_reserve"] = 70
    sites.step(np.array([1]))
    assert row["wall_w"] == 0
    sites.rows["energy_mj"] = 20 * 1_000_000  # an island may use what the reserve was for
    sites.step(np.array([1]))
    assert row["battery_w"] == row["house_w"] > 0
    sites.rows["energy_mj"] = 0
    sites.step(np.array([1]))
    assert load(row) == row["solar_w"]  # dark, or nearly
    run(sites, 7_200, 60)
    assert row["grid_up"]
    assert row["outage_start_s"] == outage[0][0]
    assert row["outage_end_s"] - row["outage_start_s"] in range(7_080, 7_201)


def test_an_island_wastes_the_sun_it_cannot_store() -> None:
    sites = one(NOON_S, 1.0, house_w=100, wall_connector=False, seed=1)
    sites.step(np.array([1]))
    free = int(sites.rows["solar_w"][0])
    island = one(
        NOON_S,
        1.0,
        house_w=100,
        wall_connector=False,
        seed=1,
        grid_outages=((NOON_S, NOON_S + 60),),
    )
    island.step(np.array([1]))
    assert island.rows["solar_w"][0] == load(island.rows[0]) < free


def test_a_charging_session_is_remembered_with_its_energy() -> None:
    sites = one(MIDNIGHT_S)
    session = 0
    for _ in range(7 * 1_440):
        before = int(sites.rows["charge_j"][0])
        sites.step(np.array([60]))
        session += int(sites.rows["charge_j"][0]) > before
    row = sites.rows[0]
    assert session > 60
    length = row["charge_end_s"] - row["charge_start_s"]
    assert row["charge_j"] == length * 7_360 > 0


def test_an_island_that_cannot_feed_both_feeds_the_house() -> None:
    evening_s = next(
        start_s
        for start_s in range(MIDNIGHT_S + 20 * 3_600, MIDNIGHT_S + 30 * 86_400, 86_400)
        if one(start_s, battery_count=1).rows["wall_w"][0]
    )
    free = one(evening_s, 0.9, battery_count=1)
    island = one(evening_s, 0.9, battery_count=1, grid_outages=((evening_s, evening_s + 60),))
    for sites in (free, island):
        sites.step(np.array([1]))
    assert island.rows["house_w"][0] == free.rows["house_w"][0]
    assert 0 < island.rows["wall_w"][0] < free.rows["wall_w"][0]
    assert island.rows["battery_w"][0] == 5_000
