"""What ``ainsights run`` puts first on PYTHONPATH: Python runs it as it starts, in the command and in its children.

It stands alone in its directory, so that nothing of ours comes before the program's own packages. Any Python 3 may run
it, also one without ainsights. It costs a process that never imports openai next to nothing: ainsights is loaded when
openai is, and not when a program only looks whether there is one.
"""  # noqa: INP001  a directory on a path, no package

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # typing would be one more module to load
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec

REPORTED_VARIABLE = "AINSIGHTS_RUN_REPORTED"
"""The variable by which children know what was reported already."""


class Watch:
    """A finder that sees openai being loaded: the first of its parts is looked for."""

    started = False

    def find_spec(self, name: str, _path: Sequence[str] | None = None, _target: object = None) -> ModuleSpec | None:
        """Instrument before the first part of openai is loaded; report it if that fails."""
        if self.started or not name.startswith("openai."):
            return None
        self.started = True
        start()
        from importlib.util import find_spec  # noqa: PLC0415  only now is it needed

        return find_spec(name)  # again: a finder of ours may have come before this one, too late for this search


def start() -> None:
    """Instrument; if that fails, report why."""
    try:
        hiding = hiding_file()
        if hiding:
            report(f"{hiding} hides the package ainsights; rename it, to insights_client.py for example")
            return
        from ainsights import _api  # noqa: PLC0415  only now is it needed

        _api.instrument_unless_done()
    except ImportError as error:
        missing = "ainsights is not installed" if error.name == "ainsights" else str(error)
        report(f"{missing} for {sys.executable}. Run: {sys.executable} -m pip install ainsights")
    except Exception as error:  # noqa: BLE001  whatever it is, the program runs on
        report(str(error))


def hiding_file() -> str | None:
    """Return the program's own module or package that has the name of ours, if it has one; without running it."""
    from importlib.util import find_spec  # noqa: PLC0415  the same

    spec = find_spec("ainsights")
    if spec is None or any(os.path.exists(f"{place}/_api.py") for place in spec.submodule_search_locations or ()):  # noqa: PTH110  the same
        return None
    return spec.origin


def report(why: str) -> None:
    """Report, in one line and once in a family of processes, why nothing is captured."""
    line = "ainsights run: nothing is captured: " + " ".join(why.split())
    try:
        if os.environ.get(REPORTED_VARIABLE) != line:
            os.environ[REPORTED_VARIABLE] = line
            sys.stderr.write(line + "\n")
    except Exception:  # noqa: BLE001, S110  stderr is closed, or another object
        pass


def chain() -> None:
    """Run the ``sitecustomize`` that Python would have found without ours."""
    here = os.path.dirname(__file__)  # noqa: PTH120  pathlib would be one more module to load
    sys.path[:] = [entry for entry in sys.path if entry != here]
    ours = sys.modules.pop(__name__)
    try:
        import sitecustomize  # type: ignore[import-not-found]  # noqa: F401, PLC0415  it is another one, now
    except ImportError as error:
        if error.name != __name__:
            raise
        sys.modules[__name__] = ours


if __name__ == "sitecustomize":
    sys.meta_path.insert(0, Watch())
    chain()
