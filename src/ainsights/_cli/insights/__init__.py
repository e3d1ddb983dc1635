"""The commands that ask an endpoint: list, show, tail, query, export, erase, verify; all through its HTTP API.

``options`` (arguments) → ``client`` (HTTP) → a module for each command → ``output`` (tables, progress).
"""

from __future__ import annotations

from ainsights._cli.insights import erase, export, query, show, tail, verify
from ainsights._cli.insights import list as list_

COMMANDS = (list_, show, tail, query, export, erase, verify)
