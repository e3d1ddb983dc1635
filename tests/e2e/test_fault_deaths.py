"""Processes that are killed, reloaded and restarted (``make faults`` prints the same as a table)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from faultbench import deaths
from support.fault_proofs import proofs

if TYPE_CHECKING:
    from collections.abc import Callable

    from faultbench.row import Row


@pytest.mark.parametrize("scenario", proofs(deaths.rows))
@pytest.mark.timeout(400)
def test_fault_scenario_keeps_every_promise(scenario: Callable[[], Row]) -> None:
    row = scenario()
    assert row.made > 0
    assert row.broken == []
