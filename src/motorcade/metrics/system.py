"""What all processes say of themselves, as people read it (`api.inside.System`). No IO, no clock.

Counters become rates, and histograms percentiles, by what they were at an earlier look; of a
process that started anew since, all it has counted is taken.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from motorcade.api.inside import (
    CertificateShown,
    CheckShown,
    DoorShown,
    LaneShown,
    LedgerShown,
    ProcessShown,
    ReaderShown,
    System,
)
from motorcade.metrics.figures import Figure, Spread

PROCESSES: Final = ("supervisor", "gateway", "api", "reader")
ACKED_LANE: Final = "gateway-bulk"
"""What the doors take in; the other lanes carry commands and their answers."""

_NO_SPREAD: Final = Spread([], [], 0.0)


@dataclass(frozen=True, slots=True)
class Look:
    """All figures at one moment, by name and labels."""

    at_us: int
    values: Mapping[tuple[str, ...], float]
    spreads: Mapping[tuple[str, ...], Spread]

    @classmethod
    def of(cls, at_us: int, figures: Iterable[Figure]) -> "Look":
        values, spreads = {}, {}
        for figure in figures:
            key = (figure.name.removeprefix("motorcade_"), *figure.labels)
            if isinstance(figure.value, Spread):
                spreads[key] = figure.value
            else:
                values[key] = figure.value
        return cls(at_us, values, spreads)

    def get(self, name: str, *labels: str) -> float | None:
        return self.values.get((name, *labels))

    def whole(self, name: str, *labels: str) -> int | None:
        value = self.get(name, *labels)
        return None if value is None else int(value)

    def total(self, name: str) -> int:
        """Of all labels."""
        return int(sum(value for key, value in self.values.items() if key[0] == name))

    def labels(self, name: str) -> list[str]:
        """The first labels of a metric, in the order they were told."""
        return list(dict.fromkeys(key[1] for key in self.values if key[0] == name))


def percentile(spread: Spread, share: float) -> float | None:
    """The value that so large a share of observations is at or below; `None` without any.

    Even within a bucket; what is above all bounds counts as the highest of them.
    """
    wanted = sum(spread.counts) * share
    if not wanted:
        return None
    below, low = 0, 0.0
    for bound, count in zip(spread.bounds, spread.counts, strict=False):
        if below + count >= wanted:
            return low + (bound - low) * (wanted - below) / count
        below, low = below + count, bound
    return low


def since(now: Spread, before: Spread) -> Spread:
    """What was observed after `before`; all of it where that is of an earlier process."""
    if before.bounds != now.bounds or any(
        new < old for new, old in zip(now.counts, before.counts, strict=True)
    ):
        return now
    counts = [new - old for new, old in zip(now.counts, before.counts, strict=True)]
    return Spread(now.bounds, counts, now.total - before.total)


def shown(
    now: Look,
    last: Look,
    window: Look,
    failing: Sequence[tuple[str, str]],
    certificates: Sequence[tuple[str, int]],
) -> System:
    """The platform `now`; rates are since `last`, percentiles since `window`."""
    lag = _lag(now)
    behind = [row.lag_s for row in lag]
    lost = sum(row.records_lost_min or 0 for row in lag)
    lanes = [_lane(now, window, name) for name in now.labels("log_size_bytes")]
    bulk = [lane for lane in lanes if lane.lane == ACKED_LANE]
    taken = _rise(now, last, "gateway_records_total")
    return System(
        at_us=now.at_us,
        lost=lost,
        lag_s=None if None in behind else max(value for value in behind if value is not None),
        ack_ms_p50=bulk[0].ack_ms_p50 if bulk else None,
        ack_ms_p99=bulk[0].ack_ms_p99 if bulk else None,
        records_per_s=taken / _passed_s(now, last),
        vehicles=now.total("state_vehicles"),
        commands_open=now.total("commands_open"),
        disk_free_bytes=now.total("log_disk_free_bytes"),
        failing=[CheckShown(check=name, reason=reason) for name, reason in failing if reason],
        lag=lag,
        ledger=_ledger(now, lost),
        lanes=lanes,
        connections=[
            DoorShown(
                door=door,
                open=now.whole("gateway_connections", door) or 0,
                opened=now.whole("gateway_connections_total", door) or 0,
            )
            for door in now.labels("gateway_connections")
        ],
        processes=[_process(now, last, name) for name in PROCESSES],
        certificates=[CertificateShown(name=name, ends_us=end_us) for name, end_us in certificates],
    )


def _lag(now: Look) -> list[ReaderShown]:
    return [
        ReaderShown(
            reader="live state",
            lag_s=now.get("state_lag_seconds"),
            looked_s=now.get("state_poll_age_seconds"),
            records_lost_min=now.whole("state_gaps_total"),
        ),
        ReaderShown(
            reader="history",
            lag_s=now.get("history_lag_seconds"),
            looked_s=now.get("history_poll_age_seconds"),
            waiting_records=now.whole("history_waiting_samples"),
            records_lost_min=now.whole("history_gaps_total"),
        ),
    ]


def _ledger(now: Look, lost: int) -> LedgerShown:
    return LedgerShown(
        taken=now.total("gateway_records_total"),
        acked=now.total("gateway_acks_total"),
        stored=now.total("log_records_total"),
        read=now.total("state_records_total"),
        duplicates=now.total("state_duplicates_total"),
        malformed=now.total("state_malformed_records_total"),
        refused=now.total("gateway_refusals_total"),
        failed_commits=now.total("log_commit_failures_total"),
        lost_min=lost,
    )


def _lane(now: Look, window: Look, name: str) -> LaneShown:
    acks = _recent(now, window, "gateway_ack_duration_seconds", name)
    commits = _recent(now, window, "log_commit_duration_seconds", name)
    writable = now.get("log_writable", name)
    return LaneShown(
        lane=name,
        ack_ms_p50=_ms(percentile(acks, 0.5)),
        ack_ms_p99=_ms(percentile(acks, 0.99)),
        commit_ms_p50=_ms(percentile(commits, 0.5)),
        commit_ms_p99=_ms(percentile(commits, 0.99)),
        writable=None if writable is None else bool(writable),
        size_bytes=now.whole("log_size_bytes", name) or 0,
        retention_bytes=now.whole("log_retention_bytes", name) or 0,
    )


def _process(now: Look, last: Look, name: str) -> ProcessShown:
    cpu_s = now.get("process_cpu_seconds_total", name)
    before_s = last.get("process_cpu_seconds_total", name)
    used_s = None if cpu_s is None or before_s is None else cpu_s - before_s
    known = used_s is not None and used_s >= 0 and now is not last
    return ProcessShown(
        process=name,
        up=cpu_s is not None,
        restarts=now.whole("process_restarts_total", name),
        uptime_s=now.get("process_uptime_seconds", name),
        cpu_percent=100 * (used_s or 0.0) / _passed_s(now, last) if known else None,
        memory_bytes=now.whole("process_resident_memory_bytes", name),
        open_files=now.whole("process_open_fds", name),
        open_files_max=now.whole("process_max_fds", name),
    )


def _recent(now: Look, window: Look, name: str, lane: str) -> Spread:
    told = now.spreads.get((name, lane), _NO_SPREAD)
    return told if window is now else since(told, window.spreads.get((name, lane), _NO_SPREAD))


def _rise(now: Look, last: Look, name: str) -> int:
    return max(now.total(name) - last.total(name), 0)


def _passed_s(now: Look, last: Look) -> float:
    """Never 0: of one look alone nothing has risen."""
    return max((now.at_us - last.at_us) / 1e6, 1e-3)


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1e3
