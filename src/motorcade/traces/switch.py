"""Whether this process traces: its setting says so, and the library must be there."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from motorcade.traces.export import SpanOut


class TracesError(Exception):
    """Traces are asked for and cannot be made; the text says what to do."""


def span_out(otlp_url: str, process: str, setting: str = "traces.otlp_url") -> "SpanOut | None":
    """The way out for spans; `None` when tracing is off, and then nothing is imported.

    `setting` is where the address comes from, for the error's text.

    Raises:
        TracesError: the extra is not installed.
    """
    if not otlp_url:
        return None
    try:
        from motorcade.traces.export import otlp
    except ImportError as error:
        reason = f"{setting} is set, but {error.name} is not installed"
        raise TracesError(f"{reason}: pip install 'motorcade[traces]'") from error
    return otlp(otlp_url, process)
