"""Times as pages show them. No clock."""

import numpy as np


def date_of(time_us: int) -> str:
    """`2026-11-26 10:05 UTC`, from µs since 1970."""
    minute = np.datetime64(time_us, "us").astype("datetime64[m]")
    return f"{minute} UTC".replace("T", " ", 1)
