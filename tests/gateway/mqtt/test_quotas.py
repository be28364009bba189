"""Limits by number: how many, how often, and that only the one who is over a limit feels it."""

from dataclasses import replace

import pytest

from motorcade.config import MqttConfig
from motorcade.gateway.mqtt import quotas as module
from motorcade.gateway.mqtt.quotas import Quotas, account_of
from motorcade.gateway.mqtt.session import Session
from motorcade.wire.mqtt.reasons import Reason

KNOWN = Session("operator/a/1")  # and away
CONFIG = replace(
    MqttConfig(),
    connections_max=3,
    sessions_per_account_max=2,
    connects_per_client_per_s=1.0,
    connects_per_client_burst=2,
)


def test_an_account_is_what_stands_before_the_client_id() -> None:
    assert account_of("operator/ops/client/with/slashes") == "operator/ops"
    assert account_of("operator//guest") == "operator/"


def test_a_client_that_comes_too_often_waits_and_others_do_not() -> None:
    quotas = Quotas(CONFIG)
    judged = [quotas.judge("operator/a/1", KNOWN, 0.0) for _ in range(3)]
    assert judged == [None, None, Reason.CONNECTION_RATE_EXCEEDED]
    assert quotas.judge("operator/a/2", KNOWN, 0.0) is None
    assert quotas.judge("operator/a/1", KNOWN, 1.0) is None


def test_an_account_has_so_many_sessions_and_may_go_on_with_those_it_has() -> None:
    quotas = Quotas(CONFIG)
    for client in ("1", "2"):
        quotas.session_added(f"operator/a/{client}")
    assert quotas.judge("operator/a/3", None, 0.0) is Reason.QUOTA_EXCEEDED
    assert quotas.judge("operator/a/2", KNOWN, 0.0) is None
    assert quotas.judge("operator/b/3", None, 0.0) is None
    quotas.session_removed("operator/a/1")
    assert quotas.judge("operator/a/3", None, 0.0) is None


def test_the_server_is_busy_when_all_places_are_taken() -> None:
    quotas = Quotas(CONFIG)
    for _ in range(3):
        quotas.entered()
    assert quotas.judge("operator/a/1", KNOWN, 0.0) is Reason.SERVER_BUSY
    quotas.left()
    assert quotas.judge("operator/a/1", KNOWN, 0.0) is None
    assert quotas.connected == 2


def test_clients_that_came_long_ago_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BUCKETS_MAX", 10)
    quotas = Quotas(CONFIG)
    for number in range(100):
        assert quotas.judge(f"operator/a/{number}", KNOWN, float(number)) is None
        quotas.forget(float(number))
    assert len(quotas._buckets) <= 3
    for number in range(100):
        assert quotas.judge(f"operator/b/{number}", KNOWN, 200.0) is None
    assert len(quotas._buckets) <= 10
