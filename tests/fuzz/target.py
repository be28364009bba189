"""What a fuzz target is: bytes in, an exception out if a promise of the parser is broken."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """One parser."""

    name: str
    run: Callable[[bytes], None]  # raises for a finding; the codec's own errors are none
    seeds: Callable[[], list[bytes]]
    modules: tuple[str, ...]  # whose branches count
    bytes_max: int = 600  # longer inputs find nothing that shorter ones do not, but slowly
    mutations: int = 800  # that the short form tries: a second's worth
