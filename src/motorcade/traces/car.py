"""What a car traces of a command: its own part of the road, under the platform's span `vehicle`.

The trace's id is the command's, which the car knows from the signed message, so nothing travels on
the wire for it. Times are the car's own clock's: where that is wrong, these spans lie beside the
platform's by as much, and their lengths are still right.
"""

from collections.abc import Callable, Iterator
from typing import Final

from motorcade.traces.spans import VEHICLE, Span, command_trace
from motorcade.vehicle.stations import Stations

CAR: Final = "car"


class CarTracer:
    """Hears of each command that a car has answered; makes its spans."""

    def __init__(self, end: Callable[[Span], None]) -> None:
        self._end = end

    def __call__(self, stations: Stations) -> None:
        for span in car_spans(stations):
            self._end(span)


def car_spans(stations: Stations) -> Iterator[Span]:
    """The whole of it, and a span for each way from one station to the next."""
    trace_id = command_trace(stations.command.id)
    if trace_id is None:
        return
    yield Span(
        trace_id,
        CAR,
        stations.received_us,
        stations.answered_us,
        parent=VEHICLE,
        error="" if stations.state == "executed" else stations.reason or stations.state,
        attributes={
            "motorcade.command": stations.command.name,
            "motorcade.state": stations.state,
        },
    )
    ways = (
        ("car: verify", stations.verified_us),
        ("car: judge", stations.judged_us),  # with the wait for the time, where it was not known
        ("car: journal", stations.journaled_us),
        ("car: execute", stations.executed_us),
        ("car: answer", stations.answered_us),
    )
    begun_us = stations.received_us
    for name, ended_us in ways:
        if ended_us:
            yield Span(trace_id, name, begun_us, ended_us, parent=CAR)
            begun_us = ended_us
