"""What commands may set, the units last: the API checks by these, and the car, which tells them."""

from typing import Final

CHARGE_LIMIT_PERCENT: Final = (50, 100)
TEMPERATURES_DEGC: Final = (15.0, 28.0)  # as `min_avail_temp` and `max_avail_temp` say
LIMIT_MPH: Final = (50, 120)  # what a speed limit may be
CHARGING_AMPS_MAX: Final = 80  # more than any car takes; what it draws is limited by its charger
MINUTES_MAX: Final = 1_439  # after midnight, the vehicle's local time
OFFSET_S_MAX: Final = 7 * 86_400  # until a software update begins
ID_MAX: Final = (1 << 53) - 1  # beyond, JSON numbers are not exact
NAME_CHARACTERS_MAX: Final = 64  # of a vehicle, of a schedule
