"""Recorded drives: what SUMO itself writes is read, and played as it was recorded."""

import gzip
import subprocess
from pathlib import Path

import numpy as np
import pytest

from motorcade.simulation.drives import DrivesError, Recorded, read_drives
from motorcade.simulation.kernels import MOVING, PARKED
from motorcade.simulation.reports import PLACE, Reporter, joined
from motorcade.simulation.streets import EARTH_RADIUS_M
from tests.engines import install

# Two roads that cross near the castle, 500 m each way, and three cars.
NODES = {"w": (8.690, 49.41), "m": (8.697, 49.41), "e": (8.704, 49.41), "n": (8.697, 49.4145)}
EDGES = ["wm", "me", "mn", "em", "mw"]
CARS = (("first", 0, "wm me"), ("second", 5, "em mn"), ("third", 40, "wm mn"))


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What SUMO writes of them."""
    folder, programs = tmp_path_factory.mktemp("sumo"), install.sumo()

    def write(name: str, tag: str, elements: list[str]) -> None:
        (folder / name).write_text(f"<{tag}>{''.join(elements)}</{tag}>")

    write(
        "nodes.xml", "nodes", [f'<node id="{n}" x="{x}" y="{y}"/>' for n, (x, y) in NODES.items()]
    )
    edges = [f'<edge id="{e}" from="{e[0]}" to="{e[1]}" speed="13.9"/>' for e in EDGES]
    write("edges.xml", "edges", edges)
    routes = [
        f'<vehicle id="{name}" depart="{at}"><route edges="{way}"/></vehicle>'
        for name, at, way in CARS
    ]
    write("routes.xml", "routes", routes)
    for command in (
        "netconvert -n nodes.xml -e edges.xml --proj.utm -o net.xml",
        "sumo -n net.xml -r routes.xml --fcd-output drives.xml.gz --fcd-output.geo --seed 1 "
        "--step-length 0.5",
    ):
        words = [str(programs / command.split()[0]), *command.split()[1:]]
        done = subprocess.run(words, cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    return folder / "drives.xml.gz"


def test_what_sumo_records_is_read(recorded: Path) -> None:
    drives = read_drives(recorded)
    assert drives.names == ("first", "second", "third")
    assert drives.first_s.tolist() == [0, 5, 40]
    assert (drives.last_s - drives.first_s > 50).all()
    assert (np.diff(drives.time_s) >= 0).all()
    of_first = drives.car == 0
    assert abs(drives.lon_deg[of_first][0] - 8.690) < 2e-4
    assert abs(drives.lon_deg[of_first][-1] - 8.704) < 2e-4
    assert np.abs(drives.lat_deg[of_first] - 49.41).max() < 1e-4
    heading = drives.heading_deg[of_first]
    assert np.abs(heading - 90).max() < 10
    assert 12 < drives.speed_mps.max() < 16


def test_recorded_cars_drive_from_their_first_row_to_their_last(recorded: Path) -> None:
    drives = read_drives(recorded)
    world = Recorded(drives, 1)
    odometer_m, energy_j = world.cars.odometer_m.copy(), world.cars.energy_j.copy()
    for second in range(int(drives.last_s.max()) + 20):
        on_road = (drives.first_s <= second) & (second < drives.last_s)
        assert (world.cars.state == np.where(on_road, MOVING, PARKED)).all(), second
        assert (world.cars.speed_mps[~on_road] == 0).all()
        places = world.positions()
        for car in range(3):
            row = np.flatnonzero((drives.car == car) & (drives.time_s <= second))
            if len(row):
                told = drives.lon_deg[row[-1]], drives.lat_deg[row[-1]]
                assert (places.lon_deg[car], places.lat_deg[car]) == told
            else:
                assert abs(places.lat_deg[car] - 49.41) < 1e-4, "it stands where it will begin"
        world.step()
    driven_m = world.cars.odometer_m - odometer_m
    shrink = np.cos(np.radians(49.41))
    along_m = np.radians(0.014) * shrink * EARTH_RADIUS_M
    assert abs(driven_m[0] - along_m) < 0.05 * along_m
    assert (world.cars.energy_j < energy_j).all()
    assert not world.in_tunnel().any()


def test_they_tell_of_themselves_as_simulated_cars_do(recorded: Path) -> None:
    world = Recorded(read_drives(recorded), 1)
    reporter, parts = Reporter(world, 1), []
    for _ in range(200):
        world.step()
        parts.append(reporter.reports())
    said = joined(parts)
    told = (said.what & PLACE) != 0
    assert {int(car) for car in said.car} == {0, 1, 2}
    assert (said.state[said.time_s > 150] == PARKED).all()
    assert len(said) > 40
    assert np.abs(said.lat_deg[told] - 49.41).max() < 0.01


def test_gzip_is_the_same(recorded: Path, tmp_path: Path) -> None:
    plain = tmp_path / "drives.xml"
    plain.write_bytes(gzip.decompress(recorded.read_bytes()))
    for one, other in zip(read_drives(plain), read_drives(recorded), strict=True):
        assert np.array_equal(one, other)


def step(inner: str, time: str = "0.00") -> str:
    return f'<timestep time="{time}">{inner}</timestep>'


CAR = '<vehicle id="a" x="8.6" y="49.4" angle="90" speed="3"/>'


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("<fcd-export></fcd-export>", "no vehicle"),
        ("<fcd-export>", "no whole XML"),
        ("time,id", "no whole XML"),
        (step(CAR.replace('x="8.6"', 'x="804.2"')), "--fcd-output.geo"),
        (step(CAR.replace(' angle="90"', "")), "needs id, x, y, angle, speed"),
        (step(CAR.replace('speed="3"', 'speed="fast"')), "needs id, x, y, angle, speed"),
        (step(CAR.replace('speed="3"', 'speed="nan"')), "speed nan"),
        (step(CAR.replace('x="8.6"', 'x="nan"')), "no degrees"),
        (CAR, "no timestep"),
        ("<timestep/>", "without a time"),
        (step(CAR, "nan"), "after nan"),
        (f"<a>{step(CAR, '2')}{step(CAR, '1')}</a>", "comes after 2.0"),
    ],
)
def test_what_is_no_recording_is_refused_with_the_reason(
    text: str, why: str, tmp_path: Path
) -> None:
    file = tmp_path / "drives.xml"
    file.write_text(text)
    with pytest.raises(DrivesError, match=why):
        read_drives(file)
    file = tmp_path / "drives.xml.gz"
    file.write_bytes(b"no gzip")
    with pytest.raises(DrivesError, match="no whole gzip"):
        read_drives(file)
    file.write_bytes(gzip.compress(text.encode())[:-9])
    with pytest.raises(DrivesError):
        read_drives(file)
