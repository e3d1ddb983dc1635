"""Rendering: one Jinja2 environment that escapes everything and refuses what is undefined."""

from __future__ import annotations

from datetime import datetime, timezone
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from ainsights.server.pages import charts, static, units
from ainsights.server.pages.highlight import mark, visible

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


def when(seconds: float | None, *, short: bool = False) -> Markup | str:
    """Return a time in UTC, which the script shows in the reader's zone; ``short``: without the year."""
    if seconds is None:
        return units.UNKNOWN
    try:
        at = datetime.fromtimestamp(seconds, timezone.utc)
    except (ValueError, OverflowError, OSError):
        return units.UNKNOWN
    shown = at.strftime("%m-%d %H:%M:%S" if short else "%Y-%m-%d %H:%M:%S")
    form = '<time datetime="{}" data-short>{}</time>' if short else '<time datetime="{}">{}</time>'
    return Markup(form).format(at.isoformat(timespec="milliseconds"), shown)  # noqa: S704  one of two literals


def _visible(value: Any) -> Any:
    """Return captured text without control characters, which HTML cannot carry."""
    return visible(value) if type(value) is str else value


@cache
def environment() -> Environment:
    """Return the environment that all pages share."""
    made = Environment(
        loader=PackageLoader("ainsights.server.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_visible,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"show": units.show, "exact": units.exact, "when": when, "mark": mark}
    made.globals |= {
        "static_url": static.url,
        "navigation": NAVIGATION,
        "ranges": RANGES,
        "sparkline": charts.sparkline,
    }
    return made


def render(template: str, /, **context: Any) -> str:
    """Return the page that ``template`` makes of ``context``."""
    return environment().get_template(template).render(context)
