"""Eclipse SUMO as referee of the fleet's car model: the same streets, the same routes, two drivers.

SUMO (EPL-2.0, 226 MB) is no dependency: `pip install eclipse-sumo` in an environment of its own,
then `python -m benchmarks.referee --sumo ITS_SITE_PACKAGES/sumo/bin`. It drives its default car,
one each 30 s, over the routes that our router gave ours. Compared: trip times, speeds,
accelerations, and energy, reckoned from either's speeds by the same physics, so that only the
driving differs. `--keep drives.xml` leaves what SUMO recorded; `motorcade drive --drives` plays it.
"""

import argparse
import shutil
import subprocess
import tempfile
from pathlib import Path
from xml.sax.saxutils import quoteattr

import numpy as np

from motorcade.simulation import kernels
from motorcade.simulation.drives import read_drives
from motorcade.simulation.fleet import Fleet
from motorcade.simulation.streets import Streets, read_streets

TRIP_S_MAX = 3_600
STUCK_S = 180  # a car of SUMO's that stands so long waits at lights it guessed wrongly


def write_network(streets: Streets, folder: Path) -> None:
    """SUMO's plain nodes and edges, in degrees."""
    lon, lat = streets.point_lon_deg, streets.point_lat_deg
    first = streets.edge_first_point
    with (folder / "nodes.xml").open("w") as file:
        file.write("<nodes>\n")
        begins = {int(n): int(first[e]) for e, n in enumerate(streets.edge_from)}
        for node, point in sorted(begins.items()):
            kind = "traffic_light" if streets.node_light[node] else "priority"
            place = f'x="{lon[point]:.7f}" y="{lat[point]:.7f}"'
            file.write(f'<node id="{node}" {place} type="{kind}"/>\n')
        file.write("</nodes>\n")
    with (folder / "edges.xml").open("w") as file:
        file.write("<edges>\n")
        for edge in range(streets.edges):
            span = range(first[edge], first[edge + 1])
            shape = " ".join(f"{lon[p]:.7f},{lat[p]:.7f}" for p in span)
            lanes = 2 if streets.edge_class[edge] < 3 else 1
            rank = 10 - int(streets.edge_class[edge])
            file.write(
                f'<edge id="{edge}" from="{streets.edge_from[edge]}" to="{streets.edge_to[edge]}" '
                f'priority="{rank}" numLanes="{lanes}" speed="{streets.edge_limit_mps[edge]:.2f}" '
                f"shape={quoteattr(shape)}/>\n"
            )
        file.write("</edges>\n")


def drive_ours(fleet: Fleet) -> list[list[float]]:
    """Speeds of each car, one a second, until it parks."""
    speeds: list[list[float]] = [[] for _ in range(fleet.count)]
    on = np.ones(fleet.count, bool)
    fleet.cars.until_s[:] = 1e9
    for _ in range(TRIP_S_MAX):
        fleet.step()
        on &= fleet.cars.state == kernels.MOVING
        for row in np.flatnonzero(on):
            speeds[row].append(float(fleet.cars.speed_mps[row]))
        if not on.any():
            break
        fleet.cars.until_s[~on] = 1e9
    return speeds


def drive_sumo(sumo: Path, folder: Path, routes: list[list[int]], seed: int) -> list[list[float]]:
    words = [str(sumo / "netconvert"), "-n", "nodes.xml", "-e", "edges.xml", "-o", "net.xml"]
    words += ["--proj.utm", "--no-warnings"]
    subprocess.run(words, cwd=folder, check=True, capture_output=True)
    with (folder / "routes.xml").open("w") as file:
        file.write('<routes>\n<vType id="car" vClass="passenger"/>\n')
        for number, edges in enumerate(routes):
            file.write(
                f'<vehicle id="{number}" type="car" depart="{number * 30}">'
                f'<route edges="{" ".join(map(str, edges))}"/></vehicle>\n'
            )
        file.write("</routes>\n")
    end = len(routes) * 30 + TRIP_S_MAX
    words = [str(sumo / "sumo"), "-n", "net.xml", "-r", "routes.xml", "--fcd-output", "fcd.xml"]
    words += ["--fcd-output.geo", "--end", str(end), "--seed", str(seed)]
    words += ["--no-warnings", "--ignore-route-errors", "--time-to-teleport", "-1"]
    subprocess.run(words, cwd=folder, check=True, capture_output=True)
    drives = read_drives(folder / "fcd.xml")
    speeds: list[list[float]] = [[] for _ in routes]
    for car, name in enumerate(drives.names):
        speeds[int(name)] = drives.speed_mps[drives.car == car].tolist()
    return speeds


def kwh_per_100km(speeds: list[float]) -> float:
    """By the model's physics, second by second."""
    v = np.array([0.0, *speeds])
    mean, pull = (v[1:] + v[:-1]) / 2, np.diff(v)
    force = kernels.MASS_KG * (pull + kernels.GRAVITY_MPS2 * kernels.ROLLING * (mean > 0))
    force += 0.5 * kernels.AIR_KGPM3 * kernels.DRAG_AREA_M2 * mean**2
    wheel = force * mean
    power = np.where(wheel > 0, wheel / kernels.DRIVETRAIN, wheel * kernels.DRIVETRAIN)
    return float((power + kernels.AUXILIARY_W).sum() / 3.6e6 / (mean.sum() / 1e5))


def longest_stand_s(speeds: list[float]) -> int:
    longest = now = 0
    for speed in speeds:
        now = now + 1 if speed < 0.3 else 0
        longest = max(longest, now)
    return longest


def show(name: str, trips: list[list[float]]) -> None:
    v = np.concatenate([np.array(trip) for trip in trips])
    a = np.concatenate([np.diff(trip) for trip in trips])
    going = v > 0.3
    rolling = a[(np.concatenate([trip[1:] for trip in trips]) > 0.3)]
    times = [len(trip) for trip in trips]
    print(
        f"{name}: trip {np.median(times):.0f} s; speed {v.mean() * 3.6:.1f} km/h, going p50 "
        f"{np.median(v[going]) * 3.6:.1f} p90 {np.quantile(v[going], 0.9) * 3.6:.1f}; standing "
        f"{1 - going.mean():.1%}; acceleration p1 {np.quantile(rolling, 0.01):.2f} p5 "
        f"{np.quantile(rolling, 0.05):.2f} p95 {np.quantile(rolling, 0.95):.2f} p99 "
        f"{np.quantile(rolling, 0.99):.2f} m/s², rms {rolling.std():.2f}; "
        f"{np.mean([kwh_per_100km(trip) for trip in trips]):.1f} kWh/100 km"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sumo", type=Path, required=True, help="the folder with sumo, netconvert")
    parser.add_argument("--cars", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="where SUMO's recording goes")
    options = parser.parse_args()
    streets = read_streets()
    fleet = Fleet(streets, options.cars, options.seed, moving=1.0)
    fleet.cars.along_m[:] = 0.0
    fleet.cars.energy_j[:] = 0.9 * kernels.BATTERY_J
    routes = [
        [int(edge), *fleet.router.route(int(streets.edge_to[edge]), int(place))]
        for edge, place in zip(fleet.cars.edge, fleet.cars.target, strict=True)
    ]
    ours = drive_ours(fleet)
    with tempfile.TemporaryDirectory() as folder:
        write_network(streets, Path(folder))
        theirs = drive_sumo(options.sumo, Path(folder), routes, options.seed)
        if options.keep is not None:
            shutil.move(Path(folder) / "fcd.xml", options.keep)
    both = [
        row
        for row in range(options.cars)
        if min(len(ours[row]), len(theirs[row])) > 60 and longest_stand_s(theirs[row]) < STUCK_S
    ]
    print(f"{len(both)} of {options.cars} trips; in the others SUMO's car stood for {STUCK_S} s")
    show("ours", [ours[row] for row in both])
    show("SUMO", [theirs[row] for row in both])
    ratio = [len(ours[row]) / len(theirs[row]) for row in both]
    low, middle, high = np.quantile(ratio, (0.1, 0.5, 0.9))
    print(f"trip time, ours / SUMO: p10 {low:.2f} p50 {middle:.2f} p90 {high:.2f}")


if __name__ == "__main__":
    main()
