"""``ainsights run``: any command, whose Python processes are then captured, without a change to them."""

from __future__ import annotations

import argparse
import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Mapping

AUTOLOAD = Path(__file__).parents[1] / "_instrumentation" / "auto"
REPORTED_VARIABLE = "AINSIGHTS_RUN_REPORTED"
"""The variable by which the command's processes know what was reported already."""

PYTHON_OPTIONS = ("-m", "-c", "-u", "-W", "-X")
"""What people write without ``python`` before it."""

NOT_EXECUTABLE = 126
NOT_FOUND = 127
"""What a shell ends with when it cannot run a command."""

EXAMPLES = """\
examples:
  ainsights run python app.py
  ainsights run python -m package --its-own-option
  ainsights run gunicorn --workers 4 web:app
  ainsights run uvicorn --reload web:app
  ainsights run celery --app tasks worker
  ainsights run -- pytest -x

Settings come from the environment (AINSIGHTS_API_KEY, AINSIGHTS_BASE_URL, ...); `ainsights doctor` shows them.
The command keeps its terminal, its signals and its exit status. Whatever goes wrong with ainsights, the command
runs, and a line on stderr explains why nothing is captured.

Python reads its start-up hook from PYTHONPATH. So these are not captured: Python started with -E, -I or -S; a child
whose environment was emptied; a Python that has no ainsights installed. Such programs call ainsights.instrument().
Another tool that starts programs this way goes before: `opentelemetry-instrument ainsights run python app.py`.

exit status: the command's; 126 it cannot be executed; 127 it is not found; 2 wrong usage
"""


class _MissingPython(argparse.Action):
    """Ends with what to type where an option of Python's stands in the place of the command."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        _namespace: argparse.Namespace,
        values: Any,
        option: str | None = None,
    ) -> NoReturn:
        command = shlex.join(["python", str(option), *values])
        parser.error(f"choose a command. Did you mean: ainsights run {command}")


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command ``run`` to those of ``ainsights``."""
    parser = subparsers.add_parser(
        "run",
        help="run a command and capture the model calls of its Python processes",
        usage="ainsights run [-h] [--] COMMAND ...",
        description="Run COMMAND, and capture the model calls of every Python process in it, without a change "
        "to its code.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(*PYTHON_OPTIONS, nargs=argparse.REMAINDER, action=_MissingPython, help=argparse.SUPPRESS)
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="COMMAND", help="what to run, with its arguments")
    parser.set_defaults(run=run, misused=parser.error)


def run(args: argparse.Namespace) -> int:
    """Become the command; return an exit status only if that cannot be."""
    command = args.command[1:] if args.command[:1] == ["--"] else args.command
    if not any(command[:1]):
        args.misused("choose a command, for example: ainsights run python app.py")
    environ = instrumented(os.environ) | _report_settings()
    try:
        return _exec(list(command), environ)
    except (FileNotFoundError, NotADirectoryError):
        there = shutil.which(command[0])
        return _fail(command[0], "its interpreter is not found" if there else "command not found", NOT_FOUND)
    except OSError as error:
        return _fail(command[0], f"cannot be executed: {error.strerror}", NOT_EXECUTABLE)


def instrumented(environ: Mapping[str, str]) -> dict[str, str]:
    """Return ``environ`` with our start-up hook before all else that Python finds there."""
    theirs = environ.get("PYTHONPATH", "")
    entries = theirs.split(os.pathsep) if theirs else []  # in which an empty one is the current directory
    others = [entry for entry in entries if entry != str(AUTOLOAD)]
    return {**environ, "PYTHONPATH": os.pathsep.join([str(AUTOLOAD), *others])}


def _report_settings() -> dict[str, str]:
    """Report what is wrong with the settings, and return what keeps the command's processes from reporting it again."""
    try:
        from ainsights import _config  # noqa: PLC0415  it may fail to load, and the command runs all the same

        _config.load()
    except Exception as error:  # noqa: BLE001  the same
        line = "ainsights run: nothing is captured: " + " ".join(str(error).split())
        _report(line)
        return {REPORTED_VARIABLE: line}
    return {}


def _report(line: str) -> None:
    if sys.stderr is not None:  # it is where the command was started without one, and print would take stdout
        with contextlib.suppress(OSError):
            print(line, file=sys.stderr)


def _exec(command: list[str], environ: Mapping[str, str]) -> int:
    if os.name == "nt":  # where nobody would wait for the end of what we became
        return subprocess.call(command, env=environ)  # noqa: S603  it is the user's
    for name in ("SIGPIPE", "SIGXFSZ"):  # which Python ignores, and what is ignored stays so
        signal.signal(getattr(signal, name), signal.SIG_DFL)
    os.execvpe(command[0], command, environ)  # noqa: S606  the same
    return 0


def _fail(name: str, problem: str, status: int) -> int:
    hint = f". Did you mean: ainsights run python {name}" if name.endswith(".py") else ""
    _report(f"ainsights run: {name}: {problem}{hint}")
    return status
