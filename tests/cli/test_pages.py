"""The pages drawn from code say what the code says."""

from dataclasses import fields
from pathlib import Path

import pytest

from motorcade.cli.pages import PAGES
from motorcade.cli.settings_page import settings, unit_of
from motorcade.config import Config, HealthConfig, LogConfig, TelemetryConfig
from motorcade.metrics.figures import Kind
from motorcade.metrics.table import METRICS

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("name", PAGES)
def test_no_page_is_stale(name: str) -> None:
    assert (DOCS / name).read_text() == PAGES[name](), "make pages"


@pytest.mark.parametrize("group", [HealthConfig, LogConfig, TelemetryConfig])
def test_comments_before_behind_and_inside_a_setting_are_its_own(group: type) -> None:
    rows = {row.name: row for row in settings(group)}
    assert len(rows) == len(group.__dataclass_fields__)  # type: ignore[attr-defined]
    if group is LogConfig:
        assert "page faults" in rows["reader_bytes_max"].comment  # above its line
        assert "0009" in rows["bulk_commit_spacing_ms"].comment  # inside the parentheses
        assert rows["partitions"].comment == "fixed at the first start of a data directory"
        assert rows["retention_bulk_bytes"].default == 50 << 30


@pytest.mark.parametrize("group", [field.name for field in fields(Config)])
def test_every_setting_says_what_happens_at_it(group: str) -> None:
    silent = [row.name for row in settings(type(getattr(Config(), group))) if not row.comment]
    assert not silent, f"config.py: {group}: {silent} have no comment"


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("answer_s_max", "s"),
        ("reader_poll_ms", "ms"),
        ("batch_bytes_max", "B"),
        ("vehicles_max", ""),
        ("rate_records_per_s", ""),
    ],
)
def test_units_are_the_last_word(name: str, unit: str) -> None:
    assert unit_of(name) == unit


@pytest.mark.parametrize("row", METRICS.values(), ids=METRICS)
def test_metric_names_follow_the_convention(row: object) -> None:
    name, kind, unit, words, labels = row  # type: ignore[misc]
    assert name.startswith("motorcade_")
    assert name.endswith("_total") == (kind is Kind.COUNTER)
    base = name.removesuffix("_total")
    endings = {"s": "_seconds", "B": "_bytes", "1": "_ratio"}
    for each, ending in endings.items():
        assert base.endswith(ending) == (unit == each), name
    assert words.endswith(".")
    assert not {"vin", "vehicle", "token", "account", "client_id"} & set(labels)
