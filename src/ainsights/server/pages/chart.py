"""What a chart shows, and its measures. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ainsights.server.pages.units import Unit

WIDTH, HEIGHT = 560, 210
LEFT, RIGHT, TOP, BOTTOM = 64, 8, 10, 26
MAX_MARKS = 200
"""Marks of one series: more of them are finer than the screen."""


@dataclass(frozen=True, slots=True)
class Series:
    """One line, or one colour of bars: a value for each label, None where nothing is known."""

    name: str
    values: Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Chart:
    """What is to be drawn.

    Attributes:
        title: names the chart, also for screen readers.
        labels: one for each position on the x axis, as shown.
        series: at least one; each has as many values as there are labels.
        unit: of the values.
        links: where a click on a position leads; none if empty.
        keys: the values that the positions stand for, such as the start of a time bucket: for zooming.
        bucket: the time bucket, where the positions are times.
        end: where the last position ends.
        width: of the drawing, in units of about a pixel, as is ``height`` (horizontal bars have their own).
    """

    title: str
    labels: Sequence[str]
    series: Sequence[Series]
    unit: Unit = "count"
    links: Sequence[str] = ()
    keys: Sequence[str] = ()
    bucket: str = ""
    end: str = ""
    width: int = WIDTH
    height: int = HEIGHT

    def __post_init__(self) -> None:
        wrong = [each.name for each in self.series if len(each.values) != len(self.labels)]
        if wrong or len(self.labels) > MAX_MARKS:
            raise ValueError(f"series {wrong} of another length than the labels, or more than {MAX_MARKS} labels")

    @property
    def plot_width(self) -> int:
        """Width between the axes."""
        return self.width - LEFT - RIGHT

    @property
    def plot_height(self) -> int:
        """Height between the axes."""
        return self.height - TOP - BOTTOM

    @property
    def base(self) -> int:
        """Where the x axis is."""
        return self.height - BOTTOM

    @property
    def largest(self) -> float:
        """The largest value of any series."""
        return max((value for each in self.series for value in each.values if value is not None), default=0.0)

    @property
    def largest_sum(self) -> float:
        """The largest sum of the series at one position."""
        columns = zip(*(each.values for each in self.series), strict=True)
        return max((sum(value or 0.0 for value in column) for column in columns), default=0.0)
