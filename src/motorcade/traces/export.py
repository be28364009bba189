"""Spans to OpenTelemetry's exporter. The only module that imports the library (extra `traces`)."""

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import SpanContext, SpanKind, TraceFlags
from opentelemetry.trace.status import Status, StatusCode

import motorcade
from motorcade.traces.spans import Span


class SpanOut:
    """Gives ended spans to an exporter, in batches, from a thread of its own."""

    def __init__(self, exporter: SpanExporter, process: str) -> None:
        self._processor = BatchSpanProcessor(exporter)
        self._resource = Resource.create(
            {
                "service.namespace": "motorcade",
                "service.name": f"motorcade-{process}",
                "service.version": motorcade.__version__,
            }
        )

    def end(self, span: Span) -> None:
        """Take a span. From any thread; never blocks, drops when its queue is full."""
        error = Status(StatusCode.ERROR, span.error) if span.error else Status(StatusCode.OK)
        self._processor.on_end(
            ReadableSpan(
                name=span.name,
                context=_context(span.trace_id, span.span_id),
                parent=None if span.is_root else _context(span.trace_id, span.parent_id or 1),
                resource=self._resource,
                attributes=span.attributes,
                kind=SpanKind.INTERNAL,
                status=error,
                start_time=span.start_us * 1_000,
                end_time=max(span.end_us, span.start_us) * 1_000,
            )
        )

    def close(self) -> None:
        """Send what is left. Blocks."""
        self._processor.shutdown()  # type: ignore[no-untyped-call]


def otlp(endpoint: str, process: str) -> SpanOut:
    """To an OTLP receiver over HTTP, e.g. http://127.0.0.1:4318/v1/traces."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return SpanOut(OTLPSpanExporter(endpoint=endpoint), process)


def _context(trace_id: int, span_id: int) -> SpanContext:
    return SpanContext(trace_id, span_id, is_remote=False, trace_flags=TraceFlags(1))
