"""OpenLLMetry: wraps ``Completions.create`` and ``parse``."""

from __future__ import annotations

from opentelemetry.instrumentation.openai import OpenAIInstrumentor
from spans import provider, records

__all__ = ["records", "start", "stop"]


def start() -> None:
    OpenAIInstrumentor().instrument(tracer_provider=provider())


def stop() -> None:
    OpenAIInstrumentor().uninstrument()
