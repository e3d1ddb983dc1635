"""OpenTelemetry's own instrumentation: wraps ``Completions.create``."""

from __future__ import annotations

from opentelemetry.instrumentation.openai_v2 import OpenAIInstrumentor
from spans import provider, records

__all__ = ["records", "start", "stop"]


def start() -> None:
    OpenAIInstrumentor().instrument(tracer_provider=provider())


def stop() -> None:
    OpenAIInstrumentor().uninstrument()
