"""Servers and task queues that fork, reload and patch: all that their processes captured is delivered, once."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

import pytest
from support import servers
from support.endpoints import Endpoint, free_port, running_endpoint
from support.programs import MODEL, run, settings
from support.servers import BIN, PATIENCE, get, running

if TYPE_CHECKING:
    from pathlib import Path


WEB = (
    """
import ainsights, os, threading
if os.environ.get("WHERE") == "parent":
    ainsights.instrument()
    call()  # so that there are threads, a connection and events before the fork
before = ainsights.instrument
"""
    + servers.WEB
)
TASKS = """
import ainsights, os, celery
if os.environ.get("WHERE") == "parent":
    ainsights.instrument()
    call()
places = os.environ["PLACES"]
folders = {"data_folder_in": places, "data_folder_out": places, "processed_folder": places}
app = celery.Celery("tasks", broker="filesystem://", broker_transport_options=folders)

@app.task
def work():
    ainsights.instrument()
    call(user=str(os.getpid()))
"""


def check(endpoint: Endpoint, workers: list[str], parent: int) -> None:
    assert endpoint.wait_for(lambda: len(endpoint.stored) >= len(workers) + parent, PATIENCE)
    assert sorted(body["user_id"] for body in endpoint.stored if body["user_id"]) == sorted(workers)
    assert len(endpoint.stored) == len(workers) + parent
    assert max(endpoint.times_stored.values()) == 1


@pytest.mark.parametrize("preload", [True, False], ids=["preload", "no preload"])
def test_gunicorn_workers_deliver_what_they_capture(tmp_path: Path, preload: bool) -> None:  # noqa: FBT001
    (tmp_path / "web.py").write_text(MODEL + WEB)
    port = free_port()
    options = ["--bind", f"127.0.0.1:{port}", "--workers", "2", *(["--preload"] if preload else [])]
    where = "parent" if preload else "worker"
    with running_endpoint() as endpoint:
        environ = settings(endpoint.url) | {"WHERE": where}
        with running(str(BIN / "gunicorn"), *options, "web:app", cwd=tmp_path, **environ):
            workers = [get(f"http://127.0.0.1:{port}") for _ in range(20)]
        check(endpoint, workers, int(preload))


def test_uvicorn_workers_deliver_what_they_capture(tmp_path: Path) -> None:
    (tmp_path / "web.py").write_text(MODEL + WEB)
    port = free_port()
    options = ["--port", str(port), "--workers", "2", "--app-dir", str(tmp_path)]
    with running_endpoint() as endpoint:
        with running(str(BIN / "uvicorn"), *options, "web:asgi", cwd=tmp_path, **settings(endpoint.url)):
            workers = [get(f"http://127.0.0.1:{port}") for _ in range(20)]
        check(endpoint, workers, 0)


@pytest.mark.parametrize("where", ["parent", "worker"])
def test_celery_workers_deliver_what_they_capture(tmp_path: Path, where: str) -> None:
    (tmp_path / "tasks.py").write_text(MODEL + TASKS)
    (tmp_path / "places").mkdir()
    with running_endpoint() as endpoint:
        environ = settings(endpoint.url) | {"WHERE": where, "PLACES": str(tmp_path / "places")}
        command = [str(BIN / "celery"), "--app", "tasks", "worker", "--pool", "prefork", "--concurrency", "2"]
        with running(*command, cwd=tmp_path, **environ):
            send = "import tasks\nfor _ in range(20): tasks.work.delay()\n"
            subprocess.run(
                [sys.executable, "-c", send], cwd=tmp_path, env=os.environ | environ | {"WHERE": ""}, check=True
            )
            assert endpoint.wait_for(lambda: len(endpoint.stored) >= 20 + (where == "parent"), PATIENCE)
        assert len(endpoint.stored) == 20 + (where == "parent")
        assert max(endpoint.times_stored.values()) == 1


PATCHED = """
import gevent.monkey
gevent.monkey.patch_all()
import ainsights
ainsights.instrument()
"""
PATCHED_LATER = """
import ainsights
ainsights.instrument()
import gevent.monkey
gevent.monkey.patch_all()
"""
PATCHED_UNDER_WAY = """
import ainsights
ainsights.instrument()
call()
import gevent.monkey
gevent.monkey.patch_all()
"""


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("start", "before"),
    [(PATCHED, 0), (PATCHED_LATER, 0), (PATCHED_UNDER_WAY, 1)],
    ids=["patched before", "patched after", "patched after a call"],
)
def test_greenlets_deliver_what_they_capture(start: str, before: int) -> None:
    calls = """
        import gevent
        jobs = [gevent.spawn(call) for _ in range(20)]
        gevent.joinall(jobs, raise_error=True)
        print(ainsights.flush(20), ainsights.stats().failures)
    """
    with running_endpoint() as endpoint:
        ran = run(start + textwrap.dedent(calls), timeout=30, **settings(endpoint.url))
        assert (ran.status, ran.out) == (0, "True {}\n"), ran.err
        assert len(endpoint.stored) == 20 + before
        assert max(endpoint.times_stored.values()) == 1


def test_greenlets_deliver_at_exit() -> None:
    with running_endpoint() as endpoint:
        ran = run(PATCHED + "for _ in range(5): call()\n", **settings(endpoint.url))
        assert ran.status == 0, ran.err
        assert len(endpoint.stored) == 5


def test_cells_of_a_notebook_may_instrument_again_and_again() -> None:
    cells = """
        import code, sys
        shell = code.InteractiveInterpreter(globals())
        urls = sys.argv[1:]
        for cell in (
            "import ainsights; ainsights.instrument(base_url=urls[0], user_id='first')",
            "call()",
            "ainsights.instrument(base_url=urls[0], user_id='first')",
            "call()",
            "ainsights.instrument(base_url=urls[1], user_id='second')",
            "call()",
            "ainsights.uninstrument()",
            "call()",
            "ainsights.instrument(base_url=urls[0], user_id='third')",
            "call()",
            "ainsights.flush(20)",
        ):
            shell.runsource(cell, symbol="exec")
    """
    with running_endpoint() as first, running_endpoint() as second:
        ran = run(cells, first.url, second.url, AINSIGHTS_API_KEY="key")
        assert (ran.status, ran.err) == (0, "")
        assert sorted(body["user_id"] for body in first.stored) == ["first", "first", "third"]
        assert [body["user_id"] for body in second.stored] == ["second"]
