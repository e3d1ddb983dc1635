"""These tests need a framework each, in an environment of its own: ``nox -s frameworks`` makes them and names it.

A framework that can't be imported there fails them; it does not skip them.
"""

from __future__ import annotations

import ast

import pytest
from launching import HERE


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--framework", help="what of tests/frameworks to run: the name of a session of noxfile.py")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make a test of each form of call that the framework's program makes: the keywords of its ``run``."""
    name = _framework(metafunc.config)
    if "form" not in metafunc.fixturenames:
        return
    program = "above/use_{}.py" if metafunc.module.__name__ == "test_above" else "beside/program.py"
    tree = ast.parse((HERE / program.format(name)).read_text(encoding="utf-8"))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    runs = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "run"]
    metafunc.parametrize("form", [keyword.arg for run in runs for keyword in run.keywords])


@pytest.fixture(scope="session")
def framework(pytestconfig: pytest.Config) -> str:
    return _framework(pytestconfig)


def _framework(config: pytest.Config) -> str:
    name: str | None = config.getoption("--framework")
    if name is None:
        raise pytest.UsageError("tests/frameworks needs --framework: see noxfile.py")
    return name
