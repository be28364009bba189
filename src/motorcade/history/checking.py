"""One file of a history, judged: what is wrong with it. For copies that lie still."""

from collections.abc import Iterator
from typing import IO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from motorcade.history import index, manifest, runs
from motorcade.history.columns import ENDING, INDEX_ENDING, RUNS_ENDING
from motorcade.history.errors import HistoryDamagedError
from motorcade.history.files import summed_body
from motorcade.history.sums import BLOCK_BYTES, Sums, sums_of


def check_file(name: str, file: IO[bytes], beside: bytes | None = None) -> Iterator[str]:
    """What is wrong with the file of that name.

    `beside`: the index of a column file, which has its blocks' sums; where it is not there, or
    older than they are, every page is read.
    """
    if name.endswith(ENDING):
        sums = None if beside is None else _sums_in(beside)
        yield from _check_columns(file) if sums is None else _check_blocks(file, sums)
        return
    data = file.read()
    try:
        if name == manifest.NAME:
            manifest.unpack(data, name)
        elif name.endswith(INDEX_ENDING):
            index.unpack(data, name)
        elif name.endswith(RUNS_ENDING):
            runs.check(data, name)
        elif manifest.number_of(name) is not None:
            summed_body(data, name)
    except HistoryDamagedError as error:
        yield str(error)


def _sums_in(beside: bytes) -> Sums | None:
    """`None`: it has none, or is damaged itself, which is told of it alone."""
    try:
        return index.unpack(beside, "").sums
    except HistoryDamagedError:
        return None


def _check_blocks(file: IO[bytes], sums: Sums) -> Iterator[str]:
    found = sums_of(file)
    if len(found) != len(sums):
        yield f"it has {len(found)} blocks of {BLOCK_BYTES} bytes instead of {len(sums)}"
        return
    for number in np.flatnonzero(found != sums).tolist():
        yield f"the {BLOCK_BYTES} bytes from {number * BLOCK_BYTES} on are not as written"


def _check_columns(file: IO[bytes]) -> Iterator[str]:
    try:
        with pq.ParquetFile(file, page_checksum_verification=True) as columns:
            for group in range(columns.num_row_groups):
                columns.read_row_group(group, use_threads=False)
    except (pa.ArrowException, OSError) as error:
        yield f"Arrow cannot read it: {error}"
