"""The log's files: readable, whole, and of a time that can be."""

from collections.abc import Iterator
from typing import Final

from motorcade.clock import SystemClock
from motorcade.doctor.finding import Finding, Scene, fault
from motorcade.events import Topic
from motorcade.log.embedded import EmbeddedLog
from motorcade.log.errors import LogCorruptError, LogError
from motorcade.log.port import AtTime, Edge, Start
from motorcade.log.reader import EmbeddedReader

NEWEST_S: Final = 3_600  # segments that hold the last hour are read; --whole-log reads all
AHEAD_S: Final = 60  # a record received so far in our future: the clock was set back since
ALL_TOPICS: Final = frozenset(Topic)


def check_log(scene: Scene) -> Iterator[Finding]:
    """Every frame's checksum holds; no record was received in our future."""
    directory = scene.data / "log"
    if not directory.exists():
        return  # no server has run yet
    start: Start = Edge.EARLIEST
    if not scene.whole_log:
        start = AtTime(scene.now_us - NEWEST_S * 1_000_000)
    log = EmbeddedLog(directory, scene.config.log, SystemClock())
    try:
        yield from _read(scene, log.reader(ALL_TOPICS, start))
    except LogError as error:
        yield fault(f"the log cannot be read: {error}", _restore(scene))
    finally:
        log.close()


def _read(scene: Scene, reader: EmbeddedReader) -> Iterator[Finding]:
    newest_us = 0
    while True:
        try:
            slices = reader.poll(0.0)
        except LogCorruptError as error:
            yield fault(f"the log is damaged: {error}", _restore(scene))
            reader.skip_damage()
            continue
        if not slices:
            break
        for part in slices:
            newest_us = max(newest_us, int(part.batch.rows["received_time_us"].max()))
    ahead_s = (newest_us - scene.now_us) / 1e6
    if ahead_s > AHEAD_S:
        yield fault(
            f"the clock was set back: the log holds records that were received {ahead_s:.0f} s "
            "from now",
            "set the clock: timedatectl set-ntp true; until then ages and expiries are wrong",
        )


def _restore(scene: Scene) -> str:
    return (
        f"restore that file of {scene.data / 'log'} from a backup (motorcade restore --help); "
        "everything around the damage can still be read"
    )
