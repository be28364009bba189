"""One file of a history, judged on its own: what is wrong with it. For copies that lie still."""

from collections.abc import Iterator
from typing import IO

import pyarrow as pa
import pyarrow.parquet as pq

from motorcade.history import index, manifest, runs
from motorcade.history.columns import ENDING, INDEX_ENDING, RUNS_ENDING
from motorcade.history.errors import HistoryDamagedError
from motorcade.history.files import summed_body


def check_file(name: str, file: IO[bytes]) -> Iterator[str]:
    """What is wrong with the file of that name; every page of a column file is read."""
    if name.endswith(ENDING):
        yield from _check_columns(file)
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


def _check_columns(file: IO[bytes]) -> Iterator[str]:
    try:
        with pq.ParquetFile(file, page_checksum_verification=True) as columns:
            for group in range(columns.num_row_groups):
                columns.read_row_group(group, use_threads=False)
    except (pa.ArrowException, OSError) as error:
        yield f"Arrow cannot read it: {error}"
