"""What the API may ask about the platform's health: a port, filled by the composition root."""

from typing import NamedTuple, Protocol

from msgspec import Struct


class Health(NamedTuple):
    """Whether something holds, and for each thing that was looked at, why not; "" is well."""

    ok: bool
    checks: dict[str, str]


class ReaderShown(Struct, kw_only=True):
    """Who reads the log, and how far behind it is."""

    reader: str
    lag_s: float | None  # null: it does not answer
    looked_s: float | None = None  # since it last looked into the log
    waiting_records: int | None = None  # read and not yet written
    records_lost_min: int | None = None  # each time some were lost to it counts as one


class LedgerShown(Struct, kw_only=True):
    """Records since the gateway started (taken, acked, stored) and since the readers did."""

    taken: int  # by the doors
    acked: int
    stored: int  # durable, on every lane: what processes say themselves among it
    read: int  # by live state
    duplicates: int  # of these, sent twice
    malformed: int  # of these, such as nobody could decode
    refused: int  # connections, packets and records, told so to their sender
    failed_commits: int  # nothing of them was acknowledged
    lost_min: int  # acknowledged and not there for a reader: `System.lost`


class LaneShown(Struct, kw_only=True):
    """A lane of the log: how long acks wait for it, and its disk."""

    lane: str
    ack_ms_p50: float | None  # null: nothing was acknowledged lately, or it is no gateway's
    ack_ms_p99: float | None
    commit_ms_p50: float | None
    commit_ms_p99: float | None
    writable: bool | None
    size_bytes: int
    retention_bytes: int


class DoorShown(Struct, kw_only=True):
    """Where vehicles come in."""

    door: str
    open: int
    opened: int  # since the gateway started


class CertificateShown(Struct, kw_only=True):
    """One of our own certificates."""

    name: str
    ends_us: int


class ProcessShown(Struct, kw_only=True):
    """One process."""

    process: str
    up: bool
    restarts: int | None  # null: the supervisor itself, or it does not answer
    uptime_s: float | None
    cpu_percent: float | None  # of a core, since the last look
    memory_bytes: int | None
    open_files: int | None
    open_files_max: int | None


class CheckShown(Struct, kw_only=True):
    """Something that must be true for the platform to serve, and is not."""

    check: str
    reason: str


class System(Struct, kw_only=True):
    """The platform at one instant: single figures, then groups of them."""

    at_us: int
    lost: int  # acknowledged records that a reader could not have, at least: damage, retention
    lag_s: float | None  # of the reader that is furthest behind; null: one does not answer
    ack_ms_p50: float | None  # of the doors' records in the last minutes; null: there were none
    ack_ms_p99: float | None
    records_per_s: float  # taken in, since the last look
    vehicles: int  # with a state
    commands_open: int
    disk_free_bytes: int
    failing: list[CheckShown]
    lag: list[ReaderShown]
    ledger: LedgerShown
    lanes: list[LaneShown]
    connections: list[DoorShown]
    processes: list[ProcessShown]
    certificates: list[CertificateShown]


class Inside(Protocol):
    """Looks at every process anew whenever it is asked, but for `system`."""

    async def live(self) -> Health:
        """Whether this process works: if not, it should be started again."""

    async def ready(self) -> Health:
        """Whether the platform takes records and commands, and answers from fresh state."""

    async def metrics(self) -> bytes:
        """The figures of all processes in Prometheus' text format."""

    async def system(self) -> System:
        """The same for people, at most `dashboard.system_s` old."""
