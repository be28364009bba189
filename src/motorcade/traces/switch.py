"""Whether this process traces: `traces.otlp_url` says so, and the library must be there."""

from typing import TYPE_CHECKING

from motorcade.config import TracesConfig

if TYPE_CHECKING:
    from motorcade.traces.export import SpanOut


class TracesError(Exception):
    """Traces are asked for and cannot be made; the text says what to do."""


def span_out(config: TracesConfig, process: str) -> "SpanOut | None":
    """The way out for spans; `None` when tracing is off, and then nothing is imported.

    Raises:
        TracesError: the extra is not installed.
    """
    if not config.otlp_url:
        return None
    try:
        from motorcade.traces.export import otlp
    except ImportError as error:
        reason = f"traces.otlp_url is set, but {error.name} is not installed"
        raise TracesError(f"{reason}: pip install 'motorcade[traces]'") from error
    return otlp(config.otlp_url, process)
