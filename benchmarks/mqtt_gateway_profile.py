"""CPU per message of the MQTT door alone, beside Mosquitto's, open loop: for tuning.

    python benchmarks/mqtt_gateway_profile.py --rate 20000 --per-segment 1 --seconds 4

Every connection is a vehicle of its own. The client writes ready-made bytes and reads acks only now
and then. CPU is what /proc says of the server's process, all threads, while messages flow.
"""

import argparse
import asyncio
import os
import select
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from tests.engines.install import mosquitto as install_mosquitto

TICKS = os.sysconf("SC_CLK_TCK")


def token(index: int) -> str:
    return f"BENCH{index:011d}I"


def serve(directory: Path, spacing_ms: float, turn_ms: float, profile: str) -> None:
    """The child: an MQTT door on an embedded log."""
    import uvloop

    from motorcade import compiled
    from motorcade.clock import SystemClock
    from motorcade.config import Config
    from motorcade.events import VehicleToken
    from motorcade.gateway.intake import Intake
    from motorcade.gateway.mqtt.door import MqttDoor
    from motorcade.gateway.mqtt.store import SqliteSessionStore
    from motorcade.log.embedded import EmbeddedLog
    from motorcade.log.topics import Lane
    from motorcade.registry.port import Principal, PrincipalKind

    class AnyVehicle:
        def authenticate(self, username: str, password: bytes) -> Principal:
            return Principal(PrincipalKind.VEHICLE, username, VehicleToken(username))

        def changes(self) -> int:
            return 0

    class Silent:
        def connected(self, *_: object) -> None: ...
        def disconnected(self, *_: object) -> None: ...

    async def run() -> None:
        loop = asyncio.get_running_loop()
        config, clock = Config(), SystemClock()
        config = replace(config, gateway=replace(config.gateway, turn_spacing_ms=turn_ms))
        log = EmbeddedLog(directory / "log", config.log, clock)
        intakes = [
            Intake(
                log.writer("gateway", lane),
                loop,
                records_max=config.log.batch_records_max,
                bytes_max=config.log.batch_bytes_max,
                spacing_s=spacing_ms / 1e3 if lane is Lane.BULK else 0.0,
            )
            for lane in (Lane.BULK, Lane.FAST)
        ]
        door = MqttDoor(
            loop=loop,
            config=config,
            clock=clock,
            registry=AnyVehicle(),  # type: ignore[arg-type]
            log=log,
            store=SqliteSessionStore(directory / "mqtt"),
            bulk=intakes[0],
            fast=intakes[1],
            presence=Silent(),  # type: ignore[arg-type]
            entropy=os.urandom,
            rest=time.sleep,
        )
        listening = socket.create_server(("127.0.0.1", 0), backlog=1_024)
        await door.start(listening)
        print(listening.getsockname()[1], flush=True)
        await loop.run_in_executor(None, sys.stdin.readline)
        await door.drain()
        log.close()

    compiled.warm()
    if profile:
        import cProfile

        profiler = cProfile.Profile()
        profiler.enable()
        uvloop.run(run())
        profiler.disable()
        profiler.dump_stats(profile)
    else:
        uvloop.run(run())


def by_thread(pid: int) -> dict[str, tuple[float, float]]:
    """CPU of each thread: (user, system) seconds."""
    found = {}
    for task in sorted(Path(f"/proc/{pid}/task").iterdir()):
        fields = (task / "stat").read_text().rsplit(")", 1)[1].split()
        found[task.name] = int(fields[11]) / TICKS, int(fields[12]) / TICKS
    return found


def print_threads(
    before: dict[str, tuple[float, float]], after: dict[str, tuple[float, float]], messages: int
) -> None:
    for name, (user_s, system_s) in after.items():
        user_0, system_0 = before.get(name, (0.0, 0.0))
        user, system = (user_s - user_0) / messages * 1e6, (system_s - system_0) / messages * 1e6
        if user + system > 0.05:
            print(f"  thread {name}: user {user:5.2f}, system {system:5.2f} us/message")


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def connect(port: int, count: int) -> list[socket.socket]:
    sockets = []
    for index in range(count):
        name = token(index).encode()
        field = len(name).to_bytes(2, "big") + name
        body = b"\x00\x04MQTT\x04\xc2\x00\x00" + field + field + b"\x00\x01p"
        peer = socket.create_connection(("127.0.0.1", port))
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer.sendall(b"\x10" + bytes([len(body)]) + body)
        assert peer.recv(4) == b"\x20\x02\x00\x00"
        peer.setblocking(False)
        sockets.append(peer)
    return sockets


def segment(index: int, per_segment: int, payload_bytes: int) -> bytes:
    topic = f"v/{token(index)}/telemetry".encode()
    text = b'{"time_us":1700000000000000,"signals":{"speed":12.5,"soc":81.25}}'
    payload = text[:-1] + b" " * max(0, payload_bytes - len(text)) + b"}"
    joined = b""
    for packet_id in range(1, per_segment + 1):
        body = len(topic).to_bytes(2, "big") + topic + packet_id.to_bytes(2, "big") + payload
        joined += b"\x32" + bytes([len(body) & 0x7F | 0x80, len(body) >> 7]) + body
    return joined


def drive(
    pid: int, port: int, rate: float, per_segment: int, seconds: float, count: int
) -> tuple[float, float, float]:
    """Open loop; returns (server's CPU µs per message, messages per s, acks per message)."""
    sockets = connect(port, count)
    segments = [segment(index, per_segment, 200) for index in range(count)]
    poll = select.epoll()
    by_fd = {}
    for peer in sockets:
        poll.register(peer, select.EPOLLIN)
        by_fd[peer.fileno()] = peer
    time.sleep(0.3)
    sent = acked = turn = 0
    for peer, data in zip(sockets, segments, strict=True):
        peer.send(data)
    time.sleep(0.5)
    acked -= per_segment * count
    before, before_s, start = by_thread(pid), cpu_s(pid), time.perf_counter()
    drained = start
    while (now := time.perf_counter()) - start < seconds:
        due = int((now - start) * rate) // per_segment
        while turn < due:
            index = turn % count
            try:
                if sockets[index].send(segments[index]) != len(segments[index]):
                    raise SystemExit("a socket is full: the server does not keep up")
                sent += per_segment
            except BlockingIOError:
                pass
            turn += 1
        if now - drained > 0.02:
            drained = now
            for fd, _ in poll.poll(0, count):
                acked += len(by_fd[fd].recv(1 << 20)) // 4
        else:
            time.sleep(0.0002)
    deadline = time.perf_counter() + 3
    while acked < sent and time.perf_counter() < deadline:
        for fd, _ in poll.poll(0.1):
            acked += len(by_fd[fd].recv(1 << 20)) // 4
    used_s = cpu_s(pid) - before_s
    print_threads(before, by_thread(pid), sent)
    for peer in sockets:
        peer.close()
    return used_s / sent * 1e6, sent / seconds, acked / sent


def report(name: str, cpu_us: float, rate: float, acked: float) -> None:
    print(f"{name} {cpu_us:6.2f} us/message, {rate:7.0f}/s, acked {acked:.4f}")


def mosquitto(directory: Path) -> tuple[subprocess.Popen[str], int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = directory / "mosquitto.conf"
    config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\n")
    program = str(install_mosquitto())
    process = subprocess.Popen(
        [program, "-c", str(config)], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    time.sleep(0.5)
    return process, port


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=20_000)
    parser.add_argument("--per-segment", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--connections", type=int, default=200)
    parser.add_argument("--spacing-ms", type=float, default=5.0)
    parser.add_argument("--turn-ms", type=float, default=2.0)
    parser.add_argument("--profile", default="")
    parser.add_argument("--no-peer", action="store_true")
    parser.add_argument("--serve", type=Path)
    given = parser.parse_args()
    if given.serve:
        serve(given.serve, given.spacing_ms, given.turn_ms, given.profile)
        return
    with tempfile.TemporaryDirectory() as directory:
        ours = subprocess.Popen(
            [
                *(sys.executable, __file__, "--serve", directory),
                *("--spacing-ms", str(given.spacing_ms), "--turn-ms", str(given.turn_ms)),
                *("--profile", given.profile),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert ours.stdout is not None
        assert ours.stdin is not None
        port = int(ours.stdout.readline())
        options = (given.rate, given.per_segment, given.seconds, given.connections)
        report("motorcade", *drive(ours.pid, port, *options))
        ours.stdin.write("\n")
        ours.stdin.flush()
        ours.wait(20)
        if not given.no_peer:
            peer, port = mosquitto(Path(directory))
            report("mosquitto", *drive(peer.pid, port, *options))
            peer.terminate()
            peer.wait()


if __name__ == "__main__":
    main()
