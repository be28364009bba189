"""Children that die are started again, sockets outlive them, and none outlives the supervisor."""

import asyncio
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from motorcade.config import SupervisorConfig
from motorcade.nursery import Nursery
from motorcade.supervisor import Child, ChildFailedError, ChildSpec, Supervisor, open_listener

CONFIG = SupervisorConfig(restart_s=0.01, restart_s_max=0.05, ready_s_max=20, drain_s_max=5)

ECHO = """
import asyncio, json, os, sys
from motorcade.supervisor import ChildLink, StopEvents

async def main(link):
    link.end_with_supervisor()
    ends = StopEvents()
    async def answer(reader, writer):
        writer.write(str(os.getpid()).encode())
        writer.close()
    server = await asyncio.start_server(answer, sock=link.listener("door"))
    link.ready(ends)
    await ends.doors_closed.wait()
    server.close()
    await ends.stopping.wait()

asyncio.run(main(ChildLink.from_argument(sys.argv[1])))
"""
STUBBORN = """
import asyncio, os, signal, sys
from motorcade.supervisor import ChildLink, StopEvents

async def main(link):
    link.ready(StopEvents())
    asyncio.get_running_loop().remove_signal_handler(signal.SIGTERM)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    await asyncio.sleep(60)

asyncio.run(main(ChildLink.from_argument(sys.argv[1])))
"""
MUTE = """
import os, sys, time
from motorcade.supervisor import ChildLink

ChildLink.from_argument(sys.argv[1]).end_with_supervisor()
print("pid", os.getpid(), flush=True)
time.sleep(60)
"""
BROKEN = "raise SystemExit(3)\n"


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    sources = {"echo": ECHO, "stubborn": STUBBORN, "mute": MUTE, "broken": BROKEN}
    for name, source in sources.items():
        (tmp_path / f"{name}_child.py").write_text(source)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    return tmp_path


@pytest.fixture
def nursery(modules: Path) -> Iterator[Nursery]:
    with closing(Nursery()) as nursery:
        yield nursery


async def ask(listener: socket.socket) -> int:
    """The pid of whoever answers at the door; waits in the listen queue while nobody does."""
    host, port = listener.getsockname()
    reader, writer = await asyncio.open_connection(host, port)
    said = await asyncio.wait_for(reader.read(), 20)
    writer.close()
    return int(said)


async def started(supervisor: Supervisor) -> "asyncio.Task[None]":
    """A supervisor at work; a failed start is raised, not waited for."""
    ready = asyncio.Event()

    async def on_ready() -> None:
        ready.set()

    running = asyncio.create_task(supervisor.run(on_ready))
    waiting = asyncio.create_task(ready.wait())
    await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if running.done():
        await running
    return running


async def refused(host: str, port: int) -> None:
    """Wait until nobody listens there."""
    async with asyncio.timeout(10):
        while True:
            try:
                _, writer = await asyncio.open_connection(host, port)
            except ConnectionRefusedError:
                return
            except ConnectionResetError:  # it was in the queue when the door closed
                continue
            writer.close()


def test_a_killed_child_is_back_behind_the_same_socket(nursery: Nursery) -> None:
    async def test() -> None:
        listener = open_listener("127.0.0.1", 0)
        supervisor = Supervisor(
            [ChildSpec("echo", "echo_child", {}, {"door": listener})], CONFIG, nursery
        )
        running = await started(supervisor)
        first = await ask(listener)
        for _ in range(3):
            os.kill(first, signal.SIGKILL)
            second = await ask(listener)
            assert second != first
            first = second
        supervisor.stop()
        await running
        assert not Path(f"/proc/{first}").exists()

    asyncio.run(test())


@pytest.mark.parametrize("kind", ["echo", "mute"])
def test_children_end_when_the_supervisor_is_killed(modules: Path, kind: str) -> None:
    """One that serves drains; one that is still starting ends at once."""
    source = (
        "import asyncio, sys\n"
        "from motorcade.config import SupervisorConfig\n"
        "from motorcade.nursery import Nursery\n"
        "from motorcade.supervisor import ChildSpec, Supervisor, open_listener\n"
        "door = open_listener('127.0.0.1', 0)\n"
        "spec = ChildSpec('odd', sys.argv[1], {}, {'door': door})\n"
        "s = Supervisor([spec], SupervisorConfig(), Nursery())\n"
        "async def tell(): print('pid', s._children[0].process.pid, flush=True)\n"
        "asyncio.run(s.run(tell))\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", source, f"{kind}_child"], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    said = next(line for line in process.stdout if line.startswith("pid "))
    child = int(said.split()[1])
    watched = os.pidfd_open(child)
    process.kill()
    process.wait()
    process.stdout.close()

    async def ended() -> None:
        gone = asyncio.Event()
        asyncio.get_running_loop().add_reader(watched, gone.set)
        await asyncio.wait_for(gone.wait(), 20)

    asyncio.run(ended())
    os.close(watched)


@pytest.mark.parametrize(
    ("module", "reason"), [("broken_child", "ended with 3"), ("mute_child", "not ready after")]
)
def test_a_child_that_never_serves_is_told_apart(
    nursery: Nursery, module: str, reason: str
) -> None:
    config = SupervisorConfig(ready_s_max=2)
    child = Child(ChildSpec("odd", module, {}), config, nursery)
    with pytest.raises(ChildFailedError, match=reason):
        asyncio.run(child.start())


def test_a_taken_port_is_named() -> None:
    with open_listener("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with pytest.raises(OSError, match=f"127.0.0.1:{port}.*--ports auto"):
            open_listener("127.0.0.1", port)


def test_all_doors_close_at_once_while_the_last_child_drains_first(nursery: Nursery) -> None:
    async def test() -> None:
        door = open_listener("127.0.0.1", 0)
        address = door.getsockname()
        specs = [
            ChildSpec("gateway", "echo_child", {}, {"door": door}),
            ChildSpec("api", "stubborn_child", {}),
        ]
        supervisor = Supervisor(specs, SupervisorConfig(ready_s_max=20, drain_s_max=3), nursery)
        running = await started(supervisor)
        gateway = await ask(door)
        watched = os.pidfd_open(gateway)
        supervisor.stop()
        await refused(*address)
        assert select.select([watched], [], [], 0)[0] == [], "the gateway did not wait for the api"
        os.close(watched)
        await running

    asyncio.run(test())


def test_a_child_that_does_not_drain_is_killed_and_the_rest_still_drain(nursery: Nursery) -> None:
    async def test() -> list[int | None]:
        door = open_listener("127.0.0.1", 0)
        specs = [
            ChildSpec("gateway", "echo_child", {}, {"door": door}),
            ChildSpec("api", "stubborn_child", {}),
        ]
        supervisor = Supervisor(specs, SupervisorConfig(ready_s_max=20, drain_s_max=3), nursery)
        running = await started(supervisor)
        supervisor.stop()
        await running
        processes = [child.process for child in supervisor._children]
        return [process and process.returncode for process in processes]

    assert asyncio.run(test()) == [0, -signal.SIGKILL]


def test_a_stop_during_the_start_does_not_wait_for_the_start(nursery: Nursery) -> None:
    async def on_ready() -> None:
        pytest.fail("it is not ready")

    async def test() -> None:
        spec = ChildSpec("mute", "mute_child", {})
        supervisor = Supervisor([spec], SupervisorConfig(ready_s_max=50), nursery)
        running = asyncio.create_task(supervisor.run(on_ready))
        while supervisor._children[0].process is None:
            await asyncio.sleep(0.01)
        supervisor.stop()
        await asyncio.wait_for(running, 15)

    asyncio.run(test())


def test_a_late_child_starts_after_the_others_and_is_healed(nursery: Nursery) -> None:
    async def test() -> None:
        door, slow = open_listener("127.0.0.1", 0), open_listener("127.0.0.1", 0)
        specs = [
            ChildSpec("reader", "echo_child", {}, {"door": slow}, late=True),
            ChildSpec("gateway", "echo_child", {}, {"door": door}),
        ]
        supervisor = Supervisor(specs, CONFIG, nursery)
        late = supervisor._children[0]
        ready = asyncio.Event()

        async def on_ready() -> None:
            assert late.process is None, "it took CPU from the others' start"
            ready.set()

        running = asyncio.create_task(supervisor.run(on_ready))
        await asyncio.wait_for(ready.wait(), 20)
        first = await ask(slow)
        os.kill(first, signal.SIGKILL)
        assert await ask(slow) != first
        supervisor.stop()
        await running
        assert late.process is not None
        assert late.process.returncode == 0

    asyncio.run(test())


def test_a_late_child_that_fails_ends_nobody(nursery: Nursery) -> None:
    async def test() -> None:
        door = open_listener("127.0.0.1", 0)
        specs = [
            ChildSpec("gateway", "echo_child", {}, {"door": door}),
            ChildSpec("reader", "broken_child", {}, late=True),
        ]
        supervisor = Supervisor(specs, CONFIG, nursery)
        running = await started(supervisor)
        gateway = await ask(door)
        while supervisor.children_counts()["reader"][0] < 2:
            await asyncio.sleep(0.05)
        assert await ask(door) == gateway
        supervisor.stop()
        await running

    asyncio.run(test())
