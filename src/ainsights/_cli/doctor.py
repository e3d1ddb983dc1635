"""``ainsights doctor``: the settings, what is wrong, and what to type."""

from __future__ import annotations

import argparse
import json
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ainsights._logging import sanitize

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ainsights._doctor import Diagnosis
    from ainsights._doctor.finding import Finding

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
        help="check settings, openai, endpoint and spool",
        description="Check the settings, the installed openai, our hooks in it, the endpoint and the spool, and print\n"
        "what is wrong and what to type. The API key is never shown. The endpoint gets an empty request,\n"
        "which it does not store: it shows whether the key is accepted.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--send", action="store_true", help="send one test insight, marked ainsights.test")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the findings as they are made; return the exit status: 0, or 1 if there is a problem."""
    from ainsights._doctor import Diagnosis  # noqa: PLC0415  start-up of the other commands stays light

    diagnosis = Diagnosis(os.environ, send=args.send)
    if args.json:
        with _progress() as on_check:
            list(diagnosis.run(on_check))
        print(json.dumps(diagnosis.as_json(), indent=2, default=str))
    else:
        _print_text(diagnosis)
    return FAILED if diagnosis.count("problem") else 0


def _print_text(diagnosis: Diagnosis) -> None:
    for line in _settings(diagnosis):
        print(line)
    print("\nFindings", flush=True)
    colour = _wants_colour()
    with _progress() as on_check:
        for finding in diagnosis.run(on_check):
            on_check("")
            print("\n".join(_lines(finding, colour=colour)), flush=True)
            on_check(finding.check)
    print(f"\n{_many(diagnosis.count('problem'), 'problem')}, {_many(diagnosis.count('warning'), 'warning')}.")


@contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    """Yield a function that shows which check runs, on a terminal, until the next one or the end."""
    if not sys.stderr.isatty():
        yield lambda _check: None
        return

    def show(check: str) -> None:
        text = f"checking {check} ..." if check else ""
        sys.stderr.write(f"\r\x1b[K{text}")
        sys.stderr.flush()

    try:
        yield show
    finally:
        show("")


def _settings(diagnosis: Diagnosis) -> Iterator[str]:
    shown = {name: "(wrong)" if row["wrong"] else _value(row["value"]) for name, row in diagnosis.settings.items()}
    wide = max(map(len, shown))
    long = min(max(map(len, shown.values())), 40)
    yield "Settings"
    for name, value in shown.items():
        yield f"  {name:{wide}}  {sanitize(value):{long}}  {diagnosis.settings[name]['from']}"


def _lines(finding: Finding, *, colour: bool) -> Iterator[str]:
    level = f"{finding.level:7}"
    level = f"\x1b[{COLOURS[finding.level]}m{level}\x1b[0m" if colour else level
    yield f"  {level}  {finding.check}: {sanitize(finding.message)}"
    if finding.remedy:
        yield f"           -> {sanitize(finding.remedy)}"


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
