"""A chart of a page as an SVG file of its own, with the colours that the style sheet gives it on the page. Pure."""

from __future__ import annotations

import re

COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#8f7a00", "#6b6f76")
_SVG = re.compile(r'<svg class="chart .*?</svg>', re.DOTALL)
_LINK = re.compile(r"</?a\b[^>]*>")


def stand_alone(figure: str) -> str:
    """Return the drawing in ``figure`` as a file: without links, with a style sheet."""
    found = _SVG.search(figure)
    drawing = _LINK.sub("", found[0]) if found else "<svg></svg>"
    return drawing.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1).replace(">", f">{_style()}", 1)


def _style() -> str:
    colours = "".join(
        f".c{number}{{fill:{colour}}}.line.c{number}{{fill:none;stroke:{colour}}}"
        for number, colour in enumerate(COLOURS)
    )
    return (
        "<style>text{font:12px sans-serif;fill:#5b6473}.grid{stroke:#e1e4ea}.hit{fill:none}"
        f".line{{stroke-width:2}}{colours}</style>"
    )
