"""One query language for the HTTP API, the pages' URLs and the command line.

``fields`` (what can be named) → ``model`` (the typed query) → ``parser``, ``filters`` and ``printer`` (text and URL
parameters, both ways; ``values``, ``syntax``) → ``engine`` (what answers queries) → ``dialects`` (query -> SQL).
"""

from __future__ import annotations

from ainsights.server.query.fields import FIELDS, Field, Kind, QueryError, get_field
from ainsights.server.query.filters import parse_filter
from ainsights.server.query.model import (
    GROUPS,
    MEASURES,
    Ago,
    Condition,
    Filter,
    Group,
    Measure,
    Order,
    Query,
    Text,
)
from ainsights.server.query.parser import parse_params, parse_query
from ainsights.server.query.printer import print_filter, print_query, to_params

__all__ = [
    "FIELDS",
    "GROUPS",
    "MEASURES",
    "Ago",
    "Condition",
    "Field",
    "Filter",
    "Group",
    "Kind",
    "Measure",
    "Order",
    "Query",
    "QueryError",
    "Text",
    "get_field",
    "parse_filter",
    "parse_params",
    "parse_query",
    "print_filter",
    "print_query",
    "to_params",
]
