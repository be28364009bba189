"""All scenarios, by what they concern."""

from typing import Final

from tests.faults import log_scenarios, sqlite_scenarios, state_scenarios, vehicle_scenarios
from tests.faults.enumerate import Make

ALL: Final[tuple[Make, ...]] = (
    *log_scenarios.ALL,
    *state_scenarios.ALL,
    *vehicle_scenarios.ALL,
    *sqlite_scenarios.ALL,
)
