"""The api process's report: live state, commands, its lane, HTTP."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from motorcade.api.counter import Counter
from motorcade.clock import Clock
from motorcade.commands.runner import CommandRunner
from motorcade.config import Config
from motorcade.log.writer import EmbeddedWriter
from motorcade.metrics.figures import Figure, spread
from motorcade.metrics.lanes import lane_checks, lane_figures
from motorcade.metrics.process import process_figures
from motorcade.metrics.report import Check, Report
from motorcade.state.embedded import EmbeddedLiveState
from motorcade.state.follower import Follower


@dataclass(frozen=True, slots=True)
class ApiReporter:
    """Call it for a report."""

    config: Config
    clock: Clock
    state: EmbeddedLiveState
    follower: Follower
    commands: CommandRunner
    counter: Counter
    lanes: Mapping[str, EmbeddedWriter]  # by directory

    def __call__(self) -> Report:
        now_s = self.clock.monotonic_s()
        figures = process_figures("api") + self._state(now_s) + self._commands() + self._http()
        for name, writer in self.lanes.items():
            figures += lane_figures(name, writer, now_s)
        checks = lane_checks(list(self.lanes.items()), now_s, self.config.health)
        return Report("api", os.getpid(), figures, [*checks, *self._checks(now_s)])

    def _checks(self, now_s: float) -> list[Check]:
        limits, follower = self.config.health, self.follower
        behind_s, silent_s = follower.lag_us / 1e6, now_s - follower.polled_s
        why = ""
        if not follower.caught_up.is_set():
            why = f"live state replays the log and is {behind_s:.0f} s behind"
        elif silent_s > limits.state_silent_s_max:
            why = f"the follower has not looked into the log for {silent_s:.0f} s"
        elif behind_s > limits.state_lag_s_max:
            why = f"live state is {behind_s:.0f} s behind the log"
        return [
            Check("state", not why, why),
            Check("commands", not self.commands.refusal, self.commands.refusal),
        ]

    def _state(self, now_s: float) -> list[Figure]:
        follower, state, decoded = self.follower, self.state, self.state.counts
        values = {
            "caught_up": int(follower.caught_up.is_set()),
            "lag_seconds": follower.lag_us / 1e6,
            "poll_age_seconds": now_s - follower.polled_s,
            "vehicles": state.vehicle_count,
            "records_total": follower.records,
            "duplicates_total": follower.duplicates,
            "gaps_total": follower.gaps,
            "malformed_records_total": decoded.malformed_records,
            "rejected_values_total": decoded.rejected_values,
            "bounded_times_total": decoded.bounded_times,
            "dropped_samples_total": state.dropped_samples,
            "records_without_slot_total": state.records_without_slot,
            "snapshot_age_seconds": follower.snapshot_age_s,
        }
        return [Figure(f"motorcade_state_{name}", value) for name, value in values.items()]

    def _commands(self) -> list[Figure]:
        runner, counts = self.commands, self.commands.counts
        figures = [
            Figure("motorcade_commands_malformed_answers_total", runner.malformed),
            Figure("motorcade_commands_contradictions_total", runner.contradictions),
        ]
        for name, values in (
            ("open", runner.open_counts()),
            ("total", counts.transitions.counts),
            ("refused_total", counts.refused.counts),
        ):
            for word, value in sorted(values.items()):
                figures.append(Figure(f"motorcade_commands_{name}", value, [word]))
        for state, histogram in counts.duration_s.items():
            figure = Figure("motorcade_commands_duration_seconds", spread(histogram), [state])
            figures.append(figure)
        return figures

    def _http(self) -> list[Figure]:
        counter = self.counter
        return [
            Figure("motorcade_api_streams", counter.streams.open),
            Figure("motorcade_api_streams_parked", counter.streams.parked),
            *(
                Figure("motorcade_api_requests_total", number, [status])
                for status, number in sorted(counter.requests.counts.items())
            ),
            *(
                Figure("motorcade_api_calls_total", number, [code])
                for code, number in sorted(counter.calls.counts.items())
            ),
        ]
