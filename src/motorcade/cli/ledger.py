"""`motorcade ledger`: per vehicle what was sent, acked, stored and read, and the differences."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from motorcade.cli.data import DEFAULT_DATA, DataOption, require_data
from motorcade.cli.render import new_app, print_json, print_table

if TYPE_CHECKING:
    from motorcade.cli.ledger_counts import Account

app = new_app()

NOTES: Final = (
    "sent: at least; known where a vehicle numbers its records: all between the numbers that came.",
    "acked: at most; an ack leaves after its record is durable, whether it arrived only the vehicle"
    " knows.",
    "read: what every reader sees, the duplicates of resending removed.",
    "missing: numbers that never came, or that retention has removed. What was sent before the"
    " first and after the last number, or without one and lost, cannot be known here.",
)


@app.command(epilog="Example: motorcade ledger 5YJ3E1EA7KF000001 --json")
def ledger(
    vin: Annotated[str, typer.Argument(help="One vehicle; all without it.")] = "",
    data: DataOption = DEFAULT_DATA,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show per vehicle what was sent, acked, stored and read, and the differences.

    Exit status: 0 nothing is missing; 1 something is.
    """
    require_data(data)
    rows = accounts(data, vin)
    if as_json:
        print_json({"vehicles": rows, "notes": list(NOTES)})
    else:
        _show(rows, one=bool(vin))
    raise typer.Exit(1 if any(row["missing"] for row in rows) else 0)


def accounts(data: Path, vin: str = "") -> list[dict[str, Any]]:
    """A row per vehicle that is registered or has records; of one vehicle if `vin` is given."""
    from motorcade.cli.ledger_counts import OF_VEHICLES, Account, Accounts
    from motorcade.cli.log_reading import slices, vehicle_of, vehicles
    from motorcade.config import Config
    from motorcade.events import Topic
    from motorcade.log.topics import TOPICS
    from motorcade.streams.dedup import Dedup

    only = vehicle_of(data, vin) if vin else None
    counted = Accounts(Dedup(Config().dedup))
    lanes = {TOPICS[topic].lane for topic in OF_VEHICLES}
    for part in slices(data, frozenset(each for each in Topic if TOPICS[each].lane in lanes)):
        counted.add(part)
    if only is not None:
        return [_row(only.vin, only.token, counted.by_vehicle.get(only.token, Account()))]
    known = vehicles(data)
    rows = [
        _row(vehicle.vin, token, counted.by_vehicle.pop(vehicle.token, Account()))
        for token, vehicle in known.items()
    ]
    return rows + [_row("", token, left) for token, left in sorted(counted.by_vehicle.items())]


def _row(vin: str, token: str, account: "Account") -> dict[str, Any]:
    return {
        "vin": vin or None,  # None: removed, or added to another registry
        "token": token,
        "sent_min": account.sent_min,
        "acked_max": account.acked_max,
        "stored": account.stored,
        "read": account.read,
        "duplicates": account.duplicates,
        "missing": account.missing,
        "unnumbered": account.unnumbered,
        "first_received_time_us": account.first_us or None,
        "last_received_time_us": account.last_us or None,
        "streams": [
            {
                "stream": stream.name,
                "first": stream.first,
                "last": stream.last,
                "read": stream.read,
                "missing": stream.missing,
            }
            for stream in account.streams.values()
        ],
    }


def _show(rows: list[dict[str, Any]], *, one: bool) -> None:
    headings = ["vehicle", "sent ≥", "acked ≤", "stored", "duplicates", "read", "missing", "last"]
    columns = ["sent_min", "acked_max", "stored", "duplicates", "read", "missing"]
    print_table(
        headings,
        [
            [
                row["vin"] or row["token"],
                *(str(row[name]) for name in columns),
                _clock(row["last_received_time_us"]),
            ]
            for row in rows
        ],
    )
    if one:
        for stream in rows[0]["streams"]:
            print(
                f"stream {stream['stream']!r}: numbers {stream['first']} to {stream['last']}, "
                f"{stream['read']} came, {stream['missing']} missing"
            )
    print("\n" + "\n".join(NOTES))


def _clock(time_us: int | None) -> str:
    if time_us is None:
        return "never"
    return datetime.fromtimestamp(time_us / 1e6, UTC).strftime("%Y-%m-%d %H:%M:%S")
