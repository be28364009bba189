"""When a plugged-in car charges, and how fast: schedules, departures, a site's manager. No IO.

Somebody who starts or stops by hand is obeyed; a schedule acts when its time comes, and holds a car
that was plugged in before. Of several rules the first that is due starts.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, NamedTuple

from motorcade.vehicle.body import (
    CHARGER_AMPS_MAX,
    CHARGER_PHASES,
    CHARGER_V,
    Body,
    Charge,
    ChargeSchedule,
)
from motorcade.vehicle.local_time import (
    ALL_DAYS,
    WEEKDAYS,
    crossed,
    day_bit,
    minute_of_day,
    minutes_until,
)

if TYPE_CHECKING:
    from motorcade.vehicle.model import Car

CHARGING: Final = 0.92  # from the plug to the battery


class Rule(NamedTuple):
    """A time to start, a time to be done by, or both; minutes after midnight."""

    start_minute: int | None
    end_minute: int | None
    days: int  # bits on which it starts, or ends where it has no start
    schedule: ChargeSchedule | None = None

    @property
    def minute(self) -> int:
        """The one that `days` speaks of."""
        minute = self.end_minute if self.start_minute is None else self.start_minute
        assert minute is not None  # a rule without a time is no rule: `rules` makes none
        return minute


def current_a(car: "Car") -> float:
    """What the charger may draw per phase."""
    charging = car.body.charging
    amps = min(charging.amps, CHARGER_AMPS_MAX)
    if charging.managed_amps is not None and _managed(car):
        amps = min(amps, charging.managed_amps)
    return float(amps)


def power_w(car: "Car") -> float:
    """What the charger draws from the grid now."""
    if car.body.charge is not Charge.CHARGING:
        return 0.0
    return current_a(car) * CHARGER_V * CHARGER_PHASES


def _managed(car: "Car") -> bool:
    """Whether it stands at the managed site; without a place every site is one."""
    place = car.body.charging.managed_place
    return place is None or car.near(*place)


def seconds_to_full(car: "Car") -> float:
    """Until the limit, at the power that the charger may draw; infinite if that is none."""
    needed_j = max(car.body.charge_limit - car.soc, 0.0) * car.battery_j
    available_w = current_a(car) * CHARGER_V * CHARGER_PHASES * CHARGING
    if needed_j == 0.0:
        return 0.0
    return needed_j / available_w if available_w else float("inf")


def rules(car: "Car") -> Iterator[Rule]:
    """What is set for a car that stands here."""
    charging = car.body.charging
    if charging.managed_minute is not None and _managed(car):
        yield Rule(charging.managed_minute, None, ALL_DAYS)
    if charging.start_minute is not None:
        yield Rule(charging.start_minute, None, ALL_DAYS)
    departure = charging.departure
    if departure is not None and departure.off_peak:
        days = WEEKDAYS if departure.off_peak_weekdays else ALL_DAYS
        yield Rule(None, departure.off_peak_end_minute, days)
    for schedule in charging.schedules.values():
        if schedule.enabled and car.near(schedule.latitude_deg, schedule.longitude_deg):
            yield Rule(schedule.start_minute, schedule.end_minute, schedule.days, schedule)


def holds(rule: Rule, local: float, to_full_s: float) -> bool:
    """Whether a car that is plugged in now has to wait for this rule."""
    now = minute_of_day(local)
    wait_s = minutes_until(rule.minute, now) * 60.0
    if not rule.days & day_bit(local + wait_s):
        return False
    if rule.start_minute is None:
        return wait_s > to_full_s
    if rule.end_minute is None or not rule.days & day_bit(local):
        return True
    window = minutes_until(rule.end_minute, rule.start_minute)
    return minutes_until(rule.end_minute, now) > window


def held(car: "Car") -> bool:
    """Whether any rule makes this car wait."""
    to_full_s = seconds_to_full(car)
    return any(holds(rule, car.local_s, to_full_s) for rule in rules(car))


def next_start_unix_s(car: "Car") -> float | None:
    """When a rule will start charging next, at the latest a day from now."""
    now = minute_of_day(car.local_s)
    starts = []
    for rule in rules(car):
        wait_s = minutes_until(rule.minute, now) * 60.0
        if rule.days & day_bit(car.local_s + wait_s):
            lead_s = seconds_to_full(car) if rule.start_minute is None else 0.0
            starts.append(car.unix_s + max(wait_s - lead_s, 0.0))
    return min(starts, default=None)


def plug_in(car: "Car") -> None:
    """Somebody puts the cable in: it charges, unless a rule says later."""
    body = car.body
    body.charging.port_open = True
    body.charging.session_j = 0.0
    body.charging.started_by = 0
    body.charging.pending = held(car)
    body.charge = Charge.STOPPED if body.charging.pending else Charge.CHARGING


def unplug(body: Body) -> None:
    """Somebody takes the cable out, and the flap closes."""
    body.charge = Charge.DISCONNECTED
    body.charging.pending = body.charging.port_open = False
    body.charging.started_by = 0


def start(car: "Car", schedule: ChargeSchedule | None = None) -> None:
    """Charge now."""
    charging = car.body.charging
    charging.pending = False
    charging.started_by = 0
    car.body.charge = Charge.CHARGING if car.soc < car.body.charge_limit else Charge.COMPLETE
    if schedule is None:
        return
    if schedule.end_minute is not None:
        charging.started_by = schedule.id
    elif schedule.one_time:
        charging.schedules.pop(schedule.id, None)


def stop(body: Body) -> None:
    """Charge no more, until somebody or a schedule says so."""
    body.charge = Charge.STOPPED
    body.charging.pending = False
    body.charging.started_by = 0


def reconsider(car: "Car") -> None:
    """The rules have changed: a car that stood waiting may start, one that stands may wait."""
    if car.body.charge is not Charge.STOPPED:
        return
    waiting = held(car)
    if car.body.charging.pending and not waiting:
        start(car)
    else:
        car.body.charging.pending = waiting


def tick(car: "Car", before_local: float) -> None:
    """Let the rules act on what came since `before_local`."""
    body, local = car.body, car.local_s
    if body.charge is Charge.DISCONNECTED:
        return
    before, now = minute_of_day(before_local), minute_of_day(local)
    for rule in list(rules(car)):
        ended = rule.end_minute is not None and crossed(rule.end_minute, before, now)
        if ended and rule.schedule is not None:
            _end(body, rule.schedule)
        elif body.charge is not Charge.STOPPED or not _on_its_day(rule, local, now):
            continue
        elif rule.start_minute is None:
            if body.charging.pending and not holds(rule, local, seconds_to_full(car)):
                start(car, rule.schedule)
        elif crossed(rule.start_minute, before, now):
            start(car, rule.schedule)


def _on_its_day(rule: Rule, local: float, now: float) -> bool:
    if rule.start_minute is None:
        return bool(rule.days & day_bit(local + minutes_until(rule.minute, now) * 60.0))
    return bool(rule.days & day_bit(local))


def _end(body: Body, schedule: ChargeSchedule) -> None:
    """The window closes: what it started ends, and what was for once is gone."""
    if body.charging.started_by != schedule.id:
        return
    if body.charge is Charge.CHARGING:
        stop(body)
    if schedule.one_time:
        body.charging.schedules.pop(schedule.id, None)
