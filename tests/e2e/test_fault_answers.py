"""An endpoint that answers wrongly, late or not at all (``make faults`` prints the same as a table)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from faultbench import answers
from support.fault_proofs import proofs

if TYPE_CHECKING:
    from collections.abc import Callable

    from faultbench.row import Row


UNSIZED = frozenset({"429", "slow-loris", "hang", "tls", "dns"})
"""Take as long at any size."""


@pytest.mark.parametrize("scenario", proofs(answers.rows, UNSIZED))
@pytest.mark.timeout(400)
def test_fault_scenario_keeps_every_promise(scenario: Callable[[], Row]) -> None:
    row = scenario()
    assert row.made > 0
    assert row.broken == []
