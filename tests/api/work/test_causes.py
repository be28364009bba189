"""What needs somebody: each item of its cars, once, folded, in order, and the same one later."""

from collections.abc import Sequence
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from motorcade.api.work.causes import NOTHING, Before, Item, derive, fold_key
from tests.api.work.scenes import CONFIG, NOW_US, SECOND, failed, fleet


def members(items: Sequence[Item]) -> list[list[str]]:
    return [[one.display_name for one in item.vehicles] for item in items]


JUDGED = ("state", "received_us", "gear", "gear_us", "speed_us", "speed_mps")
JUDGED += ("charge_state", "asleep", "alarms")
AGES = st.lists(st.integers(0, 3_000), max_size=60)


@given(AGES, st.data())
def test_every_silent_car_is_in_one_item_whatever_order_they_stand_in(
    ages: list[int], data: st.DataObject
) -> None:
    items = derive(fleet(ages), NOTHING, CONFIG)
    told = sorted(name for item in items for name in members([item])[0])
    assert told == sorted(f"Car {place}" for place, age in enumerate(ages) if age > 100)
    for item in items:
        assert list(item.times_us) == sorted(item.times_us)
        assert item.since_us == item.times_us[0]
        assert item.times_us[-1] - item.since_us <= CONFIG.fold_s * SECOND
        assert item.folded == (len(item.vehicles) >= CONFIG.fold_cars_min)
    assert items == sorted(items, key=lambda item: item.rank)
    order = data.draw(st.permutations(range(len(ages))))
    state = fleet(ages)
    turned = replace(
        state,
        fleet=replace(
            state.fleet,
            **{name: getattr(state.fleet, name)[list(order)] for name in JUDGED},
        ),
        vehicles=[state.vehicles[place] for place in order],
    )
    again = derive(turned, NOTHING, CONFIG)
    assert [item.id for item in again] == [item.id for item in items]
    assert [set(one) for one in members(again)] == [set(one) for one in members(items)]


@given(AGES, st.sets(st.integers(0, 59)))
def test_an_item_that_was_told_stays_the_same_while_any_of_its_cars_is_silent(
    ages: list[int], spoke: set[int]
) -> None:
    first = derive(fleet(ages), NOTHING, CONFIG)
    anchors: dict[str, list[int]] = {}
    for item in first:
        if item.folded:
            anchors.setdefault(fold_key(item.subject), []).append(item.since_us)
    alone = frozenset(item.id for item in first if not item.folded)
    left = [1 if place in spoke else age for place, age in enumerate(ages)]
    second = derive(fleet(left), Before(anchors, alone), CONFIG)
    names = {f"Car {place}" for place in spoke}
    wanted = {item.id: set(members([item])[0]) - names for item in first}
    assert {item.id: set(members([item])[0]) for item in second} == {
        item_id: cars for item_id, cars in wanted.items() if cars
    }


def test_cars_that_rested_are_another_item_of_less_weight_and_what_never_spoke_is_none() -> None:
    state = fleet([0, 2_000, 500, 2_001, 90_000], gear=[4, 4, 2, 2, 4])
    items = derive(state, NOTHING, CONFIG)
    assert members(items) == [["Car 1"], ["Car 3"]]  # Car 2 rests, and Car 4's silence is old
    assert [item.subject.severity.name for item in items] == ["WARNING", "NOTICE"]
    assert items[0].id == f"silent.driving.1001.{NOW_US // SECOND - 2_000}"


def test_alarms_are_worst_and_fold_by_what_they_are() -> None:
    state = fleet([1, 1, 1, 1, 500], alarms=[8, 8, 8, 2, 0])
    items = derive(state, NOTHING, CONFIG)
    assert members(items) == [["Car 3"], ["Car 0", "Car 1", "Car 2"], ["Car 4"]]
    assert [item.alarms for item in items] == [2, 8, 0]
    assert items[1].subject.together == "cars in alarm: a tyre has lost its pressure"
    assert items[0].subject.alone == "The battery reports a fault"


def test_failed_commands_fold_by_name_and_reason() -> None:
    one, two = failed(1, 50), failed(2, 40)
    three, other, late = failed(3, 30), failed(4, 30, "honk_horn"), failed(5, 4_000)
    state = replace(fleet([]), failed=[three, other, late, one, two])
    items = derive(state, NOTHING, CONFIG)
    assert members(items) == [["Car 5"], ["Car 1", "Car 2", "Car 3"], ["Car 4"]]
    assert items[0].id == f"command.{late[0].id}"
    assert items[1].subject.together == "× Door unlock failed: offline"
    assert [view.id for view in items[1].commands] == [one[0].id, two[0].id, three[0].id]


def test_no_more_are_told_than_allowed_and_those_are_the_worst() -> None:
    ages = [200 + 100 * place for place in range(20)]
    config = replace(CONFIG, items_max=5)
    items = derive(fleet(ages, alarms=[0] * 19 + [1]), NOTHING, config)
    assert members(items) == [["Car 19"], ["Car 18"], ["Car 17"], ["Car 16"], ["Car 15"]]
