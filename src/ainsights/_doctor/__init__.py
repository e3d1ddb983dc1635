"""The checks of ``ainsights doctor``: their findings, as values. It prints nothing."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ainsights._doctor import endpoint, openai_hooks, settings, spool
from ainsights._doctor.finding import Finding, described, problem
from ainsights._logging import logger
from ainsights._version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

SHORTEST_SECRET = 4
"""Characters. What is shorter is in every text by chance, and no key."""


class Diagnosis:
    """All checks of an environment. They run while their findings are iterated, whatever fails on the way.

    No key is in a result, not even in what an endpoint answered.

    Args:
        environ: the variables to read.
        send: whether to send a test insight.
    """

    def __init__(self, environ: Mapping[str, str], *, send: bool) -> None:
        self._environ = environ
        self._send = send
        self._secrets = [key for key in settings.keys(environ) if len(key) >= SHORTEST_SECRET]
        with _quiet():
            self._read = settings.read(environ)
        self.settings: dict[str, dict[str, Any]] = without(self._read.rows(), self._secrets)
        """Each setting's ``value``, the variable or "default" it is ``from``, and whether it is ``wrong``."""
        self.findings: list[Finding] = []
        """Those so far."""

    def run(self, on_check: Callable[[str], None] = lambda _check: None) -> Iterator[Finding]:
        """Run the checks, yield each finding as it is made, and keep it.

        Args:
            on_check: called with the name of each group of checks before it runs.
        """
        read = self._read
        checks: dict[str, Callable[[], Iterable[Finding]]] = {
            "settings": lambda: settings.check(read, self._environ),
            "openai": openai_hooks.check,
            "endpoint": lambda: endpoint.check(read.settings, read.wrong, send=self._send),
            "spool": lambda: spool.check(read.settings, time.time()),
        }
        for name, check in checks.items():
            on_check(name)
            for finding in _contained(name, check):
                hidden = (without(part, self._secrets) for part in (finding.message, finding.remedy, finding.details))
                self.findings.append(Finding(finding.check, finding.level, *hidden))
                yield self.findings[-1]

    def count(self, level: str) -> int:
        """Return how many findings so far are of ``level``."""
        return sum(finding.level == level for finding in self.findings)

    def as_json(self) -> dict[str, Any]:
        """Return the findings so far as a JSON object."""
        return {
            "ainsights": __version__,
            "ok": not self.count("problem"),
            "problems": self.count("problem"),
            "warnings": self.count("warning"),
            "settings": self.settings,
            "findings": [
                {name: getattr(finding, name) for name in ("check", "level", "message", "remedy", "details")}
                for finding in self.findings
            ],
        }


def _contained(name: str, check: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    try:
        with _quiet():
            yield from check()
    except Exception as error:  # noqa: BLE001  what we did not think of is a finding too
        yield problem(name, f"the check failed: {described(error)}", "please report this line")


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep our log out of the findings: it would repeat them."""
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before


def without(value: Any, secrets: list[str]) -> Any:
    """Return ``value``, of JSON's types, without any of ``secrets`` in it."""
    if isinstance(value, str):
        for secret in secrets:
            value = value.replace(secret, "[api_key]")
        return value
    if isinstance(value, dict):
        return {name: without(item, secrets) for name, item in value.items()}
    return [without(item, secrets) for item in value] if isinstance(value, list) else value
