"""What an operator's tools see of a running platform: metrics and health over HTTP."""

import http.client
import json
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from prometheus_client.parser import text_string_to_metric_families

from tests.platform_process import Platform

WAIT_S_MAX = 30.0
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def get(platform: Platform, path: str, *, token: str = "") -> tuple[int, bytes]:
    """Status and body; status 0 while nobody answers."""
    url = urlsplit(platform.ready["api"]["url"])
    connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=10)
    try:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        return response.status, response.read()
    except (OSError, http.client.HTTPException):
        return 0, b""
    finally:
        connection.close()


def scrape(platform: Platform) -> str:
    """The metrics' text."""
    status, body = get(platform, "/metrics", token=platform.ready["admin_token"])
    assert status == 200, body
    return body.decode()


def samples(platform: Platform) -> Samples:
    """Every sample of a scrape, by name and sorted labels."""
    families = text_string_to_metric_families(scrape(platform))
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def value(platform: Platform, name: str, **labels: str) -> float:
    """One sample; 0 when it is not there yet."""
    return samples(platform).get((name, tuple(sorted(labels.items()))), 0.0)


def ready(platform: Platform) -> tuple[int, dict[str, str]]:
    """The status of `/health/ready`, and the reasons of the checks that fail."""
    status, body = get(platform, "/health/ready")
    checks: dict[str, Any] = json.loads(body)["checks"] if body else {}
    return status, {name: each["reason"] for name, each in checks.items() if not each["ok"]}


def eventually(holds: Callable[[], Any]) -> Any:
    """Wait until something is true; return it."""
    deadline = time.monotonic() + WAIT_S_MAX
    while not (result := holds()):
        assert time.monotonic() < deadline, "it never became true"
        time.sleep(0.05)
    return result
