"""Write the table of settings into configuration.md: python docs/settings_table.py."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from ainsights._config import PREFIX, Settings

PAGE = Path(__file__).with_name("configuration.md")
BEGIN, END = "<!-- settings: made by docs/settings_table.py -->", "<!-- end of settings -->"
IN_CODE_ONLY = {"before_send"}


def table() -> str:
    """Return the table, in Markdown."""
    lines = ["| variable | default | | takes |", "|---|---|---|---|"]
    for name, field in Settings.model_fields.items():
        extra: Any = field.json_schema_extra
        shown = f"`{name}=`, in code only" if name in IN_CODE_ONLY else f"`{PREFIX}{name.upper()}`"
        default = _shown(field.get_default(call_default_factory=True))
        lines.append(f"| {shown} | {default} | {field.description} | {extra['takes']} |")
    return "\n".join(lines)


def _shown(default: Any) -> str:
    if default is None or default in ((), {}) or isinstance(default, SecretStr):
        return ""
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


def page() -> str:
    """Return the page as it should be."""
    before, rest = PAGE.read_text().split(BEGIN)
    return f"{before}{BEGIN}\n\n{table()}\n\n{END}{rest.split(END)[1]}"


if __name__ == "__main__":
    PAGE.write_text(page())
    sys.exit(0)
