"""``ainsights doctor``: what is set, what is wrong with it, and what to type."""

from __future__ import annotations

import argparse
import json
import os
import sys
from typing import TYPE_CHECKING, Any

from ainsights._logging import sanitize

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ainsights._doctor import Diagnosis

FAILED = 1
COLOURS = {"ok": "32", "warning": "33", "problem": "31"}

EXAMPLES = """\
examples:
  ainsights doctor
  ainsights doctor --send                      also send a test insight, marked as one, and show the answer
  ainsights doctor --json
  opentelemetry-instrument ainsights doctor    see what another launcher patches

What a program gives to instrument() in its code comes on top of the environment, and is not seen here.

exit status: 0 no problem, warnings or not; 1 a problem; 2 wrong usage
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command ``doctor`` to those of ``ainsights``."""
    parser = subparsers.add_parser(
        "doctor",
        help="look at settings, openai, endpoint and spool, and say what is wrong",
        description="Look at the settings, the installed openai, our hooks in it, the endpoint and the spool;\n"
        "say of each what is wrong, and what to type. The API key is never shown.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--send", action="store_true", help="send one test insight, marked ainsights.test")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the diagnosis; return the exit status: 0, or 1 if there is a problem."""
    from ainsights._doctor import diagnose  # noqa: PLC0415  start-up of the other commands stays light

    diagnosis = diagnose(os.environ, send=args.send)
    if args.json:
        print(json.dumps(diagnosis.as_json(), indent=2, default=str))
    else:
        for line in _lines(diagnosis, colour=_wants_colour()):
            print(line)
    return FAILED if diagnosis.count("problem") else 0


def _lines(diagnosis: Diagnosis, *, colour: bool) -> Iterator[str]:
    shown = {name: "(wrong)" if row["wrong"] else _value(row["value"]) for name, row in diagnosis.settings.items()}
    wide = max(map(len, shown))
    long = min(max(map(len, shown.values())), 40)
    yield "Settings"
    for name, value in shown.items():
        yield f"  {name:{wide}}  {_printable(value):{long}}  {diagnosis.settings[name]['from']}"
    yield ""
    yield "Findings"
    for finding in diagnosis.findings:
        level = f"{finding.level:7}"
        level = f"\x1b[{COLOURS[finding.level]}m{level}\x1b[0m" if colour else level
        yield f"  {level}  {finding.check}: {_printable(finding.says)}"
        if finding.remedy:
            yield f"           -> {_printable(finding.remedy)}"
    yield ""
    yield f"{_many(diagnosis.count('problem'), 'problem')}, {_many(diagnosis.count('warning'), 'warning')}."


def _value(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    if value is None or value == {}:
        return "none"
    return json.dumps(value, ensure_ascii=False)


def _many(count: int, what: str) -> str:
    return f"{count or 'no'} {what}{'' if count == 1 else 's'}"


def _wants_colour() -> bool:
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _printable(text: str) -> str:
    """Return ``text``, which may be an endpoint's, without what a terminal would obey or could not show."""
    encoding = sys.stdout.encoding or "utf-8"
    return sanitize(text).encode(encoding, "backslashreplace").decode(encoding)
