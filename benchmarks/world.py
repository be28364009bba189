"""What a simulated car costs: CPU per car and second, with few and with 100,000 in columns.

Printed for each size after a warm-up in which ways to places are made: µs of one core per simulated
second and car, the share of a core at real time, and what the cars did meanwhile. Wanted: a second
of 100,000 cars well under a core second.
"""

import argparse
import resource
import time

import numpy as np

from benchmarks.machine import describe
from motorcade.simulation import kernels
from motorcade.simulation.fleet import Fleet
from motorcade.simulation.streets import read_streets


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cars", type=int, nargs="*", default=[1_000, 10_000, 100_000])
    parser.add_argument("--seconds", type=int, default=300, help="simulated, measured")
    parser.add_argument("--warm", type=int, default=60, help="simulated, before")
    options = parser.parse_args()
    print(describe())
    kernels.warm()
    streets = read_streets()
    for count in options.cars:
        began = time.process_time()
        fleet = Fleet(streets, count, 1)
        made_s = time.process_time() - began
        for _ in range(options.warm):
            fleet.step()
        moving, costs = [], []
        for _ in range(options.seconds):
            began = time.process_time()
            fleet.step()
            costs.append(time.process_time() - began)
            moving.append((fleet.cars.state == kernels.MOVING).mean())
        speed = fleet.cars.speed_mps[fleet.cars.state == kernels.MOVING]
        mean = float(np.mean(costs))
        peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(
            f"{count} cars: {mean / count * 1e6:.3f} µs per car-second, {mean:.1%} of a core at "
            f"real time (slowest step {max(costs) * 1e3:.0f} ms); made in {made_s:.2f} s; "
            f"{np.mean(moving):.0%} moving at {speed.mean() * 3.6:.0f} km/h; {peak_mib:.0f} MiB"
        )


if __name__ == "__main__":
    main()
