from __future__ import annotations

import functools
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import openai
import pytest
import wrapt
from openai import _base_client
from openai.resources.chat.completions import Completions
from support.doctor import COMMAND, ProgramResult, environ
from support.endpoints import free_port

from ainsights._doctor import openai_hooks

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.doctor import Doctor


def test_versions_are_reported(doctor: Doctor) -> None:
    ran = doctor("--json", base_url=f"http://127.0.0.1:{free_port()}")
    details = ran.found("openai")[0]["details"]
    assert details["openai"] == openai.__version__
    assert details["http"].startswith("httpx2 " if int(openai.__version__.partition(".")[0]) >= 3 else "httpx ")
    assert ran.found("python")[0]["details"]["executable"] == sys.executable


def test_hooks_are_removed_again(doctor: Doctor) -> None:
    before = _base_client.SyncAPIClient.request
    assert len(doctor("--json", base_url=f"http://127.0.0.1:{free_port()}").found("hooks")[0]["details"]["took"]) == 5
    assert _base_client.SyncAPIClient.request is before


def test_hook_that_cannot_be_installed_is_a_problem(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(_base_client.AsyncAPIClient, "_process_response")
    (hooks,) = doctor("--json", base_url=f"http://127.0.0.1:{free_port()}").found("hooks")
    assert (hooks["level"], hooks["details"]["missing"]) == ("problem", ["AsyncAPIClient._process_response"])


def test_openai_that_is_not_installed_is_a_problem(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openai", None)
    ran = doctor("--json", base_url=f"http://127.0.0.1:{free_port()}")
    (found,) = ran.found("openai")
    assert found["level"] == "problem"
    assert "not installed" in found["message"]
    assert "pip install" in found["remedy"]
    assert ran.found("endpoint")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("raise RuntimeError('broken')", "cannot be imported: RuntimeError: broken"),
        ("", "stands before the OpenAI SDK, and is not it"),
        ("__version__ = '9.0.0'", "openai 9.0.0 has no openai._base_client"),
    ],
    ids=["broken", "a user's own", "of the future"],
)
def test_openai_that_cannot_be_used_is_a_problem(tmp_path: Path, source: str, message: str) -> None:
    (tmp_path / "openai.py").write_text(source)
    settings = environ(f"http://127.0.0.1:{free_port()}") | {"PYTHONPATH": str(tmp_path)}
    ran = subprocess.run([*COMMAND, "--json"], env=settings, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (1, "")
    (found,) = ProgramResult(ran.returncode, ran.stdout).found("openai")
    assert found["level"] == "problem"
    assert message in found["message"]


@pytest.mark.parametrize("name", ["ainsights.py", "openai/__init__.py"])
def test_file_of_the_users_that_hides_a_package_is_a_warning(
    tmp_path: Path, doctor: Doctor, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    (found,) = doctor("--json", base_url=f"http://127.0.0.1:{free_port()}").found("imports")
    hidden = name.removesuffix("/__init__.py")
    assert (found["level"], found["remedy"]) == ("warning", f"rename {hidden}")
    assert str(tmp_path / hidden) in found["message"]


def test_ainsights_own_files_are_not_reported_as_hiding_a_package(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Path(openai_hooks.__file__).parents[2])
    assert doctor("--json", base_url=f"http://127.0.0.1:{free_port()}").found("imports") == []


def test_openai_that_is_too_old_is_a_problem(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openai, "__version__", "1.55.2")
    (found,) = doctor("--json", base_url=f"http://127.0.0.1:{free_port()}").found("openai")
    assert (found["level"], found["remedy"]) == (
        "problem",
        "python -m pip install --upgrade 'openai>=1.55.3'",
    )


def theirs_plain(original: Any) -> Any:
    @functools.wraps(original)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return original(*args, **kwargs)

    return wrapper


def theirs_by_wrapt(original: Any) -> Any:
    def wrapper(wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
        return wrapped(*args, **kwargs)

    return wrapt.FunctionWrapper(original, wrapper)


def theirs_without_a_trace(original: Any) -> Any:
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return original(*args, **kwargs)

    return wrapper


def theirs_partial(original: Any) -> Any:
    return functools.partial(theirs_plain(original))


class Theirs:
    def __init__(self, original: Any) -> None:
        self.__wrapped__ = original

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.__wrapped__(*args, **kwargs)


WRAPPERS = [theirs_plain, theirs_by_wrapt, theirs_without_a_trace, theirs_partial, Theirs]


@pytest.mark.parametrize("wrap", WRAPPERS)
def test_wrapper_around_a_client_is_a_warning_that_names_its_module(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch, wrap: Callable[[Any], Any]
) -> None:
    monkeypatch.setattr(openai.OpenAI, "request", wrap(_base_client.SyncAPIClient.request), raising=False)
    ran = doctor("--json", base_url=f"http://127.0.0.1:{free_port()}")
    (others,) = ran.found("others")
    assert (others["level"], others["details"]) == ("warning", {"patched": {"OpenAI.request": [__name__]}})
    assert __name__ in others["message"]


@pytest.mark.parametrize("wrap", WRAPPERS)
def test_wrapper_around_a_resource_is_named_and_harmless(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch, wrap: Callable[[Any], Any]
) -> None:
    monkeypatch.setattr(Completions, "create", wrap(Completions.create))
    (others,) = doctor("--json", base_url=f"http://127.0.0.1:{free_port()}").found("others")
    assert (others["level"], others["details"]) == ("ok", {"patched": {"Completions.create": [__name__]}})
    assert __name__ in others["message"]


def test_wrapper_around_a_seam_leaves_our_hooks_working(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = theirs_plain(_base_client.SyncAPIClient.request)
    monkeypatch.setattr(_base_client.SyncAPIClient, "request", theirs)
    ran = doctor("--json", base_url=f"http://127.0.0.1:{free_port()}")
    assert ran.levels("hooks") == ["ok"]
    assert ran.found("others")[0]["details"] == {"patched": {"SyncAPIClient.request": [__name__]}}
    assert _base_client.SyncAPIClient.request is theirs


def test_all_of_several_wrappers_are_named() -> None:
    another: Any = json.dumps
    theirs = theirs_by_wrapt(wrapt.FunctionWrapper(Completions.create, another))
    assert openai_hooks.foreign_modules(theirs) == [__name__, "json"]
    assert openai_hooks.foreign_modules(Completions.create) == []
