"""Logfire: replaces ``OpenAI.request``."""

from __future__ import annotations

from contextlib import ExitStack

import logfire
from spans import processor, records

__all__ = ["records", "start", "stop"]

_instrumented = ExitStack()


def start() -> None:
    logfire.configure(send_to_logfire=False, console=False, additional_span_processors=[processor], metrics=False)
    _instrumented.enter_context(logfire.instrument_openai())


def stop() -> None:
    _instrumented.close()
