"""What is installed here, whether our hooks take in it, and who else has wrapped the same functions."""

from __future__ import annotations

import functools
import importlib
import platform
import re
import sys
from contextlib import suppress
from pathlib import Path
from types import MethodType
from typing import TYPE_CHECKING, Any

import wrapt

from ainsights._doctor.finding import Finding, described, ok, problem, warning
from ainsights._instrumentation.patch import HOOKS, MODULE, lost_hooks
from ainsights._version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

OLDEST = (1, 55, 3)
"""Of openai, as the distribution asks for it."""

CLIENTS = ("OpenAI", "AsyncOpenAI", "AzureOpenAI", "AsyncAzureOpenAI")
RESOURCES = {
    "openai.resources.chat.completions": ("Completions", "AsyncCompletions"),
    "openai.resources.responses": ("Responses", "AsyncResponses"),
}
"""What others wrap above the clients, by its module; openai before 1.66 has no responses."""

METHODS = ("create", "parse", "stream")

NOT_STRANGERS = {"ainsights", "openai", "functools", "typing", "typing_extensions", "warnings"}

PROXY = getattr(wrapt, "BaseObjectProxy", wrapt.ObjectProxy)
"""What all of wrapt's wrappers are; before wrapt 2 ``ObjectProxy`` was."""

_INSTALL = "python -m pip install --upgrade 'openai>=" + ".".join(map(str, OLDEST)) + "'"


def check() -> Iterator[Finding]:
    """Yield the findings about Python, openai, our hooks and those of others."""
    python = platform.python_version()
    yield ok(
        "python",
        f"ainsights {__version__} in Python {python} ({sys.executable})",
        ainsights=__version__,
        python=python,
        executable=sys.executable,
    )
    yield from _hidden_packages()
    try:
        openai = importlib.import_module("openai")
        base = importlib.import_module(MODULE)
    except Exception as error:  # noqa: BLE001  it is the user's installation, and may fail in any way
        yield _not_imported(error)
        return
    yield _installed(openai)
    yield _hooks(base)
    yield from _others(openai, base)


def _hidden_packages() -> Iterator[Finding]:
    """Yield the files of the current directory that a program there imports instead of a package."""
    for name in ("ainsights", "openai"):
        used = getattr(sys.modules.get(name), "__file__", None)
        for path in (Path(f"{name}.py"), Path(name, "__init__.py")):
            if path.is_file() and not (used and path.samefile(used)):
                mine = path if path.name != "__init__.py" else path.parent
                message = f"{mine.absolute()} hides the package {name} from programs in this directory"
                yield warning("imports", message, f"rename {mine}", hidden=name, path=str(mine.absolute()))


def _not_imported(error: Exception) -> Finding:
    openai = sys.modules.get("openai")
    version = getattr(openai, "__version__", None)
    if isinstance(error, ModuleNotFoundError) and error.name == "openai":
        return problem("openai", f"openai is not installed in {sys.executable}", _INSTALL, openai=None)
    if isinstance(error, ModuleNotFoundError) and error.name == MODULE:
        if version is None:
            where = getattr(openai, "__file__", None)
            message = f"{where} stands before the OpenAI SDK, and is not it"
            return problem("openai", message, f"rename {where}", openai=None)
        message = f"openai {version} has no {MODULE}: nothing can be captured"
        return problem("openai", message, "python -m pip install --upgrade ainsights", openai=version)
    message = f"openai cannot be imported: {described(error)}"
    return problem("openai", message, _INSTALL, openai=version)


def _installed(openai: ModuleType) -> Finding:
    version = str(getattr(openai, "__version__", "of an unknown version"))
    http = _http_library(openai)
    message = f"{version} over {http}"
    numbers = re.match(r"(\d+)\.(\d+)\.(\d+)", version)
    if numbers and tuple(map(int, numbers.groups())) < OLDEST:
        return problem("openai", f"{message} is too old", _INSTALL, openai=version, http=http)
    return ok("openai", message, openai=version, http=http)


def _http_library(openai: ModuleType) -> str:
    """Return the name and version of what openai sends with: where its clients' base class comes from."""
    for ancestor in getattr(getattr(openai, "DefaultHttpxClient", object), "__mro__", ()):
        name = ancestor.__module__.partition(".")[0]
        if name not in {"openai", "builtins"}:
            return f"{name} {getattr(sys.modules.get(name), '__version__', '')}".rstrip()
    return "an unknown HTTP library"


# Our hooks


def _hooks(base: ModuleType) -> Finding:
    trials = [hook.copy() for hook in HOOKS]
    try:
        took = [str(trial) for trial in trials if trial.install(base) and trial.is_outermost(base)]
    finally:
        for trial in reversed(trials):
            trial.remove(base)
    missing = [str(trial) for trial in trials if str(trial) not in took]
    if missing:
        message = f"{', '.join(missing)} cannot be hooked: calls are captured in part or not at all"
        return problem("hooks", message, "python -m pip install --upgrade ainsights", took=took, missing=missing)
    lost = lost_hooks()
    if lost:
        message = f"another library has removed our hook from {', '.join(lost)}: calls are captured in part"
        return problem(
            "hooks", message, "call ainsights.instrument() again, after the other library", took=took, lost=lost
        )
    return ok("hooks", f"all {len(took)} hooks installed", took=took, missing=missing)


# Those of others


def _others(openai: ModuleType, base: ModuleType) -> Iterator[Finding]:
    around_calls = {str(hook): (getattr(base, hook.owner, None), hook.name) for hook in HOOKS}
    around_calls |= {f"{name}.request": (getattr(openai, name, None), "request") for name in CLIENTS}
    above = {f"{owner.__name__}.{name}": (owner, name) for owner in _resources() for name in METHODS}
    reach, harmless = _foreign_modules(around_calls), _foreign_modules(above)
    if reach:
        remedy = "nothing if all calls arrive; else switch the other off, to see whether it keeps them from us"
        yield warning("others", _listed(reach), remedy, patched=reach | harmless)
    elif harmless:
        yield ok("others", f"{_listed(harmless)}: above our hooks, both work", patched=harmless)
    else:
        yield ok("others", "no other library has patched openai in this process", patched={})


def _resources() -> Iterator[type[Any]]:
    for module, names in RESOURCES.items():
        with suppress(ImportError):
            found = importlib.import_module(module)
            yield from (getattr(found, name) for name in names if hasattr(found, name))


def _listed(foreign_modules: dict[str, list[str]]) -> str:
    return "; ".join(f"{name} is also patched by {', '.join(modules)}" for name, modules in foreign_modules.items())


def _foreign_modules(targets: dict[str, tuple[Any, str]]) -> dict[str, list[str]]:
    """Return who wraps each target, by its name; a class of which only the base is wrapped is not named again."""
    found = {name: foreign_modules(vars(owner).get(method)) for name, (owner, method) in targets.items() if owner}
    return {name: modules for name, modules in found.items() if modules}


def foreign_modules(function: Any) -> list[str]:
    """Return the modules, neither openai's nor ours, of the wrappers around ``function``, the outermost first."""
    modules: list[str] = []
    seen: set[int] = set()
    while function is not None and id(function) not in seen:
        seen.add(id(function))
        module = _written_in(function)
        if module.partition(".")[0] not in NOT_STRANGERS and module not in modules:
            modules.append(module)
        function = getattr(function, "__wrapped__", None)
    return modules


def _written_in(function: Any) -> str:
    """Return the module of the code that runs; ``__module__`` may be that of what it wraps."""
    if isinstance(function, PROXY):  # it goes by the class of what it wraps, so it has to be the first
        wrapper = getattr(function, "_self_wrapper", None)
        return _written_in(wrapper) if wrapper is not None else type(function).__module__
    if isinstance(function, functools.partial):
        return _written_in(function.func)
    if isinstance(function, MethodType):
        return _written_in(function.__func__)
    module = getattr(function, "__globals__", {}).get("__name__")
    return str(module or type(function).__module__)
