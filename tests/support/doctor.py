"""Running ``ainsights doctor``, and reading what it found."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from ainsights._cli import main

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from support.endpoints import Handler

KEY = "rq-Doctor0Marker1Key2"
COMMAND = [sys.executable, "-m", "ainsights", "doctor"]


class ProgramResult(NamedTuple):
    status: int
    out: str

    @property
    def document(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.out)
        return document

    def found(self, check: str) -> list[dict[str, Any]]:
        """Return the findings of ``check``."""
        return [finding for finding in self.document["findings"] if finding["check"] == check]

    def levels(self, check: str) -> list[str]:
        return [finding["level"] for finding in self.found(check)]


class Doctor:
    """Runs the command in this process, with settings by the names that they have without our prefix."""

    def __init__(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self._capsys = capsys
        self._monkeypatch = monkeypatch
        for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
            monkeypatch.delenv(name.upper(), raising=False)

    def __call__(self, *args: str, **settings: str) -> ProgramResult:
        for name, value in settings.items():
            self._monkeypatch.setenv(f"AINSIGHTS_{name.upper()}", value)
        status = main(["doctor", *args])
        printed = self._capsys.readouterr()
        assert printed.err == ""
        assert KEY not in printed.out
        return ProgramResult(status, printed.out)


def environ(url: str) -> dict[str, str]:
    return os.environ | {"AINSIGHTS_BASE_URL": url, "AINSIGHTS_API_KEY": KEY}


def by_contract(key: str = KEY) -> Callable[[Handler], bool]:
    """Return the behaviour of an endpoint that takes ``key`` and refuses a body that is no insight."""

    def behave(handler: Handler) -> bool:
        if handler.headers["Authorization"] != f"Bearer {key}":
            return handler.answer(401, b"no such key")
        if handler.path != "/insight":
            return handler.answer(404, b"nothing here")
        return handler.answer(200 if handler.body else 400)

    return behave
