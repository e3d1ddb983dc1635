"""More events than the endpoint takes (``make faults`` prints the same as a table)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from faultbench import floods
from support.fault_proofs import proofs

if TYPE_CHECKING:
    from collections.abc import Callable

    from faultbench.row import Row


@pytest.mark.parametrize("scenario", proofs(floods.rows))
@pytest.mark.timeout(400)
def test_fault_scenario_keeps_every_promise(scenario: Callable[[], Row]) -> None:
    row = scenario()
    assert row.made > 0
    assert row.broken == []
