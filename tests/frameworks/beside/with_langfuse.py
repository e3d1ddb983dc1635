"""Langfuse: wraps ``Completions.create`` when its drop-in is imported, and has no way to undo it."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from langfuse import Langfuse, get_client
from openai.resources.chat.completions import AsyncCompletions, Completions
from opentelemetry.sdk.trace import TracerProvider
from spans import exporter
from spans import records as exported

__all__ = ["records", "start", "stop"]

DROP_IN = "langfuse.openai"


def start() -> None:
    Langfuse(
        public_key="pk-test",
        secret_key="sk-test",
        base_url="http://127.0.0.1:9",
        tracer_provider=TracerProvider(),
        span_exporter=exporter,
    )
    import_module(DROP_IN)


def stop() -> None:
    for owner in (Completions, AsyncCompletions):
        for name in ("create", "parse"):
            wrapped = getattr(vars(owner)[name], "__wrapped__", None)
            if wrapped is not None:
                setattr(owner, name, wrapped)


def records() -> list[dict[str, Any]]:
    get_client().flush()
    return exported()
