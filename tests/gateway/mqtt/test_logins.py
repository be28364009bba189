"""Failed logins of one address, against a token bucket."""

from motorcade.gateway.mqtt.logins import ADDRESSES_MAX, FailedLogins


def tried(logins: FailedLogins, address: str, times: int, now_s: float) -> int:
    """How many of so many wrong passwords were looked at."""
    looked_at = 0
    for _ in range(times):
        if logins.may_try(address, now_s):
            logins.failed(address, now_s)
            looked_at += 1
    return looked_at


def test_a_burst_is_looked_at_then_the_rate() -> None:
    logins = FailedLogins(per_s=2, burst=10)
    assert tried(logins, "192.0.2.1", 100, 0.0) == 10
    assert tried(logins, "192.0.2.1", 100, 0.4) == 0
    assert tried(logins, "192.0.2.1", 100, 3.0) == 6
    assert tried(logins, "192.0.2.2", 100, 3.0) == 10


def test_a_host_cannot_choose_from_its_ipv6_network() -> None:
    logins = FailedLogins(per_s=1, burst=10)
    assert tried(logins, "2001:db8:0:1::1", 6, 0.0) == 6
    assert tried(logins, "2001:db8:0:1:ffff::2%eth0", 6, 0.0) == 4
    assert tried(logins, "2001:db8:0:2::1", 6, 0.0) == 6


def test_ipv4_is_the_same_when_the_socket_is_of_both_kinds() -> None:
    logins = FailedLogins(per_s=1, burst=10)
    assert tried(logins, "::ffff:192.0.2.1", 6, 0.0) == 6
    assert tried(logins, "192.0.2.1", 6, 0.0) == 4
    assert tried(logins, "::ffff:192.0.2.2", 6, 0.0) == 6


def test_no_rate_is_no_limit() -> None:
    assert tried(FailedLogins(per_s=0, burst=1), "192.0.2.1", 100, 0.0) == 100


def test_who_failed_long_ago_is_forgotten_and_who_failed_now_is_not() -> None:
    logins = FailedLogins(per_s=1, burst=10)
    tried(logins, "192.0.2.1", 10, 0.0)
    tried(logins, "192.0.2.2", 10, 9.0)
    logins.forget(10.5)
    assert list(logins._buckets) == ["192.0.2.2"]


def test_so_many_addresses_are_remembered() -> None:
    logins = FailedLogins(per_s=1, burst=1)
    for number in range(ADDRESSES_MAX + 1):
        logins.failed(f"address {number}", 0.0)
    assert len(logins._buckets) == ADDRESSES_MAX
    assert not logins.may_try(f"address {ADDRESSES_MAX}", 0.0)
