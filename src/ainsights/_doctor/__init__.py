"""The diagnosis of ``ainsights doctor``: what was found, as values. It prints nothing."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ainsights._doctor import endpoint, openai_hooks, settings, spool
from ainsights._doctor.finding import Finding, described, problem
from ainsights._logging import logger
from ainsights._version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

SHORTEST_SECRET = 4
"""Characters. What is shorter is in every text by chance, and no key."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What was found."""

    settings: dict[str, dict[str, Any]]
    """Each setting's ``value``, the variable or "default" it is ``from``, and whether it is ``wrong``."""
    findings: list[Finding]

    def count(self, level: str) -> int:
        """Return how many findings are of ``level``."""
        return sum(finding.level == level for finding in self.findings)

    def as_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return {
            "ainsights": __version__,
            "ok": not self.count("problem"),
            "problems": self.count("problem"),
            "warnings": self.count("warning"),
            "settings": self.settings,
            "findings": [
                {name: getattr(finding, name) for name in ("check", "level", "says", "remedy", "facts")}
                for finding in self.findings
            ],
        }


def diagnose(environ: Mapping[str, str], *, send: bool) -> Diagnosis:
    """Look at everything, whatever fails on the way. No key is in the result, not even in what others said.

    Args:
        environ: the variables to read.
        send: whether to send a test insight.
    """
    with _silence():
        read = settings.read(environ)
        findings = [
            *_looked("settings", settings.check(read, environ)),
            *_looked("openai", openai_hooks.look()),
            *_looked("endpoint", endpoint.look(read.settings, read.wrong, send=send)),
            *_looked("spool", spool.look(read.settings, time.time())),
        ]
    secrets = [key for key in settings.keys(environ) if len(key) >= SHORTEST_SECRET]
    hidden = [
        Finding(each.check, each.level, *(without(part, secrets) for part in (each.says, each.remedy, each.facts)))
        for each in findings
    ]
    return Diagnosis(without(read.rows(), secrets), hidden)


def _looked(check: str, looking: Iterable[Finding]) -> Iterator[Finding]:
    try:
        yield from looking
    except Exception as error:  # noqa: BLE001  what we did not think of is a finding too
        yield problem(check, f"could not be looked at: {described(error)}", "please report this line")


@contextmanager
def _silence() -> Iterator[None]:
    """Keep our log out of the findings: it would say the same a second time."""
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
