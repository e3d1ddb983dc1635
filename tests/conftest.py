from __future__ import annotations

import signal

import pytest

from ainsights import _contain

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it, and so would children


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
