"""A running platform: its processes answer, and its doors are what clients expect."""

import asyncio
import json
import socket
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import Any, Final

from motorcade.doctor.finding import Finding, Scene, fault, warning
from motorcade.metrics.report import ask

TLS_DOORS: Final = ("mqtts", "mqtt_wss", "telemetry", "api_tls")
CONNECT_S: Final = 3.0
READER_S: Final = 15.0
READER_STEP_S: Final = 0.25
REASON_BYTES_MAX: Final = 1 << 20


def check_server(scene: Scene) -> Iterator[Finding]:
    """The ready file and the processes agree."""
    up = f"motorcade up --data {scene.data}"
    if scene.runs:
        return
    if scene.ready is not None:
        yield fault(
            f"the server is gone without goodbye: process {scene.ready.get('pid')} of "
            f"{scene.data / 'ready.json'} does not run",
            up,
        )
    else:
        yield warning(f"no server runs on {scene.data}", up)


def check_processes(scene: Scene) -> Iterator[Finding]:
    """Supervisor, gateway, reader and api answer, and say that they work."""
    if not scene.runs:
        return
    limit_s = scene.config.health.answer_s_max
    for name in ("supervisor", "gateway"):
        if asyncio.run(ask(scene.data, name, limit_s)) is None:
            yield fault(
                f"the {name} process gives no answer within {limit_s:g} s: it is dead or stuck",
                "the supervisor starts a dead one again within 15 s; kill -9 a stuck one: "
                f"pgrep -af {scene.data}",
            )
            return
    if not _reader_answers(scene):
        yield warning(
            f"the reader process gives no answer within {READER_S:g} s: history is not written on, "
            "questions read it from the log meanwhile",
            "it starts after the others, and the supervisor starts a dead one again; when it does "
            "not come, its reason stands on the server's standard error",
        )
    yield from _health(scene)


def _reader_answers(scene: Scene) -> bool:
    """It starts after the others are ready: a platform that just started has a while."""
    for _ in range(round(READER_S / READER_STEP_S)):
        if asyncio.run(ask(scene.data, "reader", scene.config.health.answer_s_max)) is not None:
            return True
        time.sleep(READER_STEP_S)
    return False


def _health(scene: Scene) -> Iterator[Finding]:
    assert scene.ready is not None  # a server that runs has one
    url = scene.ready["api"]["url"] + "/health/ready"
    try:
        with urllib.request.urlopen(url, timeout=CONNECT_S) as answer:
            said = json.loads(answer.read(REASON_BYTES_MAX))
    except urllib.error.HTTPError as error:
        said = json.loads(error.read(REASON_BYTES_MAX))
    except (OSError, ValueError) as error:
        yield fault(
            f"the api process gives no answer at {url}: {error}",
            "the supervisor starts a dead one again within 15 s; kill -9 a stuck one: "
            f"pgrep -af {scene.data}",
        )
        return
    for name, check in said.get("checks", {}).items():
        if not check["ok"]:
            yield fault(f"not ready, {name}: {check['reason']}", _mend(name, scene))


def _mend(check: str, scene: Scene) -> str:
    if check.startswith("log"):
        return f"mend or free the disk of {scene.data}: df -h {scene.data}; it goes on by itself"
    if check == "state":
        return "wait while it catches up; if it does not: motorcade_state_* at /metrics"
    return "see the server's messages on its standard error"


def check_doors(scene: Scene) -> Iterator[Finding]:
    """Each port accepts; TLS doors show a certificate of our root."""
    if not scene.runs or scene.ready is None:
        return
    for name, (host, port) in _places(scene.ready).items():
        try:
            with socket.create_connection((host, port), CONNECT_S) as plain:
                if name in TLS_DOORS:
                    _shake_hands(plain, host, scene)
        except ssl.SSLCertVerificationError as error:
            yield fault(
                f"the TLS chain of {name} ({host}:{port}) does not lead to "
                f"{scene.data / 'ca.pem'}: {error.verify_message}",
                "another server answers there, or ours started before its keys were replaced: "
                "restart it",
            )
        except ssl.SSLError as error:
            yield fault(f"no TLS at {name} ({host}:{port}): {error}", "restart the platform")
        except OSError as error:
            yield fault(
                f"nobody accepts connections for {name} at {host}:{port}: {error}",
                "see the server's messages on its standard error; a firewall may be in between",
            )


def _shake_hands(plain: socket.socket, host: str, scene: Scene) -> None:
    """As a client does that trusts our root. A door may close later for want of a certificate."""
    context = ssl.create_default_context(cafile=scene.data / "ca.pem")
    with context.wrap_socket(plain, server_hostname=host):
        pass


def _places(ready: dict[str, Any]) -> dict[str, tuple[str, int]]:
    places = {}
    for name, told in ready.items():
        if not isinstance(told, dict):
            continue
        if "port" in told:
            places[name] = (told["host"], told["port"])
        elif told.get("url"):
            url = urllib.parse.urlsplit(told["url"])
            if url.hostname is not None and url.port is not None:
                places[name] = (url.hostname, url.port)
    return places
