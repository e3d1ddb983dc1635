"""Every example runs as it describes, against the mock model API, and leaves the insights that it promises."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.endpoints import Endpoint, free_port
from support.mock_responses import needs_background
from support.programs import settings
from support.servers import BIN, PATIENCE, get, running

if TYPE_CHECKING:
    from ainsights.mock_openai import Server

FOLDERS = ("data_folder_in", "data_folder_out", "processed_folder", "control_folder")
EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def environ(model_api: Server, endpoint: Endpoint) -> dict[str, str]:
    return {"OPENAI_BASE_URL": model_api.base_url, "OPENAI_API_KEY": "sk-example", **settings(endpoint.url)}


def run(environ: dict[str, str], *command: str) -> str:
    ran = subprocess.run(
        command, cwd=EXAMPLES, env=os.environ | environ, capture_output=True, text=True, check=False, timeout=60
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    return ran.stdout


def script(name: str, environ: dict[str, str], **more: str) -> str:
    return run(environ | more, sys.executable, name)


def meta(body: dict[str, Any], key: str) -> Any:
    return body["meta"].get(f"ainsights.{key}")


def test_quickstart(endpoint: Endpoint, environ: dict[str, str]) -> None:
    script("quickstart.py", environ, QUICKSTART_TOOLS_MODEL="mock:tools", QUICKSTART_BAD_MODEL="mock:status=404")
    assert [meta(body, "status") for body in endpoint.stored].count("ok") == 4
    assert len(endpoint.stored) == 5


def test_streaming(endpoint: Endpoint, environ: dict[str, str]) -> None:
    script("streaming.py", environ)
    assert sorted(meta(body, "status") for body in endpoint.stored) == ["closed_early", "ok"]


@needs_background
def test_responses(endpoint: Endpoint, environ: dict[str, str]) -> None:
    assert script("responses.py", environ).splitlines()[-1] == "completed"
    first, second, streamed, background = sorted(endpoint.stored, key=lambda body: str(meta(body, "timestamp")))
    assert first["template"] == "Tell {name} a short joke."
    assert meta(second, "previous_response_id") == first["response"]["id"]
    assert (meta(streamed, "stream"), meta(background, "status")) == (True, "ok")
    assert {meta(body, "api") for body in endpoint.stored} == {"responses"}


def test_asynchronous(endpoint: Endpoint, environ: dict[str, str]) -> None:
    script("asynchronous.py", environ)
    assert sorted(body["user_id"] for body in endpoint.stored) == ["ann", "bob", "eve"]
    assert {body["meta"]["feature"] for body in endpoint.stored} == {"greeting"}


def test_tools(endpoint: Endpoint, environ: dict[str, str]) -> None:
    script("tools.py", environ, EXAMPLE_MODEL="mock:tools")
    assert sorted(body["response"]["choices"][0]["finish_reason"] for body in endpoint.stored) == ["stop", "tool_calls"]


def test_structured_output(endpoint: Endpoint, environ: dict[str, str]) -> None:
    assert "participants" in script("structured_output.py", environ, EXAMPLE_MODEL="mock:json")
    (body,) = endpoint.stored
    assert body["args"]["response_format"]["type"] == "json_schema"


def test_templates_and_users(endpoint: Endpoint, environ: dict[str, str]) -> None:
    script("templates_and_users.py", environ)
    (body,) = endpoint.stored
    assert body["inputs"]["audience"] == "children"
    assert body["template"][0]["content"] == "You summarise for {audience}."
    assert (body["user_id"], body["meta"]["feature"], body["meta"]["service"]) == ("ann", "summary", "examples")


def test_drop_in(endpoint: Endpoint, environ: dict[str, str]) -> None:
    assert len(script("drop_in.py", environ).splitlines()) == 2
    assert len(endpoint.stored) == 1


def test_privacy(endpoint: Endpoint, environ: dict[str, str]) -> None:
    assert len(script("privacy.py", environ).splitlines()) == 4
    everything = json.dumps(endpoint.stored)
    assert len(endpoint.stored) == 2
    for secret in ("ann@example.com", "192.0.2.7", "off the record", "diagnosis", "business", "db-17"):
        assert secret not in everything


def test_serverless_handler(endpoint: Endpoint, environ: dict[str, str]) -> None:
    assert "'statusCode': 200" in script("serverless_handler.py", environ)
    assert [body["user_id"] for body in endpoint.stored] == ["ann"]


def test_notebook(endpoint: Endpoint, environ: dict[str, str], tmp_path: Path) -> None:
    notebook = json.loads((EXAMPLES / "notebook.ipynb").read_text())
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    (tmp_path / "cells.py").write_text("\n".join(cells))
    assert "2 captured" in run(environ, sys.executable, str(tmp_path / "cells.py")) or len(endpoint.stored) == 2
    assert [body["user_id"] for body in endpoint.stored] == [None, "ann"]


def test_fastapi_app(endpoint: Endpoint, environ: dict[str, str], tmp_path: Path) -> None:
    port = free_port()
    command = [str(BIN / "uvicorn"), "fastapi_app:app", "--app-dir", str(EXAMPLES), "--port", str(port)]
    with running(*command, cwd=tmp_path, **environ):
        assert "answer" in get(f"http://127.0.0.1:{port}/ask?question=hi")
    assert [body["meta"]["route"] for body in endpoint.stored] == ["/ask"]


def test_gunicorn_app(endpoint: Endpoint, environ: dict[str, str], tmp_path: Path) -> None:
    port = free_port()
    options = ["--preload", "--workers", "2", "--chdir", str(EXAMPLES), "--bind", f"127.0.0.1:{port}"]
    with running(str(BIN / "gunicorn"), *options, "gunicorn_app:app", cwd=tmp_path, **environ):
        for number in range(4):
            assert get(f"http://127.0.0.1:{port}/?question={number}")
    assert sorted(body["messages"][0]["content"] for body in endpoint.stored) == ["0", "1", "2", "3"]


def test_celery_tasks(endpoint: Endpoint, environ: dict[str, str], tmp_path: Path) -> None:
    folders = {name: str(tmp_path) for name in FOLDERS}
    configuration = tmp_path / "places.py"
    configuration.write_text(f"broker_url = 'filesystem://'\nbroker_transport_options = {folders!r}\n")
    environ |= {"BROKER_URL": "filesystem://", "PYTHONPATH": f"{EXAMPLES}{os.pathsep}{tmp_path}"}
    celery = [str(BIN / "celery"), "--app", "celery_tasks", "--config", "places"]
    with running(*celery, "worker", "--concurrency", "2", cwd=tmp_path, **environ):
        send = "import celery_tasks as it; it.app.config_from_object('places'); it.summarise.delay('It was.', 'ann')"
        run(environ, sys.executable, "-c", send)
        assert endpoint.wait_for(lambda: len(endpoint.stored) == 1, PATIENCE)
    assert [body["user_id"] for body in endpoint.stored] == ["ann"]


@pytest.mark.parametrize(
    ("name", "needs"),
    [("agents_sdk", "agents"), ("langchain_chat", "langchain_openai"), ("litellm_completion", "litellm")],
)
def test_framework(endpoint: Endpoint, environ: dict[str, str], name: str, needs: str) -> None:
    if importlib.util.find_spec(needs) is None:
        pytest.skip(f"{needs} has an environment of its own: nox -s frameworks")
    script(f"{name}.py", environ)
    assert [body["user_id"] for body in endpoint.stored] == ["ann"]


def test_every_example_has_a_test() -> None:
    tested = {name.removeprefix("test_") for name in globals() if name.startswith("test_")}
    frameworks = {"agents_sdk", "langchain_chat", "litellm_completion"}
    assert {path.stem for path in EXAMPLES.iterdir() if path.is_file()} - frameworks <= tested
