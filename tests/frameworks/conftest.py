"""These tests need a framework each, in an environment of its own: they run only where they are named.

``nox -s frameworks`` names them. A framework that can't be imported there fails them; it does not skip them.
"""

from __future__ import annotations

import ast

import pytest
from launching import HERE

collect_ignore_glob = ["test_*.py"]  # holds for whoever does not name the file


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--framework", help="what of tests/frameworks to run: the name of a session of noxfile.py")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make a test of each form of call that the framework's program makes: the keywords of its ``run``."""
    if "form" not in metafunc.fixturenames:
        return
    program = "above/use_{}.py" if metafunc.module.__name__ == "test_above" else "beside/program.py"
    source = (HERE / program.format(metafunc.config.getoption("--framework"))).read_text(encoding="utf-8")
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    forms = [
        name.arg for call in calls if isinstance(call.func, ast.Name) and call.func.id == "run" for name in call.keywords
    ]
    metafunc.parametrize("form", forms)


@pytest.fixture(scope="session")
def framework(pytestconfig: pytest.Config) -> str:
    name: str | None = pytestconfig.getoption("--framework")
    if name is None:
        raise pytest.UsageError("tests/frameworks needs --framework")
    return name
