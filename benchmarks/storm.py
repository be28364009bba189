"""A reconnect storm: 10,000 TLS vehicles lose their links at once and all come back.

Claim (docs/operating/faults.md): sessions resume, admission is fair, all are back in the time that
the handshakes' CPU cost allows, and vehicles that are in keep their acks. Printed: how long the
first arrival and the storm took, the gateway's CPU for them, how many TLS and MQTT sessions
resumed, how often the kernel's listen queue was full, how far the order of coming in is that of
coming to the door, and the ack latency of witnesses that publish at QoS 1 all the time, before and
during. `python -m benchmarks.storm [--cars N] [--door telemetry]`.

The vehicles' half of the handshakes runs on the same machine, and costs more than the gateway's.
`net.core.somaxconn` below the number of cars lets some come in out of turn: that is printed.
"""

import argparse
import multiprocessing
import os
import socket
import ssl
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.ingest import connect, field, length
from benchmarks.machine import MachineTimes, cpu_us, describe, name_of, tree
from tests.platform_process import Platform, add_vehicles
from tests.tls_fleet import Arrival, connect_all, tls_car

CARS_PER_PROCESS = 5_000  # below the limit of open files
VEHICLES_PER_CALL = 250
WITNESSES = 20
WITNESS_PAUSE_S = 0.05
BEFORE_S = 10.0  # how long the witnesses are watched alone
LIMIT_S = 240.0
SHARE_LIMIT = 1.5  # wall time over what the cores need for both halves, with nothing else to do
ACK_MS_LIMIT = 500.0


def herd(
    pipe: Connection, vehicles: list[dict[str, Any]], door: str, version: str, place: dict[str, Any]
) -> None:
    """A process full of vehicles: connects on "come", drops on "lose"."""
    cars = [tls_car(vehicle, door, ssl.TLSVersion[version]) for vehicle in vehicles]
    pipe.send("ready")
    while (word := pipe.recv()) != "end":
        if word == "lose":
            for car in cars:
                car.drop()
            pipe.send("lost")
        else:
            pipe.send(connect_all(cars, place, LIMIT_S))


class Witness(threading.Thread):
    """Vehicles that are in, publishing in turn; notes how long each ack took."""

    def __init__(self, ready: dict[str, Any], vehicles: list[dict[str, Any]]) -> None:
        super().__init__(daemon=True)
        place = ready["mqtt"]
        self._links = [
            connect(place["host"], place["port"], v["mqtt"]["client_id"], v["mqtt"])
            for v in vehicles
        ]
        self._packets = []
        for v in vehicles:
            body = field(f"{v['mqtt']['publish_topic_prefix']}/telemetry") + b"\x00\x01{}"
            self._packets.append(b"\x32" + length(len(body)) + body)
        self.ack_ms: list[float] = []
        self._ended = threading.Event()

    def run(self) -> None:
        while not self._ended.wait(WITNESS_PAUSE_S / len(self._links)):
            link, packet = self._links[0], self._packets[0]
            began_s = time.perf_counter()
            link.sendall(packet)
            assert link.recv(4, socket.MSG_WAITALL) == b"\x40\x02\x00\x01"
            self.ack_ms.append((time.perf_counter() - began_s) * 1e3)
            self._links = [*self._links[1:], link]
            self._packets = [*self._packets[1:], packet]

    def end(self) -> None:
        self._ended.set()
        self.join()


def watch(ready: dict[str, Any], vehicles: list[dict[str, Any]]) -> None:
    """The witnesses' acks while nobody comes."""
    witness = Witness(ready, vehicles)
    witness.start()
    time.sleep(BEFORE_S)
    witness.end()
    print(f"  {'before':14s} {acks_of(witness)}", flush=True)


def acks_of(witness: Witness) -> str:
    acks = np.array(witness.ack_ms)
    return (
        f"witnesses: {len(acks)} acks, p50 {np.median(acks):.1f} ms, "
        f"p99 {np.percentile(acks, 99):.0f} ms, max {acks.max():.0f} ms"
    )


def turned_away() -> int:
    """How many connections the kernel has dropped so far because a listen queue was full."""
    names, values = [
        line.split() for line in Path("/proc/net/netstat").read_text().splitlines()[:2]
    ]
    return int(values[names.index("ListenOverflows")])


def order_kept(arrivals: list[Arrival]) -> float:
    """1: who came first was in first, for all; 0: by chance (Spearman's rank correlation)."""
    begun = np.concatenate([arrival.begun_s for arrival in arrivals])
    came = np.concatenate([arrival.came_s for arrival in arrivals])
    return float(np.corrcoef(begun.argsort().argsort(), came.argsort().argsort())[0, 1])


@dataclass(frozen=True, slots=True)
class Phase:
    """Everybody came at once."""

    took_s: float
    cpu_s: float  # of the gateway
    cars_cpu_s: float  # the vehicles' half, on the same cores
    ack_ms: float  # p99 of the witnesses
    resumed: int
    kept: int
    tries: int


def phase(
    name: str, pipes: list[Connection], gateway: int, ready: dict[str, Any], witnesses: list[Any]
) -> Phase:
    """Everybody comes at once."""
    witness = Witness(ready, witnesses)
    witness.start()
    machine, dropped = MachineTimes.read(), turned_away()
    cpu, began_s = cpu_us(gateway), time.monotonic()
    for pipe in pipes:
        pipe.send("come")
    arrivals: list[Arrival] = [pipe.recv() for pipe in pipes]
    took_s, cpu_s = time.monotonic() - began_s, (cpu_us(gateway) - cpu) / 1e6
    witness.end()
    waits = np.concatenate([np.subtract(each.came_s, each.begun_s) for each in arrivals])
    cars_cpu_s = sum(arrival.cpu_s for arrival in arrivals)
    during = MachineTimes.read().since(machine, (cpu_s + cars_cpu_s) * 1e6)
    result = Phase(
        took_s,
        cpu_s,
        cars_cpu_s,
        float(np.percentile(witness.ack_ms, 99)),
        sum(arrival.resumed for arrival in arrivals),
        sum(arrival.kept for arrival in arrivals),
        sum(arrival.tries for arrival in arrivals),
    )
    print(
        f"  {name:14s} {took_s:6.1f} s for {len(waits)} ({len(waits) / took_s:.0f}/s); gateway CPU "
        f"{cpu_s:.1f} s ({cpu_s * 1e3 / len(waits):.2f} ms each), cars {cars_cpu_s:.1f} s; machine "
        f"{during}; TLS sessions resumed "
        f"{result.resumed}, MQTT sessions {result.kept}, tries {result.tries}\n"
        f"  {'':14s} waits: half {np.median(waits):.1f} s, longest "
        f"{waits.max():.1f} s; order kept {order_kept(arrivals):.2f}; listen queue full "
        f"{turned_away() - dropped} times\n  {'':14s} {acks_of(witness)}",
        flush=True,
    )
    return result


def run(directory: Path, cars: int, door: str, version: str) -> bool:
    """The whole story; whether the limits hold."""
    vins = [f"5YJ3E1EA7KF{number:06d}" for number in range(cars + WITNESSES)]
    began_s = time.monotonic()
    files: list[dict[str, Any]] = []
    for first in range(0, len(vins), VEHICLES_PER_CALL):
        some = vins[first : first + VEHICLES_PER_CALL]
        files += add_vehicles(directory / "data", some, directory / "vehicles").values()
    print(f"  {len(files)} vehicles made in {time.monotonic() - began_s:.0f} s", flush=True)
    platform = Platform(directory / "data")
    platform.start()
    pipes, herds = [], []
    try:
        spawn = multiprocessing.get_context("spawn")
        for first in range(0, cars, CARS_PER_PROCESS):
            ours, theirs = spawn.Pipe()
            share = files[first : min(first + CARS_PER_PROCESS, cars)]
            place = platform.ready[door]
            arguments = (theirs, share, door, version, place)
            herds.append(spawn.Process(target=herd, args=arguments, daemon=True))
            herds[-1].start()
            pipes.append(ours)
        for pipe in pipes:
            assert pipe.recv() == "ready"
        [gateway] = [pid for pid in tree(platform.pid) if name_of(pid) == "gateway"]
        told = (pipes, gateway, platform.ready, files[cars:])
        watch(platform.ready, files[cars:])
        phase("first arrival", *told)
        for pipe in pipes:
            pipe.send("lose")
        for pipe in pipes:
            pipe.recv()
        storm = phase("storm", *told)
        for pipe in pipes:
            pipe.send("end")
    finally:
        for process in herds:
            process.terminate()
        platform.stop()
    cores = len(os.sched_getaffinity(0))
    both_s = storm.cpu_s + storm.cars_cpu_s
    allowed_s = max(storm.cpu_s, storm.cars_cpu_s / len(pipes), both_s / cores)
    print(
        f"  storm: {storm.took_s:.1f} s; both halves of the handshakes need {allowed_s:.1f} s of "
        f"{cores} cores",
        flush=True,
    )
    return (
        storm.took_s <= SHARE_LIMIT * allowed_s
        and storm.ack_ms <= ACK_MS_LIMIT
        and (storm.resumed == cars and storm.tries == cars)
        and (storm.kept == cars or door != "mqtts")
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cars", type=int, default=10_000)
    parser.add_argument("--door", choices=["mqtts", "telemetry"], default="mqtts")
    parser.add_argument("--version", choices=["TLSv1_2", "TLSv1_3"], default="TLSv1_3")
    options = parser.parse_args()
    print(describe())
    print(f"{options.cars} cars, door {options.door}, {options.version}")
    with tempfile.TemporaryDirectory(prefix="storm-") as name:
        good = run(Path(name), options.cars, options.door, options.version)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
