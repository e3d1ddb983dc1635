"""``ainsights run``: commands of every kind are captured, and nothing else about them changes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import venv
from pathlib import Path

import pytest
from support import servers
from support.endpoints import Endpoint, free_port
from support.programs import MODEL, settings
from support.servers import BIN, PATIENCE, get, running

RUN = [sys.executable, "-m", "ainsights", "run"]
PYTHON = sys.executable
OFF = {"AINSIGHTS_ENABLED": "0"}
ASK = MODEL + "import os\ncall(user=str(os.getpid()))\n"
WEB = MODEL + "def before():\n    pass\n" + servers.WEB
TASKS = MODEL + textwrap.dedent(
    """
    import os, celery
    places = os.environ["PLACES"]
    names = ["data_folder_in", "data_folder_out", "processed_folder", "control_folder"]
    folders = dict.fromkeys(names, places)
    app = celery.Celery("tasks", broker="filesystem://", broker_transport_options=folders)

    @app.task
    def work():
        call(user=str(os.getpid()))
    """
)


def ran(
    endpoint: Endpoint | None, cwd: Path, *command: str, given: str | None = None, **environ: str
) -> subprocess.CompletedProcess[str]:
    """Run ``command`` under ``ainsights run``."""
    environ = (settings(endpoint.url) if endpoint is not None else {}) | environ
    return subprocess.run(
        [*RUN, *command],
        cwd=cwd,
        env=os.environ | environ,
        input=given,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )


@pytest.fixture
def bare(tmp_path: Path) -> str:
    """A Python that has neither ainsights nor openai."""
    venv.create(tmp_path / "bare", symlinks=True)
    return str(tmp_path / "bare" / "bin" / "python")


def test_file_is_captured(endpoint: Endpoint, tmp_path: Path) -> None:
    (tmp_path / "ask.py").write_text(ASK)
    done = ran(endpoint, tmp_path, PYTHON, "ask.py")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert len(endpoint.stored) == 1


def test_module_with_options_of_its_own_is_captured(endpoint: Endpoint, tmp_path: Path) -> None:
    (tmp_path / "ask.py").write_text(ASK + "import sys; print(sys.argv[1:])")
    done = ran(endpoint, tmp_path, "--", PYTHON, "-m", "ask", "--help", "-x")
    assert (done.stdout, done.stderr, len(endpoint.stored)) == ("['--help', '-x']\n", "", 1)


def test_children_are_captured(endpoint: Endpoint, tmp_path: Path) -> None:
    (tmp_path / "ask.py").write_text(ASK)
    (tmp_path / "parent.py").write_text("import subprocess, sys\nsys.exit(subprocess.call([sys.executable, 'ask.py']))")
    (tmp_path / "script.sh").write_text(f"#!/bin/sh\n{PYTHON} parent.py && {PYTHON} ask.py\n")
    assert ran(endpoint, tmp_path, "sh", "script.sh").returncode == 0
    assert len(endpoint.times_stored) == len(endpoint.stored) == 2


def test_spawned_process_is_captured(endpoint: Endpoint, tmp_path: Path) -> None:
    (tmp_path / "ask.py").write_text(MODEL)
    program = (
        "import ask, multiprocessing as m; p = m.get_context('spawn').Process(target=ask.call); p.start(); p.join()"
    )
    assert ran(endpoint, tmp_path, PYTHON, "-c", program).stderr == ""
    assert len(endpoint.stored) == 1


def test_console_script_is_captured(endpoint: Endpoint, tmp_path: Path) -> None:
    (tmp_path / "test_ask.py").write_text(ASK.replace("call(user", "def test_it():\n    call(user"))
    pytest_alone = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = ran(endpoint, tmp_path, str(BIN / "pytest"), "-q", "-p", "no:cacheprovider", "test_ask.py", **pytest_alone)
    assert (done.returncode, done.stderr, len(endpoint.stored)) == (0, "", 1)


@pytest.mark.parametrize("preload", [[], ["--preload"]], ids=["no preload", "preload"])
def test_gunicorn_is_captured(endpoint: Endpoint, tmp_path: Path, preload: list[str]) -> None:
    (tmp_path / "web.py").write_text(WEB)
    port = free_port()
    command = [str(BIN / "gunicorn"), "--bind", f"127.0.0.1:{port}", "--workers", "2", *preload, "web:app"]
    with running(*RUN, *command, cwd=tmp_path, **settings(endpoint.url)):
        workers = [get(f"http://127.0.0.1:{port}") for _ in range(6)]
    assert sorted(body["user_id"] for body in endpoint.stored) == sorted(workers)


def test_uvicorn_with_reload_is_captured(endpoint: Endpoint, tmp_path: Path) -> None:
    (tmp_path / "web.py").write_text(WEB)
    port = free_port()
    command = [str(BIN / "uvicorn"), "--reload", "--port", str(port), "web:asgi"]
    with running(*RUN, *command, cwd=tmp_path, **settings(endpoint.url)):
        workers = [get(f"http://127.0.0.1:{port}") for _ in range(3)]
        assert endpoint.wait_for(lambda: len(endpoint.stored) == 3, PATIENCE)
    assert sorted(body["user_id"] for body in endpoint.stored) == sorted(workers)


def test_celery_is_captured(endpoint: Endpoint, tmp_path: Path) -> None:
    (tmp_path / "tasks.py").write_text(TASKS)
    environ = settings(endpoint.url) | {"PLACES": str(tmp_path)}
    command = [str(BIN / "celery"), "--app", "tasks", "worker", "--concurrency", "2"]
    with running(*RUN, *command, cwd=tmp_path, **environ):
        send = [PYTHON, "-c", "import tasks; [tasks.work.delay() for _ in range(4)]"]
        subprocess.run(send, cwd=tmp_path, env=os.environ | environ, check=True, timeout=PATIENCE)
        assert endpoint.wait_for(lambda: len(endpoint.stored) == 4, PATIENCE)
    assert max(endpoint.times_stored.values()) == 1


def test_program_that_instruments_itself_is_captured_once(endpoint: Endpoint, tmp_path: Path) -> None:
    (tmp_path / "ask.py").write_text("import ainsights\nainsights.instrument(meta={'by': 'itself'})\n" + ASK)
    assert ran(endpoint, tmp_path, PYTHON, "ask.py").stderr == ""
    assert [body["meta"]["by"] for body in endpoint.stored] == ["itself"]


def test_program_with_the_drop_in_client_is_captured_once(endpoint: Endpoint, tmp_path: Path) -> None:
    (tmp_path / "ask.py").write_text(ASK.replace("import os\n", "import os\nimport ainsights.openai as openai\n"))
    assert ran(endpoint, tmp_path, PYTHON, "ask.py").stderr == ""
    assert len(endpoint.stored) == 1


def test_openai_whose_first_part_is_the_one_to_patch_is_patched(tmp_path: Path) -> None:
    (tmp_path / "openai").mkdir()
    (tmp_path / "openai" / "__init__.py").write_text("from openai import _base_client")
    (tmp_path / "openai" / "_base_client.py").touch()
    environ = {"AINSIGHTS_API_KEY": "key", "AINSIGHTS_BASE_URL": "http://127.0.0.1:9"}
    assert "this openai has no" in ran(None, tmp_path, PYTHON, "-c", "import openai", **environ).stderr


# The command is what it is without us


def test_exit_status_input_and_output_are_the_command_s(tmp_path: Path) -> None:
    program = "import sys; print(sys.stdin.read().upper()); print('no', file=sys.stderr); sys.exit(7)"
    done = ran(None, tmp_path, PYTHON, "-c", program, given="ab", **OFF)
    assert (done.returncode, done.stdout, done.stderr) == (7, "AB\n", "no\n")


def test_process_is_the_command_s_so_that_signals_reach_it(tmp_path: Path) -> None:
    program = "import os, signal; print(os.getpid(), flush=True); signal.pause()"
    with subprocess.Popen(
        [*RUN, PYTHON, "-c", program], cwd=tmp_path, env=os.environ | OFF, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert int(process.stdout.readline()) == process.pid
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == -signal.SIGTERM


def test_path_arguments_flags_and_signal_handlers_are_the_same(tmp_path: Path) -> None:
    program = "import sys, signal; print(sys.path, sys.argv, sys.flags, signal.getsignal(signal.SIGPIPE))"
    bare = subprocess.run([PYTHON, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert ran(None, tmp_path, PYTHON, "-c", program, **OFF).stdout == bare.stdout


def test_process_without_openai_loads_nothing_of_ours(tmp_path: Path) -> None:
    program = """
import sys, importlib.util
assert importlib.util.find_spec("openai")
print([name for name in sys.modules if name.startswith(("ainsights", "openai", "pydantic"))])
"""
    assert ran(None, tmp_path, PYTHON, "-c", program, **OFF).stdout == "[]\n"


def test_sitecustomize_of_the_user_s_is_run(endpoint: Endpoint, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("print('theirs', __name__)")
    (tmp_path / "ask.py").write_text(ASK + "import sitecustomize; print(sitecustomize.__file__)")
    done = ran(endpoint, tmp_path, PYTHON, "ask.py", PYTHONPATH=str(tmp_path))
    ours, theirs, *rest = done.stdout.splitlines()  # `ainsights run` is a Python process too
    assert ours == theirs == "theirs sitecustomize"
    assert rest == [str(tmp_path / "sitecustomize.py")]
    assert len(endpoint.stored) == 1


def test_sitecustomize_that_raises_is_reported_as_without_us(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("raise ValueError('theirs')")
    environ = os.environ | {"PYTHONPATH": str(tmp_path)}
    without = subprocess.run([PYTHON, "-c", ""], env=environ, capture_output=True, text=True, check=True)
    done = ran(None, tmp_path, PYTHON, "-c", "", PYTHONPATH=str(tmp_path), **OFF)
    assert "ValueError: theirs" in without.stderr
    assert (done.returncode, done.stderr) == (0, without.stderr * 2)  # `ainsights run` is a Python process too


def test_usercustomize_of_the_user_s_is_run(tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", symlinks=True, system_site_packages=True)
    python, environ = str(tmp_path / "venv" / "bin" / "python"), {"PYTHONUSERBASE": str(tmp_path / "user")}
    packages = Path(ran(None, tmp_path, python, "-m", "site", "--user-site", **environ, **OFF).stdout.strip())
    packages.mkdir(parents=True)
    (packages / "usercustomize.py").write_text("print('theirs')")
    assert ran(None, tmp_path, python, "-c", "", **environ, **OFF).stdout == "theirs\n"


# Where ainsights cannot start, the command runs all the same


def test_wrong_setting_is_reported_once_and_the_command_runs(endpoint: Endpoint, tmp_path: Path) -> None:
    (tmp_path / "ask.py").write_text(ASK + "print('done')")
    (tmp_path / "script.sh").write_text(f"{PYTHON} ask.py && {PYTHON} ask.py")
    done = ran(endpoint, tmp_path, "sh", "script.sh", AINSIGHTS_TIMEOUT="soon")
    assert (done.returncode, done.stdout) == (0, "done\ndone\n")
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("ainsights run: nothing is captured: AINSIGHTS_TIMEOUT='soon' is wrong")


@pytest.mark.parametrize("fault", ["raise RuntimeError('broken')", "raise ImportError('no such thing')", "1/0"])
def test_ainsights_that_fails_to_load_is_reported_and_the_command_runs(
    endpoint: Endpoint, tmp_path: Path, fault: str
) -> None:
    (tmp_path / "broken" / "ainsights").mkdir(parents=True)
    (tmp_path / "broken" / "ainsights" / "__init__.py").write_text(fault)
    (tmp_path / "ask.py").write_text(ASK + "print('done')")
    environ = {"PYTHONPATH": str(tmp_path / "broken")}
    script = tmp_path / "script.sh"
    script.write_text(f"PYTHONPATH=$PYTHONPATH:{environ['PYTHONPATH']} exec {PYTHON} ask.py")
    done = ran(endpoint, tmp_path, "sh", "script.sh")
    assert (done.returncode, done.stdout) == (0, "done\n")
    assert done.stderr.startswith("ainsights run: nothing is captured: ")
    assert len(done.stderr.splitlines()) == 1
    assert endpoint.stored == []


@pytest.mark.parametrize("path", ["ainsights.py", "ainsights/__init__.py"])
def test_projects_own_file_of_our_name_is_named_with_the_remedy(endpoint: Endpoint, tmp_path: Path, path: str) -> None:
    (tmp_path / path).parent.mkdir(exist_ok=True)
    (tmp_path / path).write_text("print('its own')\n")
    (tmp_path / "ask.py").write_text(ASK + "print('done'); import ainsights")
    done = subprocess.run(
        [BIN / "ainsights", "run", PYTHON, "ask.py"],
        cwd=tmp_path,
        env=os.environ | settings(endpoint.url),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "done\nits own\n")
    hidden = f"ainsights run: nothing is captured: {tmp_path / path} hides the package ainsights; rename it"
    assert done.stderr.startswith(hidden)
    assert len(done.stderr.splitlines()) == 1


def test_python_without_ainsights_is_named_and_the_command_runs(tmp_path: Path, bare: str) -> None:
    (tmp_path / "openai").mkdir()
    (tmp_path / "openai" / "__init__.py").write_text("from openai import types")
    (tmp_path / "openai" / "types.py").touch()
    done = ran(None, tmp_path, bare, "-c", "import openai; print('done')", **OFF)
    assert (done.returncode, done.stdout) == (0, "done\n")
    assert done.stderr.startswith(f"ainsights run: nothing is captured: ainsights is not installed for {bare}")
    assert len(done.stderr.splitlines()) == 1


def test_missing_openai_is_not_reported(tmp_path: Path, bare: str) -> None:
    program = "try: import openai\nexcept ImportError: print('without')"
    done = ran(None, tmp_path, bare, "-c", program, **OFF)
    assert (done.returncode, done.stdout, done.stderr) == (0, "without\n", "")


def test_missing_key_is_reported_and_the_command_runs(tmp_path: Path) -> None:
    done = ran(None, tmp_path, PYTHON, "-c", "import openai; print('done')")
    assert (done.returncode, done.stdout) == (0, "done\n")
    assert len(done.stderr.splitlines()) == 1
    assert "AINSIGHTS_API_KEY" in done.stderr


def test_command_without_stderr_runs(tmp_path: Path) -> None:
    line = f"exec {' '.join(RUN)} {PYTHON} -c 'import openai; print(1)' 2>&-"
    done = subprocess.run(
        ["sh", "-c", line],
        cwd=tmp_path,
        env=os.environ | {"AINSIGHTS_TIMEOUT": "soon"},
        stdout=subprocess.PIPE,
        check=True,
    )
    assert done.stdout == b"1\n"


@pytest.mark.parametrize("how", ["sys.stderr.close()", "sys.stderr = None"])
def test_program_that_gave_up_its_stderr_runs(tmp_path: Path, how: str) -> None:
    (tmp_path / "ask.py").write_text(
        f"import os, sys\nos.environ['AINSIGHTS_TIMEOUT'] = 'soon'\n{how}\nimport openai\nprint(1)"
    )
    done = ran(None, tmp_path, PYTHON, "ask.py")
    assert (done.returncode, done.stdout) == (0, "1\n")
