"""The engines behind the log's port, each as a `Deployment` that the contract suite can open."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from motorcade.clock import SimulatedClock, SystemClock
from motorcade.config import KafkaConfig, LogConfig
from motorcade.log.port import Log
from tests.engines.kafka import running_kafka

START_US = 1_760_000_000_000_000
PREFIXES = itertools.count()


@dataclass
class Deployment:
    """One place that holds a log. Each `open` stands for another process that uses it."""

    newest_writer_wins: bool = False  # else a second writer is refused; in no engine do both write
    opened: list[Log] = field(default_factory=list)
    names: Iterator[int] = field(default_factory=itertools.count)

    def open(self, **limits: Any) -> Log:
        """Open the log with some of `LogConfig`'s limits changed."""
        log = self.make(replace(LogConfig(), **limits))
        self.opened.append(log)
        return log

    def make(self, config: LogConfig) -> Log:
        raise NotImplementedError

    def fresh_name(self) -> str:
        """A writer's or a consumer group's name that nobody has used yet."""
        return f"w{next(self.names)}"

    def close(self) -> None:
        for log in self.opened:
            log.close()


class EmbeddedDeployment(Deployment):
    def __init__(self, directory: Path) -> None:
        super().__init__()
        self.directory = directory

    def make(self, config: LogConfig) -> Log:
        from motorcade.log.embedded import EmbeddedLog

        return EmbeddedLog(self.directory, config, SimulatedClock(START_US))


class KafkaDeployment(Deployment):
    """A prefix of its own on the broker that all tests share."""

    def __init__(self, bootstrap: str) -> None:
        super().__init__(newest_writer_wins=True)
        self.bootstrap = bootstrap
        self.prefix = f"test{next(PREFIXES)}"

    def make(self, config: LogConfig) -> Log:
        from motorcade.log.kafka import KafkaLog

        kafka = KafkaConfig(
            bootstrap=self.bootstrap, deployment=self.prefix, partition_groups=3, discovery_ms=50
        )
        return KafkaLog(kafka, config, SystemClock())


INSTALLING_S_MAX = 1_500  # the first test that asks for Kafka may have to install it
KAFKA = pytest.param("kafka", marks=pytest.mark.timeout(INSTALLING_S_MAX))


@pytest.fixture(params=["embedded", KAFKA])
def deployment(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Deployment]:
    """An empty log of each engine in turn."""
    deployment = (
        EmbeddedDeployment(tmp_path / "log")
        if request.param == "embedded"
        else KafkaDeployment(running_kafka().bootstrap)
    )
    yield deployment
    deployment.close()
