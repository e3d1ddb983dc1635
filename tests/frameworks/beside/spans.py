"""What instrumentations made on OpenTelemetry record, kept in memory."""

from __future__ import annotations

from typing import Any

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

VARYING = ("time", "duration", "latency", "logfire.msg", "code.", "fingerprint")
"""What stands in the names of attributes that differ from one run to the next.

``code.`` is where the program was when a stream was collected; a fingerprint is made of an exception's traceback, in
which the frame of any wrapper stands, ours too.
"""

exporter = InMemorySpanExporter()
processor = SimpleSpanProcessor(exporter)


def provider() -> TracerProvider:
    made = TracerProvider()
    made.add_span_processor(processor)
    return made


def records() -> list[dict[str, Any]]:
    """Return what of each span is the same in every run."""
    return [
        {
            "name": span.name,
            "kind": span.kind.name,
            "status": span.status.status_code.name,
            "events": [event.name for event in span.events],
            "attributes": {
                name: value
                for name, value in sorted((span.attributes or {}).items())
                if not any(word in name for word in VARYING)
            },
        }
        for span in exporter.get_finished_spans()
    ]
