"""One row of the table, and the promises that it must keep."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Size:
    """How large a bench is: the issue's own figures, or small ones for each change."""

    seconds: float
    events: int
    kills: int
    requests: int
    burst: int
    failures: int
    """Requests that fail one after the other; each waits longer than the one before."""
    unlucky: int
    """Events, where every other request is refused: the one that is refused most often waits longest."""


FULL = Size(seconds=10, events=50_000, kills=50, requests=1_000, burst=2_000, failures=5, unlucky=40)
SMALL = Size(seconds=1, events=1_500, kills=2, requests=60, burst=300, failures=2, unlucky=6)


@dataclass
class Row:
    """What was seen in one scenario, and what of it was not as promised."""

    name: str
    made: int = 0
    delivered: int = 0
    duplicates: int = 0
    in_spool: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)
    slowest: float | None = None
    bare: float | None = None
    to_exit: float | None = None
    notes: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    def expect(self, what: str, *, holds: bool) -> None:
        """Record a promise that was not kept."""
        if not holds:
            self.broken.append(what)

    def expect_all_once(self) -> None:
        """Expect that each event was delivered, and none twice."""
        self.expect(f"all {self.made} are delivered", holds=self.delivered == self.made)
        self.expect("none is delivered twice", holds=self.duplicates == 0)
        self.expect("none is dropped", holds=not self.dropped)

    def expect_accounted(self) -> None:
        """Expect that each event is delivered, in the spool, or counted as dropped."""
        known = self.delivered + self.in_spool + sum(self.dropped.values())
        self.expect(f"{self.made} made are {known} accounted for", holds=self.made == known)
