"""What the api process traces: commands and their requests, records that reach the state."""

from motorcade.clock import Clock
from motorcade.config import TracesConfig
from motorcade.log.port import Log
from motorcade.traces.commands import CommandTracer
from motorcade.traces.export import SpanOut
from motorcade.traces.records import StateTracer
from motorcade.traces.spans import Span, command_trace


class ApiTraces:
    """Owns the command tracer's thread and the way out."""

    def __init__(self, out: SpanOut, config: TracesConfig, log: Log, clock: Clock) -> None:
        self._out, self._clock = out, clock
        self._commands = CommandTracer(log, out.end)
        every = config.sample_every_records
        self.applied = StateTracer(every, clock, out.end) if every else None

    def start(self) -> None:
        self._commands.start()

    def stop(self) -> None:
        """Trace what is there, send it. Blocks."""
        self._commands.stop()
        self._out.close()

    def answered(self, command_id: str, begun_us: int, by: str = "http") -> None:
        """The request of a command is answered; `by`: "http" or "grpc"."""
        trace_id = command_trace(command_id)
        if trace_id is not None:
            self._out.end(Span(trace_id, by, begun_us, self._clock.now_us()))
