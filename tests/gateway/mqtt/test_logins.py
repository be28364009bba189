"""Failed logins of an address and of an account from it, against token buckets."""

from motorcade.gateway.mqtt.logins import ADDRESSES_MAX, KNOWN_MAX, FailedLogins


def tried(logins: FailedLogins, address: str, times: int, now_s: float, name: str = "car") -> int:
    """How many of so many wrong passwords were looked at."""
    looked_at = 0
    for _ in range(times):
        if logins.may_try(address, name, now_s):
            logins.failed(address, name, now_s)
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
    assert len(logins._of_addresses) == 1
    assert tried(logins, "192.0.2.1", 100, 10.5) == 10
    assert tried(logins, "192.0.2.2", 100, 10.5) == 1


def test_so_many_addresses_are_remembered() -> None:
    logins = FailedLogins(per_s=1, burst=1)
    for number in range(ADDRESSES_MAX + 1):
        logins.failed(f"address {number}", "car", 0.0)
    assert len(logins._of_addresses) == ADDRESSES_MAX
    assert not logins.may_try(f"address {ADDRESSES_MAX}", "car", 0.0)


def shared() -> FailedLogins:
    """As by default: an account has less room than its address."""
    return FailedLogins(per_s=1, burst=100, account_per_s=0.1, account_burst=10)


def test_a_car_with_a_wrong_password_uses_up_its_own_room_and_not_its_neighbours() -> None:
    logins = shared()
    assert tried(logins, "192.0.2.1", 1_000, 0.0, "broken car") == 10
    assert logins.may_try("192.0.2.1", "other car", 0.0)
    assert logins.may_try("192.0.2.2", "broken car", 0.0)  # elsewhere it is another account
    assert tried(logins, "192.0.2.1", 1_000, 25.0, "broken car") == 2


def test_who_has_come_in_from_there_is_not_held_to_what_others_try() -> None:
    logins = shared()
    logins.fitted("192.0.2.1", "good car")
    assert sum(tried(logins, "192.0.2.1", 1, 0.0, f"guess {n}") for n in range(1_000)) == 100
    assert not logins.may_try("192.0.2.1", "new car", 0.0)
    assert logins.may_try("192.0.2.1", "good car", 0.0)
    assert tried(logins, "192.0.2.1", 1_000, 0.0, "good car") == 10  # nor can it be guessed


def test_a_known_accounts_failures_leave_the_address_no_debt() -> None:
    logins = shared()
    for number in range(50):
        logins.fitted("192.0.2.1", f"car {number}")
    assert sum(tried(logins, "192.0.2.1", 100, 0.0, f"car {n}") for n in range(50)) == 500
    assert logins.may_try("192.0.2.1", "new car", 1.0)


def test_so_many_known_accounts_are_remembered() -> None:
    logins = FailedLogins(per_s=0.001, burst=1)
    logins.failed("192.0.2.1", "someone", 0.0)
    for number in range(KNOWN_MAX + 1):
        logins.fitted("192.0.2.1", f"car {number}")
    assert not logins.may_try("192.0.2.1", "car 0", 0.0)
    assert logins.may_try("192.0.2.1", "car 1", 0.0)
