"""One Kafka broker for the tests: started once per test run when first asked for, then stopped.

Binds 127.0.0.1 on free ports, keeps its data in a temporary directory and stops only itself.
"""

import atexit
import gc
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from functools import cache
from pathlib import Path

from tests.engines.install import InstallError, java, kafka_jars

START_S_MAX = 120.0  # 3 s on a quiet machine
STOP_S_MAX = 20.0
CLUSTER_ID = "bW90b3JjYWRlLXRlc3RzLQ"
# Tests start brokers more often than they load them: the first compiler tier alone starts faster.
JVM = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xms128m", "-Xmx384m"]
LOGGING = Path(__file__).parent / "kafka-log4j2.properties"

SETTINGS = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller_port}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
log.dirs={data}
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
log.cleaner.dedupe.buffer.size=16777216
"""


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


class KafkaBroker:
    """A running broker; `bootstrap` is what clients connect to."""

    def __init__(self) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="motorcade-kafka-"))
        port, controller_port = free_ports(2)
        self.bootstrap = f"127.0.0.1:{port}"
        self._settings = self._directory / "server.properties"
        self._settings.write_text(
            SETTINGS.format(
                port=port, controller_port=controller_port, data=self._directory / "data"
            )
        )
        self._output = self._directory / "output.txt"
        self._command = [str(java()), *JVM, "-cp", f"{kafka_jars()}/*"]
        self._format()
        self._process = self._start()
        self._wait_until_it_listens(port)

    def _format(self) -> None:
        tool = ["kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c", str(self._settings)]
        done = subprocess.run([*self._command, *tool], capture_output=True, text=True)
        if done.returncode != 0:
            raise InstallError(f"Kafka could not format its storage: {done.stdout}{done.stderr}")

    def _start(self) -> subprocess.Popen[bytes]:
        logging = f"-Dlog4j2.configurationFile={LOGGING}"
        with self._output.open("wb") as output:
            return subprocess.Popen(
                [*self._command[:-2], logging, *self._command[-2:], "kafka.Kafka", self._settings],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C in the terminal is for the tests alone
            )

    def _wait_until_it_listens(self, port: int) -> None:
        deadline_s = time.monotonic() + START_S_MAX
        while time.monotonic() < deadline_s and self._process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", port), 1.0).close()
            except OSError:
                time.sleep(0.05)
            else:
                return
        words = self._output.read_text(errors="replace")[-2_000:]
        self.stop()
        raise InstallError(f"Kafka did not start within {START_S_MAX} s; its words:\n{words}")

    def stop(self) -> None:
        """Stop the broker and remove its data. Nothing in it is needed again, so no drain."""
        if self._process.poll() is None:
            os.kill(self._process.pid, signal.SIGKILL)
            self._process.wait(STOP_S_MAX)
        shutil.rmtree(self._directory, ignore_errors=True)


@cache
def running_kafka() -> KafkaBroker:
    """The broker of this test run, started by the first test that asks."""
    broker = KafkaBroker()

    def stop() -> None:
        gc.collect()  # clients that tests left behind would complain about the broker's end
        broker.stop()

    atexit.register(stop)
    return broker
