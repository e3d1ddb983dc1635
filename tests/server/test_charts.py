from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ainsights.server.pages import axes, units
from ainsights.server.pages.chart import MAX_MARKS, Chart, Series
from ainsights.server.pages.charts import bars, columns, lines, sparkline
from ainsights.server.pages.units import show

DRAWINGS = [columns, lines, bars]
HOSTILE = '"><script>alert(1)</script>'
VALUES = st.none() | st.floats(allow_nan=False, allow_infinity=False, width=32)


def parsed(markup: object) -> ET.Element:
    return ET.fromstring(f"<root>{markup}</root>")


def rects(markup: object, kind: str) -> list[ET.Element]:
    return [each for each in parsed(markup).iter("rect") if kind in each.attrib["class"].split() and "y" in each.attrib]


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (None, "count", "–"),
        (float("nan"), "ms", "–"),
        (0, "count", "0"),
        (0.0, "USD", "$0.00"),
        (1234, "count", "1,234"),
        (1_234_567, "count", "1.23 M"),
        (12_345.6, "tokens", "12.3 k"),
        (0.004212, "USD", "$0.0042"),
        (1234.5, "USD", "$1,234.50"),
        (123.4, "ms", "123 ms"),
        (1234.0, "ms", "1.23 s"),
        (125_000.0, "ms", "2.08 min"),
        (7.2e6, "ms", "2 h"),
        (0.0234, "share", "2.34 %"),
        (1536, "bytes", "1.5 KiB"),
        (12.34, "tokens/s", "12.3 tok/s"),
        (-1500, "count", "-1,500"),
    ],
)
def test_value_is_shown_with_its_unit(value: float | None, unit: units.Unit, text: str) -> None:
    assert show(value, unit) == text


@pytest.mark.parametrize(
    ("largest", "unit", "ticks"),
    [
        (0, "count", (0, 1)),
        (3, "count", (0, 1, 2, 3)),
        (100, "count", (0, 25, 50, 75, 100)),
        (101, "count", (0, 50, 100, 150)),
        (0.02, "USD", (0, 0.005, 0.01, 0.015, 0.02)),
        (50_000, "ms", (0, 15_000, 30_000, 45_000, 60_000)),
        (float("inf"), "count", (0, 1)),
        (600 * 2**10, "bytes", (0, 200 * 2**10, 400 * 2**10, 600 * 2**10)),
        (3 * 2**30, "bytes", (0, 2**30, 2 * 2**30, 3 * 2**30)),
    ],
)
def test_axis_has_round_ticks(largest: float, unit: units.Unit, ticks: tuple[float, ...]) -> None:
    assert axes.scale(largest, unit).ticks == pytest.approx(ticks)


@given(st.floats(min_value=1e-12, max_value=1e15), st.sampled_from(["count", "ms", "USD", "share", "tokens", "bytes"]))
def test_axis_holds_the_largest_value_with_few_ticks(largest: float, unit: units.Unit) -> None:
    scale = axes.scale(largest, unit)
    assert scale.top >= largest * (1 - 1e-9)
    assert 2 <= len(scale.ticks) <= 7


@pytest.mark.parametrize("draw", DRAWINGS)
def test_text_of_others_cannot_become_markup(draw: object) -> None:
    chart = Chart(HOSTILE, [HOSTILE], [Series(HOSTILE, [1.0]), Series("b", [2.0])], links=[HOSTILE], keys=[HOSTILE])
    root = parsed(draw(chart))  # type: ignore[operator]
    assert not list(root.iter("script"))
    assert {name for each in root.iter() for name in each.attrib if name.startswith("on") or name == "style"} == set()


@given(st.lists(st.tuples(VALUES, VALUES), max_size=20), st.sampled_from(DRAWINGS))
def test_any_numbers_give_well_formed_markup(rows: list[tuple[float | None, float | None]], draw: object) -> None:
    labels = [str(number) for number in range(len(rows))]
    chart = Chart("t", labels, [Series("a", [a for a, _ in rows]), Series("b", [b for _, b in rows])])
    text = str(draw(chart))  # type: ignore[operator]
    parsed(text)
    assert "nan" not in text
    assert "inf" not in text


def test_stacked_columns_stand_on_each_other() -> None:
    chart = Chart("t", ["x"], [Series("a", [30.0]), Series("b", [70.0])])
    lower, upper = rects(columns(chart), "area")
    assert float(lower.attrib["y"]) + float(lower.attrib["height"]) == pytest.approx(Chart("", [], []).base)
    assert float(upper.attrib["y"]) + float(upper.attrib["height"]) == pytest.approx(float(lower.attrib["y"]), abs=0.1)
    assert float(upper.attrib["height"]) / float(lower.attrib["height"]) == pytest.approx(7 / 3, abs=0.01)


def test_line_has_a_gap_where_values_are_unknown() -> None:
    chart = Chart("t", list("abcde"), [Series("a", [1.0, 2.0, None, 3.0, 4.0])])
    (path,) = parsed(lines(chart)).iter("path")
    assert path.attrib["d"].count("M") == 2


def test_value_between_unknown_ones_is_a_dot() -> None:
    chart = Chart("t", list("abc"), [Series("a", [None, 2.0, None])])
    assert len(list(parsed(lines(chart)).iter("circle"))) == 1


def test_unknown_is_shown_as_unknown_and_zero_as_zero() -> None:
    chart = Chart("t", ["a", "b"], [Series("USD", [None, 0.0])], "USD")
    shown = [each.text for each in parsed(bars(chart)).iter("text") if each.attrib["class"] == "value"]
    assert shown == ["–", "$0.00"]


@pytest.mark.parametrize("draw", DRAWINGS)
def test_numbers_are_in_a_table_too(draw: object) -> None:
    root = parsed(draw(Chart("t", ["a", "b"], [Series("s", [1.0, None])])))  # type: ignore[operator]
    assert [[cell.text for cell in row if cell.tag == "td"] for row in root.iter("tr")][1:] == [["1"], ["–"]]


def test_more_marks_than_can_be_seen_are_refused() -> None:
    with pytest.raises(ValueError, match="more than 200"):
        Chart("t", ["x"] * (MAX_MARKS + 1), [Series("a", [1.0] * (MAX_MARKS + 1))])


def test_sparkline_of_nothing_is_empty() -> None:
    (path,) = parsed(sparkline([], "none")).iter("path")
    assert path.attrib["d"] == ""
