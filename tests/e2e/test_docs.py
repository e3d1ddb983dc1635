"""Every block of code in the README and in docs/ runs, and prints what is written there."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.programs import settings

import ainsights
from ainsights._cli import COMMANDS
from ainsights._config import Settings

if TYPE_CHECKING:
    from support.endpoints import Endpoint

    from ainsights.mock_openai import Server

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NEEDS_NO_RUN = {"text"}
TRIED_ELSEWHERE = (  # commands that install, or run for long: the tests of these run them
    *("python -m venv", "pip install", "make ", "nox ", ".venv/bin/"),
    *("ainsights serve", "ainsights demo", "ainsights run gunicorn", "ainsights run python app.py"),
    *(f"ainsights {command}" for command in ("list", "show", "tail", "query", "export", "erase", "verify", "import")),
)


def blocks(page: Path) -> list[tuple[str, str]]:
    return BLOCK.findall(page.read_text())


@pytest.fixture
def environ(model_api: Server, endpoint: Endpoint, tmp_path: Path) -> dict[str, str]:
    return {
        **os.environ,
        **settings(endpoint.url),
        "OPENAI_BASE_URL": model_api.base_url,
        "OPENAI_API_KEY": "sk-docs",
        "AINSIGHTS_SPOOL_DIR": str(tmp_path / "spool"),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }


RUN_EACH_BLOCK = """
import json, sys
for number, block in enumerate(json.load(sys.stdin), 1):
    exec(compile(block, f"block {number}", "exec"), {"__name__": "__main__"})
"""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_python_runs(page: Path, environ: dict[str, str], endpoint: Endpoint, tmp_path: Path) -> None:
    """Each block runs as it stands, in a namespace of its own. No block closes its client, nor do users' programs."""
    code = [text.replace("http://localhost:8383", endpoint.url) for kind, text in blocks(page) if kind == "python"]
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-W", "ignore:unclosed:ResourceWarning", "-c", RUN_EACH_BLOCK],
        input=json.dumps(code),
        cwd=tmp_path,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (ran.returncode, ran.stderr) == (0, "")


def commands(page: Path) -> list[str]:
    lines = [line for kind, text in blocks(page) if kind == "console" for line in text.splitlines()]
    return [line.removeprefix("$ ").split("  #")[0].strip() for line in lines if line.startswith("$ ")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_run(page: Path, environ: dict[str, str], endpoint: Endpoint, tmp_path: Path) -> None:
    settings_of_the_test = environ.keys() & {"AINSIGHTS_API_KEY", "AINSIGHTS_BASE_URL", "AINSIGHTS_SPOOL_DIR"}
    for command in commands(page):
        if command.startswith(TRIED_ELSEWHERE):
            continue
        if command.startswith("export "):
            name = command.removeprefix("export ").partition("=")[0]
            assert name in settings_of_the_test
            continue
        ran = subprocess.run(
            command, shell=True, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False
        )
        expected = {0, 1} if command.startswith("ainsights spool") else {0}  # 1: there is no spool yet
        assert ran.returncode in expected, ran.stderr
        assert "Traceback" not in ran.stderr
    assert {body["meta"].get("ainsights.test") for body in endpoint.stored} <= {True}


def test_every_block_names_its_language() -> None:
    kinds = {kind for page in PAGES for kind, _ in blocks(page)}
    assert kinds == {"python", "console"} | NEEDS_NO_RUN


def test_every_link_leads_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_table_of_settings_is_what_the_settings_are() -> None:
    spec = importlib.util.spec_from_file_location("settings_table", ROOT / "docs" / "settings_table.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.PAGE.read_text() == module.page(), "run: python docs/settings_table.py"


def test_every_setting_and_command_of_the_readme_is_one() -> None:
    readme = (ROOT / "README.md").read_text()
    named = set(re.findall(r"AINSIGHTS_([A-Z_]+)", readme))
    assert named <= {name.upper() for name in Settings.model_fields}
    names = {module.__name__.rpartition(".")[2] for module in COMMANDS} - {"copy"} | {"import"}
    assert set(re.findall(rf"ainsights ({'|'.join(names)})\b", readme)) == names


def test_every_public_name_is_in_the_api_reference() -> None:
    pages = "\n".join(page.read_text() for page in (ROOT / "docs" / "reference").glob("*.md"))
    documented = set(re.findall(r"^::: ainsights\.(\w+)$", pages, re.MULTILINE))
    errors = {name for name in ainsights.__all__ if name.endswith("Error")}
    assert set(ainsights.__all__) - {"__version__"} - errors <= documented
    assert "errors" in documented
