"""Logfire: replaces ``OpenAI.request``, and ``request`` of one client."""

from __future__ import annotations

from contextlib import ExitStack

import logfire
import openai
from forms import older
from spans import processor, records

__all__ = ["records", "start", "stop"]

_instrumented = ExitStack()


def start() -> None:
    logfire.configure(send_to_logfire=False, console=False, additional_span_processors=[processor], metrics=False)
    _instrumented.enter_context(logfire.instrument_openai([older, openai.OpenAI, openai.AsyncOpenAI]))


def stop() -> None:
    _instrumented.close()
