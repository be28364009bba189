"""The fleet in columns: cars that a person would take for cars, and the same ones each time."""

import hashlib
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest

from motorcade.simulation import kernels
from motorcade.simulation.fleet import Fleet
from motorcade.simulation.streets import Streets, read_streets

CARS = 1_500
DIGEST = """
import hashlib
from motorcade.simulation.fleet import Fleet
from motorcade.simulation.streets import read_streets
fleet = Fleet(read_streets(), 300, 9)
for _ in range(200):
    fleet.step()
print(hashlib.sha256(b"".join(column.tobytes() for column in fleet.cars)).hexdigest())
"""


@pytest.fixture(scope="module")
def streets() -> Streets:
    return read_streets()


Lived = tuple[Fleet, list[dict[str, np.ndarray]]]


@pytest.fixture(scope="module")
def lived(streets: Streets) -> Lived:
    """A fleet after 15 minutes, and what it was each second."""
    fleet = Fleet(streets, CARS, 3)
    seen = []
    for _ in range(900):
        fleet.step()
        seen.append({name: getattr(fleet.cars, name).copy() for name in fleet.cars._fields})
    return fleet, seen


def test_the_same_seed_gives_the_same_bytes_in_another_process(streets: Streets) -> None:
    fleet = Fleet(streets, 300, 9)
    for _ in range(200):
        fleet.step()
    here = hashlib.sha256(b"".join(column.tobytes() for column in fleet.cars)).hexdigest()
    run = subprocess.run([sys.executable, "-c", DIGEST], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == here


def test_speeds_and_accelerations_are_those_of_cars(lived: Lived) -> None:
    _, seen = lived
    speed = np.array([now["speed_mps"] for now in seen])
    moving = np.array([now["state"] == kernels.MOVING for now in seen])
    change = np.diff(speed, axis=0)
    assert speed.min() >= 0
    assert speed.max() < 1.1 * 130 / 3.6
    assert change.max() <= 2.4
    assert change.min() >= -5.5
    assert np.quantile(change[moving[1:] & (speed[1:] > 0)], 0.01) > -3.5  # hard braking is rare
    assert 20 < speed[moving].mean() * 3.6 < 50  # a city
    assert 0.02 < (speed[moving] < 0.3).mean() < 0.3  # stands at lights and junctions


def test_no_car_jumps(lived: Lived, streets: Streets) -> None:
    fleet, seen = lived
    before = None
    for now in seen:
        lon, lat = np.empty(CARS), np.empty(CARS)
        kernels.locate(fleet.graph, now["edge"], now["along_m"], lon, lat, np.empty(CARS))
        if before is not None:
            east = np.radians(lon - before[0]) * np.cos(np.radians(lat))
            moved = 6_371_008.8 * np.hypot(east, np.radians(lat - before[1]))
            driven = now["odometer_m"] - before[2]
            assert np.all(moved <= driven + 0.5)
        before = (lon, lat, now["odometer_m"])


def test_red_lights_are_kept(lived: Lived, streets: Streets) -> None:
    _, seen = lived
    _, ends = streets.headings
    passed = red = 0
    for second, (before, now) in enumerate(pairwise(seen)):
        left = before["edge"][(before["edge"] != now["edge"]) & (now["state"] == kernels.MOVING)]
        for edge in left:
            node = streets.edge_to[edge]
            if streets.node_light[node]:
                passed += 1
                red += not kernels.is_green.py_func(second + 2.0, int(node), ends[edge])
    assert passed > 1_000
    assert red / passed < 0.05  # those who could not have stopped any more


def test_energy_is_booked(lived: Lived) -> None:
    _, seen = lived
    for before, now in pairwise(seen):
        expected = np.clip(before["energy_j"] - now["power_w"], 0, kernels.BATTERY_J)
        parked = now["speed_mps"] == 0  # on arriving the last metre's power is forgotten
        assert np.allclose(now["energy_j"][~parked], expected[~parked])
    first, last = seen[0], seen[-1]
    always = np.all([now["state"] == kernels.MOVING for now in seen], axis=0)
    assert always.sum() > 20
    used_kwh = (first["energy_j"] - last["energy_j"])[always] / 3.6e6
    driven_km = (last["odometer_m"] - first["odometer_m"])[always] / 1e3
    assert 10 < 100 * used_kwh.sum() / driven_km.sum() < 22  # kWh in 100 km


def test_cars_park_charge_and_leave_again(lived: Lived) -> None:
    _, seen = lived
    states = np.array([now["state"] for now in seen])
    assert ((states[:-1] == kernels.MOVING) & (states[1:] != kernels.MOVING)).sum() > 200
    assert ((states[:-1] != kernels.MOVING) & (states[1:] == kernels.MOVING)).sum() > 200
    charging = states[-1] == kernels.CHARGING
    assert 0.005 < charging.mean() < 0.3
    power = seen[-1]["power_w"][charging]
    assert np.all((power < 0) & (power >= -150_000))


def test_cars_find_their_places_by_the_way_that_was_reckoned(streets: Streets) -> None:
    fleet = Fleet(streets, 400, 4)
    cars = fleet.cars
    for _ in range(900):
        before = cars.edge.copy()
        was = cars.state.copy()
        target = fleet.places.node[cars.target].copy()
        fleet.step()
        turned = np.flatnonzero((before != cars.edge) & (was == kernels.MOVING))
        for row in turned:
            edge, hops = int(before[row]), 0
            while edge != cars.edge[row] and hops < 20:
                node = int(streets.edge_to[edge])
                hop = int(fleet.router.ways[cars.target[row], node])
                edge = int(streets.node_first_edge[node]) + hop
                hops += 1
            assert edge == cars.edge[row]
        arrived = np.flatnonzero((was == kernels.MOVING) & (cars.state != kernels.MOVING))
        assert np.array_equal(streets.edge_to[cars.edge[arrived]], target[arrived])


def test_some_are_in_a_tunnel_now_and_then(lived: Lived, streets: Streets) -> None:
    fleet, seen = lived
    inside = np.array([streets.edge_tunnel[now["edge"]] > 0 for now in seen])
    assert inside.any(axis=0).sum() > 5
    assert np.array_equal(fleet.in_tunnel(), inside[-1])
