from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from ainsights import __version__
from ainsights._cli import COMMANDS, demo, main


def run(*args: str, **environ: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ainsights", *args]
    return subprocess.run(command, env=os.environ | environ, capture_output=True, text=True, check=False, timeout=60)


def test_demo_shows_an_insight_of_each_kind_of_call() -> None:
    ran = run("demo", COLUMNS="140")
    assert (ran.returncode, ran.stderr) == (0, "")
    table = ran.stdout.partition("What the endpoint stored")[2]
    rows = [line for line in table.splitlines() if " ok " in line or " error " in line]
    assert [line.split()[2] for line in rows] == ["ok", "ok", "ok", "ok", "error"]
    for asked in ("Say hello", "Count to ten", "weather in Paris", "without waiting", "Anybody there"):
        assert sum(asked in line for line in rows) == 1
    assert "get_weather(" in table
    assert "What next" in table


WITHOUT_UNICODE = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
BEHIND_A_PROXY = {
    "HTTP_PROXY": "http://127.0.0.1:9",
    "https_proxy": "http://127.0.0.1:9",
    "ALL_PROXY": "socks5://[::1]:9",
}


@pytest.mark.parametrize("environ", [WITHOUT_UNICODE, BEHIND_A_PROXY], ids=["ASCII locale", "proxy"])
def test_demo_runs_in_any_environment(environ: dict[str, str]) -> None:
    ran = run("demo", **environ)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "Anybody there?" in ran.stdout


def test_demo_fits_into_60_columns() -> None:
    ran = run("demo", COLUMNS="60")
    assert (ran.returncode, ran.stderr) == (0, "")
    stored = ran.stdout.partition("What the endpoint stored\n")[2].partition("What next")[0]
    assert max(map(len, stored.splitlines())) <= 60
    assert re.findall("  (ok|error)  ", stored) == ["ok", "ok", "ok", "ok", "error"]
    assert re.findall("^  (asked|answered)  +.*[a-z]", stored, re.MULTILINE) == ["asked", "answered"] * 5


def test_demo_needs_a_key_to_be_live() -> None:
    ran = run("demo", "--live", OPENAI_API_KEY="")
    assert ran.returncode == 1
    assert ran.stderr == "ainsights: --live needs OPENAI_API_KEY: the key of your model API\n"


def test_version_is_printed() -> None:
    assert run("--version").stdout == f"ainsights {__version__}\n"


@pytest.mark.parametrize("args", [(), ("nonsense",), ("serve", "--port", "x")])
def test_wrong_usage_is_reported_with_status_2(args: tuple[str, ...]) -> None:
    ran = run(*args)
    assert ran.returncode == 2
    assert ran.stderr.startswith("usage: ainsights")
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("serve", "--port", "x"), "argument --port: 'x' is not a port: a number from 0 to 65535"),
        (("serve", "--port", "65536"), "argument --port: '65536' is not a port: a number from 0 to 65535"),
        (("serve", "--max-body-bytes", "0"), "argument --max-body-bytes: '0' is not a size: a number of bytes above 0"),
        (("spool", "flush", "--patience", "soon"), "argument --patience: 'soon' is not a time: seconds, 0 or more"),
        (("spool", "flush", "--patience", "nan"), "argument --patience: 'nan' is not a time: seconds, 0 or more"),
    ],
)
def test_wrong_argument_is_explained(args: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(args)
    assert capsys.readouterr().err.endswith(f": error: {message}\n")


MODULES = [command.__name__.rpartition(".")[2] for command in COMMANDS]


@pytest.mark.parametrize("command", ["import" if name == "copy" else name for name in MODULES])
def test_each_command_has_help(command: str) -> None:
    ran = run(command, "--help")
    assert ran.returncode == 0
    assert ran.stdout.startswith(f"usage: ainsights {command}")


def test_reader_that_closes_the_pipe_gets_no_traceback() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "ainsights", "demo"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as ran:
        assert ran.stdout is not None
        assert ran.stderr is not None
        ran.stdout.readline()
        ran.stdout.close()
        assert ran.stderr.read() == ""


def test_command_line_loads_nothing_heavy() -> None:
    program = (
        "import sys, ainsights._cli; print([m for m in ('fastapi', 'openai', 'httpx', 'rich') if m in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"


def test_demo_of_the_makefile_installs_no_tools_of_ours() -> None:
    makefile = (Path(__file__).parents[1] / "Makefile").read_text()
    (rule,) = re.findall(r"^\$\(DEMO\)/\.ready:.*\n((?:\t.*\n)+)", makefile, re.MULTILINE)
    assert "pip install" in rule
    assert "'.[server]'" in rule
    assert "--group" not in rule


def test_quickstart_is_found_in_a_checkout() -> None:
    assert demo.quickstart() == Path(__file__).parents[1] / "examples" / "quickstart.py"


def test_unknown_command_does_not_run(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["nonsense"])
    assert "invalid choice" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are of POSIX")
def test_demo_on_a_terminal_serves_the_explorer_on_a_sample_until_ctrl_c() -> None:
    import pty  # noqa: PLC0415  of POSIX

    master, slave = pty.openpty()
    command = [sys.executable, "-m", "ainsights", "demo"]
    with subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, close_fds=True) as process:
        os.close(slave)
        printed = ""
        while "Ctrl-C ends it." not in printed:
            printed += os.read(master, 4096).decode(errors="replace")
        link = re.search(r"http://\S+/login\?token=\S+", printed)
        assert link
        with httpx.Client(trust_env=False) as client:
            assert client.get(link[0]).status_code == 200
            page = client.get(link[0].partition("/login")[0] + "/ui/").text
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
        os.close(master)
    assert '<strong title="2,000">' in page
    assert "This is a generated sample" in page


def test_demo_without_the_explorer_ends_by_itself() -> None:
    assert "Explorer" not in run("demo", "--no-serve").stdout
