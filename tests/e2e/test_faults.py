"""The fault bench, at its small size: what it expects holds. ``make faults`` runs it at its full one."""

from __future__ import annotations

import pytest
from faultbench.__main__ import scenarios
from faultbench.row import SMALL

SCENARIOS = dict(scenarios(SMALL, 0.0))


@pytest.mark.parametrize("name", SCENARIOS)
def test_promise_holds(name: str) -> None:
    row = SCENARIOS[name]()
    assert row.made > 0
    assert row.broken == []
