"""A pytest plugin that runs somebody's tests with ainsights in the process: ``-p openai_plugin``.

``AINSIGHTS_BASE_URL`` is where to send; the result is written as JSON to ``AINSIGHTS_SUITE_STATS``.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path

import ainsights

PATIENCE = 60.0
"""Seconds for what is still queued at the end of the tests."""

_insights: ainsights.Insights
_REPORT = Path(os.environ.pop("AINSIGHTS_SUITE_STATS"))


def pytest_configure() -> None:
    """Instrument before the tests import openai, as ``ainsights run`` does."""
    global _insights  # noqa: PLW0603  pytest calls functions of a module
    _insights = ainsights.instrument(
        max_queue_events=1_000_000, max_queue_bytes="2GB", capture="chat,responses,completions"
    )


def pytest_unconfigure() -> None:
    """Deliver, write the result, and remove the patches."""
    delivered = ainsights.shutdown(PATIENCE)  # which reports responses that are not at their end, too
    _REPORT.write_text(json.dumps(asdict(_insights.stats()) | {"flushed": delivered}))
