"""Cars that send by MQTT late, twice, ahead of time, coming and going; each knows what it said."""

import json
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from motorcade.wire.mqtt.reasons import ProtocolLevel
from tests.gateway.mqtt.wire_client import Client
from tests.platform_process import Platform


@dataclass
class Sender:
    """One car: sends until told to stop; knows what it said."""

    platform: Platform
    file: dict[str, Any]
    breath: threading.Lock
    chance: random.Random
    said: list[tuple[int, str, float]] = field(default_factory=list)  # time, signal, value
    failures: list[BaseException] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self) -> None:
        self.stopping.set()
        self._thread.join()

    def signals(self, number: int) -> dict[str, float]:
        """What its so manieth message says."""
        return {"soc": float(number % 100), "count": float(number)}

    def _run(self) -> None:
        try:
            number = 0
            while not self.stopping.is_set():
                client = self._connect()
                with client:
                    for _ in range(self.chance.randint(5, 30)):
                        number += 1
                        with self.breath:
                            self._say(client, number)
                        if self.stopping.wait(self.chance.uniform(0.0, 0.02)):
                            break
                    with self.breath:
                        client.disconnect()
                        time.sleep(0.05)  # so that the gateway has told it
                self.stopping.wait(self.chance.uniform(0.0, 1.5))
        except BaseException as error:
            self.failures.append(error)

    def _connect(self) -> Client:
        account = self.file["mqtt"]
        with self.breath:
            client = Client(self.platform.ready["mqtt"]["port"], ProtocolLevel.V5)
            client.connect(account["username"], account["client_id"], account["password"].encode())
            time.sleep(0.05)
        return client

    def _say(self, client: Client, number: int) -> None:
        late_s = self.chance.choice([0.0, 0.0, 0.0, -0.3, -2.0, 1.5])
        time_us = time.time_ns() // 1_000 + round(late_s * 1e6)
        signals = self.signals(number)
        body = json.dumps({"time_us": time_us, "signals": signals}).encode()
        topic = f"{self.file['mqtt']['publish_topic_prefix']}/telemetry/s/{number}"
        for _ in range(self.chance.choice([1, 1, 2])):  # twice: a resend
            client.publish(topic, body, 1)
            client.receive()
        self.said += [(time_us, name, value) for name, value in signals.items()]


@dataclass
class Convoy:
    """Senders that can be made to hold their breath together."""

    senders: dict[str, Sender]  # by VIN
    breath: threading.Lock

    @contextmanager
    def still(self) -> Iterator[None]:
        """Nobody sends meanwhile, and the gateway has told of who went."""
        with self.breath:
            time.sleep(0.1)
            yield

    @property
    def failures(self) -> list[BaseException]:
        return [failure for sender in self.senders.values() for failure in sender.failures]


@contextmanager
def driving(
    platform: Platform, files: dict[str, dict[str, Any]], kind: type[Sender] = Sender
) -> Iterator[Convoy]:
    """A car for each vehicle file, all of which send until the end; none may have failed then."""
    breath = threading.Lock()
    senders = {vin: kind(platform, files[vin], breath, random.Random(vin)) for vin in files}
    convoy = Convoy(senders, breath)
    for sender in senders.values():
        sender.start()
    try:
        yield convoy
    finally:
        for sender in senders.values():
            sender.stop()
    assert convoy.failures == []
