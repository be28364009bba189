"""Who may try a password: a guesser, many addresses, a known browser, and those who wait."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from motorcade.api.oauth.attempts import REMEMBERED_MAX, SignIns, TooManyError
from motorcade.clock import SimulatedClock
from motorcade.config import ApiConfig

CONFIG = ApiConfig(
    failed_sign_ins_per_pair_burst=2,
    failed_sign_ins_per_address_burst=5,
    failed_sign_ins_per_email_burst=4,
    sign_ins_waiting_max=3,
)


class FakePeople:
    """Takes the password `right`, and as long as the test holds `going`."""

    def __init__(self) -> None:
        self.tried = 0
        self.going = threading.Event()
        self.going.set()

    def check_password(self, email: str, password: str) -> str | None:
        self.tried += 1
        assert self.going.wait(10)
        return email if password == "right" else None


Door = Callable[..., Coroutine[Any, Any, int]]


def door(people: FakePeople, clock: SimulatedClock) -> Door:
    stand_in: Any = people
    sign_ins = SignIns(stand_in, clock, CONFIG)

    async def enter(
        address: str, email: str, password: str = "wrong", known_browser: str = ""
    ) -> int:
        """200, 403 or 429."""
        try:
            person = await sign_ins.check(address, email, password, known_browser)
        except TooManyError:
            return 429
        return 200 if person else 403

    return enter


def test_of_one_address_one_e_mail_is_guessed_at_so_often_and_others_are_free() -> None:
    async def main() -> None:
        people, clock = FakePeople(), SimulatedClock(0)
        enter = door(people, clock)
        assert [await enter("1.1.1.1", "ann") for _ in range(3)] == [403, 403, 429]
        assert await enter("1.1.1.1", " ANN ", "right") == 429
        assert people.tried == 2
        assert await enter("2.2.2.2", "ann", "right") == 200
        assert await enter("1.1.1.1", "bob", "right") == 200
        clock.advance(1 / CONFIG.failed_sign_ins_per_pair_per_s)
        assert await enter("1.1.1.1", "ann", "right") == 200

    asyncio.run(main())


def test_many_addresses_guess_at_one_e_mail_so_often_and_known_browsers_go_on() -> None:
    async def main() -> None:
        enter = door(FakePeople(), SimulatedClock(0))
        told = [await enter(f"1.1.1.{number}", "ann") for number in range(5)]
        assert told == [403] * 4 + [429]
        assert await enter("9.9.9.9", "ann", "right") == 429
        assert await enter("9.9.9.9", "ann", "right", "b1") == 200
        assert [await enter("9.9.9.9", "ann", "wrong", "b1") for _ in range(3)] == [403, 403, 429]
        assert await enter("9.9.9.9", "ann", "right", "b2") == 200

    asyncio.run(main())


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("2001:db8::1", "2001:db8::2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:1.2.3.4", "1.2.3.4", True),
    ],
)
def test_of_ipv6_a_network_counts_as_one_address(first: str, second: str, same: bool) -> None:
    async def main() -> None:
        enter = door(FakePeople(), SimulatedClock(0))
        for _ in range(2):
            await enter(first, "ann")
        assert await enter(second, "ann", "right") == (429 if same else 200)

    asyncio.run(main())


def test_who_tries_too_often_does_not_wait_and_the_queue_has_an_end() -> None:
    """Refused at once while every place is taken; a known browser has a place of its own."""

    async def main() -> None:
        people = FakePeople()
        people.going.clear()
        enter = door(people, SimulatedClock(0))
        under_way = [asyncio.create_task(enter("1.1.1.1", "ann")) for _ in range(2)]
        under_way.append(asyncio.create_task(enter("2.2.2.2", "bob", "right")))
        await asyncio.sleep(0.05)
        assert await asyncio.wait_for(enter("1.1.1.1", "ann"), 1) == 429
        assert await asyncio.wait_for(enter("3.3.3.3", "eve", "right"), 1) == 429
        known = asyncio.create_task(enter("3.3.3.3", "eve", "right", "b1"))
        await asyncio.sleep(0.05)
        assert people.tried == CONFIG.sign_ins_concurrent_max + 1
        people.going.set()
        assert await asyncio.gather(*under_way) == [403, 403, 200]
        assert await known == 200
        assert await enter("3.3.3.3", "eve", "right") == 200

    asyncio.run(main())


def test_what_is_remembered_is_bounded() -> None:
    async def main() -> None:
        people: Any = FakePeople()
        sign_ins = SignIns(people, SimulatedClock(0), ApiConfig())
        for number in range(REMEMBERED_MAX + 10):
            for failures, key in sign_ins._budgets(f"10.0.{number // 256}.{number % 256}", "a", ""):
                failures.add(key, 0.0)
        assert len(sign_ins._pairs._full_s) == REMEMBERED_MAX
        assert len(sign_ins._addresses._full_s) == REMEMBERED_MAX

    asyncio.run(main())
