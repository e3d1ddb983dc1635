"""ainsights captures every OpenAI chat completion and response of a process and delivers it to an Insights endpoint."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from ainsights._version import __version__
from ainsights.errors import (
    AInsightsError,
    AInsightsValueError,
    ConfigurationError,
    DeliveryError,
    HeldError,
    InsightsError,
    RejectedError,
    RetryableError,
    TemplateError,
)

if TYPE_CHECKING:
    from ainsights._api import capture, flush, instrument, shutdown, stats, uninstrument
    from ainsights._client import Insights
    from ainsights._context.context import context
    from ainsights._context.template import Template
    from ainsights._delivery.retry import Answer
    from ainsights._delivery.stats import Stats
    from ainsights._model import Insight
    from ainsights._requesty import AInsights

__all__ = [
    "AInsights",
    "AInsightsError",
    "AInsightsValueError",
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
    "AInsights": "ainsights._requesty",
    "Answer": "ainsights._delivery.retry",
    "Insight": "ainsights._model",
    "Insights": "ainsights._client",
    "Stats": "ainsights._delivery.stats",
    "Template": "ainsights._context.template",
    "capture": "ainsights._api",
    "context": "ainsights._context.context",
    "flush": "ainsights._api",
    "instrument": "ainsights._api",
    "shutdown": "ainsights._api",
    "stats": "ainsights._api",
    "uninstrument": "ainsights._api",
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
