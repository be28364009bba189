"""The files that history is exported as. Apart from `export.py`, which loads Arrow."""

from enum import StrEnum
from typing import Final


class Format(StrEnum):
    """What is written."""

    CSV = "csv"
    GPX = "gpx"
    PARQUET = "parquet"


MEDIA_TYPES: Final = {
    Format.CSV: "text/csv",
    Format.GPX: "application/gpx+xml",
    Format.PARQUET: "application/vnd.apache.parquet",
}
