"""The page `docs/operating/metrics.md`, drawn from the table; `motorcade.cli.pages` writes it."""

from collections.abc import Sequence
from typing import Final

from motorcade.metrics.figures import Metric
from motorcade.metrics.table import GROUPS

HEAD: Final = """# Metrics

Drawn from `src/motorcade/metrics/table.py` by `make pages`; a test fails when this page is stale.

`GET /metrics` on the API, in Prometheus' text format, tells of all processes at once; it wants a
bearer token with scope `metrics` (`motorcade token --scopes metrics --ttl 31536000`). A scrape asks
gateway and supervisor over a socket in `DATA/run/`, each at most `health.answer_s_max`; one that
gives no answer has `motorcade_process_up` 0, and its other figures are absent. If the api itself is
down, the scrape fails: alert on that (`up == 0`). No label names a vehicle, an account or an
address.

`lane` is a directory of the log: `gateway-bulk`, `gateway-fast`, `api-fast`. Counters start at 0
with their process.
"""


def page() -> str:
    """The whole page."""
    return HEAD + "".join(_group(title, rows) for title, rows in GROUPS.items())


def _group(title: str, rows: Sequence[Metric]) -> str:
    lines = [
        f"\n## {title}\n\n",
        "| metric | type | unit | labels | meaning |\n",
        "|---|---|---|---|---|\n",
    ]
    lines += [
        f"| `{row.name}` | {row.kind.value} | {row.unit} | {', '.join(row.labels)} | {row.help} |\n"
        for row in rows
    ]
    return "".join(lines)
