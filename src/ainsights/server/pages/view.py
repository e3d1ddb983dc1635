"""Rendering: one Jinja2 environment that escapes everything and refuses what is undefined."""

from __future__ import annotations

import hashlib
from datetime import datetime, timezone
from functools import cache
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from ainsights.server.pages import charts, units

STATIC = resources.files("ainsights.server.pages") / "static"

NAVIGATION = (
    ("/ui/", "Live"),
    ("/ui/explore", "Explore"),
    ("/ui/conversations", "Conversations"),
    ("/ui/users", "Users"),
    ("/ui/questions", "Questions"),
    ("/ui/templates", "Templates"),
    ("/ui/performance", "Performance"),
    ("/ui/errors", "Errors"),
    ("/ui/cost", "Cost"),
    ("/ui/data", "Data"),
)

RANGES = (
    ("1h", "Last hour"),
    ("24h", "Last 24 hours"),
    ("7d", "Last 7 days"),
    ("30d", "Last 30 days"),
    ("", "All time"),
)


@cache
def static_url(name: str) -> str:
    """Return the URL of a static file; it changes with the content, so that browsers may keep it for ever."""
    digest = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]
    return f"/ui/static/{digest}/{name}"


def when(seconds: float | None) -> Markup | str:
    """Return a time in UTC, which the script shows in the reader's zone."""
    if seconds is None:
        return units.UNKNOWN
    at = datetime.fromtimestamp(seconds, timezone.utc)
    return Markup('<time datetime="{}">{}</time>').format(
        at.isoformat(timespec="milliseconds"), at.strftime("%Y-%m-%d %H:%M:%S")
    )


@cache
def environment() -> Environment:
    """Return the environment that all pages share."""
    made = Environment(
        loader=PackageLoader("ainsights.server.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"show": units.show, "exact": units.exact, "when": when}
    made.globals |= {
        "static_url": static_url,
        "navigation": NAVIGATION,
        "ranges": RANGES,
        "sparkline": charts.sparkline,
    }
    return made


def render(template: str, **context: Any) -> str:
    """Return the page that ``template`` makes of ``context``."""
    return environment().get_template(template).render(context)
