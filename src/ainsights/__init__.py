"""ainsights captures every OpenAI chat completion of a process and delivers it to an LLM Insights endpoint."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from ainsights._version import __version__
from ainsights.errors import (
    ConfigurationError,
    DeliveryError,
    HeldError,
    InsightsError,
    RejectedError,
    RetryableError,
    TemplateError,
)

if TYPE_CHECKING:
    from ainsights._context import context
    from ainsights._insight import Insight
    from ainsights._insights import Insights
    from ainsights._runtime import capture, flush, instrument, shutdown, stats, uninstrument
    from ainsights._template import Template
    from ainsights._vendor import AInsights
    from ainsights.delivery.retry import Answer
    from ainsights.delivery.tally import Stats

__all__ = [
    "AInsights",
    "Answer",
    "ConfigurationError",
    "DeliveryError",
    "HeldError",
    "Insight",
    "Insights",
    "InsightsError",
    "RejectedError",
    "RetryableError",
    "Stats",
    "Template",
    "TemplateError",
    "__version__",
    "capture",
    "context",
    "flush",
    "instrument",
    "shutdown",
    "stats",
    "uninstrument",
]

_HOMES = {
    "AInsights": "ainsights._vendor",
    "Answer": "ainsights.delivery.retry",
    "Insight": "ainsights._insight",
    "Insights": "ainsights._insights",
    "Stats": "ainsights.delivery.tally",
    "Template": "ainsights._template",
    "capture": "ainsights._runtime",
    "context": "ainsights._context",
    "flush": "ainsights._runtime",
    "instrument": "ainsights._runtime",
    "shutdown": "ainsights._runtime",
    "stats": "ainsights._runtime",
    "uninstrument": "ainsights._runtime",
}


def __getattr__(name: str) -> object:
    """Load a public name when it is first used: importing ainsights costs next to nothing."""
    if name == "testing":
        return import_module("ainsights.testing")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
