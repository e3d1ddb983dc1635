"""A pytest plugin that runs somebody's tests with ainsights in the process: ``-p openai_plugin``.

Where to send is told by ``AINSIGHTS_BASE_URL``; what came of it is written as JSON to ``AINSIGHTS_SUITE_STATS``.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path

import ainsights

PATIENCE = 60.0
"""Seconds for what is still queued at the end of the tests."""

_REPORT = Path(os.environ.pop("AINSIGHTS_SUITE_STATS"))


def pytest_configure() -> None:
    """Instrument before the tests import openai, as ``ainsights run`` does."""
    ainsights.instrument(max_queue_events=1_000_000)


def pytest_unconfigure() -> None:
    """Deliver, tell, and take the patches away."""
    delivered = ainsights.flush(PATIENCE)
    stats = asdict(ainsights.stats())
    ainsights.shutdown()
    _REPORT.write_text(json.dumps(stats | {"flushed": delivered}))
