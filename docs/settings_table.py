"""Write the table of settings into configuration.md: python docs/settings_table.py."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from ainsights._config import SETTINGS

PAGE = Path(__file__).with_name("configuration.md")
BEGIN, END = "<!-- settings: made by docs/settings_table.py -->", "<!-- end of settings -->"


def table() -> str:
    """Return the table, in Markdown."""
    lines = ["| variable | default | | takes |", "|---|---|---|---|"]
    for setting in SETTINGS.values():
        name = f"`{setting.name}=`, in code only" if setting.in_code_only else f"`{setting.variables[0]}`"
        lines.append(f"| {name} | {_shown(setting.default)} | {setting.description} | {setting.takes} |")
    return "\n".join(lines)


def _shown(default: Any) -> str:
    if default is None or default in ((), {}) or isinstance(default, SecretStr):
        return ""
    if isinstance(default, tuple):
        return f"`{','.join(default)}`"
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


def page() -> str:
    """Return the page as it should be."""
    before, rest = PAGE.read_text().split(BEGIN)
    return f"{before}{BEGIN}\n\n{table()}\n\n{END}{rest.split(END)[1]}"


if __name__ == "__main__":
    PAGE.write_text(page())
    sys.exit(0)
