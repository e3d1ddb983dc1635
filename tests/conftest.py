from __future__ import annotations

import pytest

from ainsights import _contain


@pytest.fixture(autouse=True)
def _our_failures_are_loud(monkeypatch: pytest.MonkeyPatch) -> None:
    """What would be kept from the user's program is raised in the tests."""
    monkeypatch.setattr(_contain, "raising", True)
    _contain.forget_said()
    _contain.failures.clear()


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in tuple(__import__("os").environ):
        if name.startswith(("AINSIGHTS_", "REQUESTY_")):
            monkeypatch.delenv(name)
