from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from support.doctor import Doctor
from support.models import Captured, capturing

from ainsights import _internal_errors, _logging

if TYPE_CHECKING:
    from collections.abc import Iterator

settings.register_profile("short", max_examples=20, deadline=None)
settings.register_profile("long", max_examples=300, deadline=None)  # .ci/run: pytest --hypothesis-profile=long
settings.load_profile("short")

os.environ["SSL_CERT_FILE"] = str(Path(__file__).with_name("support") / "authority.pem")
"""One authority, that signs nothing, in place of the system's: each client of openai reads all of them, in 20 ms."""
sys.dont_write_bytecode = False  # or each worker would compile all tests, and each process that they start all of ours
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it, and so would children


@pytest.fixture(autouse=True, scope="session")
def _hide_optional_packages() -> Iterator[None]:
    """Hide two packages from the programs that tests start: openai imports them, in a fifth of its time to start."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).with_name("support") / "absent"))
        yield


@pytest.fixture(autouse=True)
def _raise_internal_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Raise internal errors, which a user's program would not see."""
    monkeypatch.setattr(_internal_errors, "raising", True)
    _logging.reset_rate_limits()
    _internal_errors.failures.clear()


@pytest.fixture(autouse=True)
def _clear_settings_in_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in tuple(os.environ):
        if name.startswith(("AINSIGHTS_", "REQUESTY_")):
            monkeypatch.delenv(name)


@pytest.fixture
def captured() -> Iterator[Captured]:
    """Events of what openai does in the test."""
    with capturing() as events:
        yield events


@pytest.fixture
def doctor(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Doctor:
    return Doctor(capsys, monkeypatch)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest: those of the slow proofs, then those that start many processes."""
    long = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: (item.path not in long, "e2e" not in item.path.parts))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Run two tests on each processor: many wait, for a process to end or for a time to pass."""
    return 2 * (os.cpu_count() or 1)


def pytest_make_parametrize_id(val: object) -> str | None:
    """Name callables without their address: every worker of pytest-xdist must collect the same ids."""
    return getattr(val, "__name__", type(val).__name__) if callable(val) else None
