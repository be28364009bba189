"""Figures in Prometheus' text format, by the table. Figures that the table lacks are a defect."""

from collections.abc import Iterable, Iterator, Sequence

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from motorcade.metrics import figures as rows
from motorcade.metrics.figures import Figure, Kind, Spread
from motorcade.metrics.table import METRICS


class _Once(Collector):
    """Gives the library one set of figures."""

    def __init__(self, figures: Iterable[Figure]) -> None:
        self._by_name: dict[str, list[Figure]] = {}
        for figure in figures:
            self._by_name.setdefault(figure.name, []).append(figure)

    def collect(self) -> Iterator[Metric]:
        for name, row in METRICS.items():
            figures = self._by_name.get(name, [])
            if figures:
                yield _family(row, figures)


def exposition(figures: Iterable[Figure]) -> bytes:
    """The text that a scrape gets: families in the table's order."""
    registry = CollectorRegistry()
    registry.register(_Once(figures))
    return generate_latest(registry)


def _family(row: rows.Metric, figures: Sequence[Figure]) -> Metric:
    if row.kind is Kind.HISTOGRAM:
        return _histogram(row, figures)
    make = CounterMetricFamily if row.kind is Kind.COUNTER else GaugeMetricFamily
    family = make(row.name, row.help, labels=list(row.labels))
    for figure in figures:
        assert not isinstance(figure.value, Spread)
        family.add_metric(list(figure.labels), figure.value)
    return family


def _histogram(row: rows.Metric, figures: Sequence[Figure]) -> HistogramMetricFamily:
    family = HistogramMetricFamily(row.name, row.help, labels=list(row.labels))
    for figure in figures:
        value = figure.value
        assert isinstance(value, Spread)
        below, buckets = 0, []
        for bound, count in zip([*value.bounds, float("inf")], value.counts, strict=True):
            below += count
            buckets.append(("+Inf" if bound == float("inf") else f"{bound:g}", float(below)))
        family.add_metric(list(figure.labels), buckets, value.total)
    return family
