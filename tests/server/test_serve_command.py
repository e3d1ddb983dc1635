from __future__ import annotations

import argparse
import json
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from support.polling import wait_until
from support.serve_process import started
from support.serving import KEY, Client, event_ids, insight
from support.stores import body, put

from ainsights._cli import main, serve
from ainsights.server import Endpoint
from ainsights.server.run import is_loopback
from ainsights.server.store import SQLiteStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CODE = """
import argparse
from ainsights._cli import main, serve
parser = argparse.ArgumentParser()
serve.add_parser(parser.add_subparsers())
args = parser.parse_args()
raise SystemExit(args.run(args))
"""


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "insights.db"


@contextmanager
def serving(database: Path, *options: str, **environment: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run the command on a free port; yield the process, and what it printed when it was ready."""
    command = [sys.executable, "-c", CODE, "serve", "--port", "0", "--db", str(database), *options]
    with started(command, **environment) as running:
        yield running


def endpoint_of(printed: str, database: Path) -> Endpoint:
    exports = dict(re.findall(r"export (\w+)=(\S+)", printed))
    return Endpoint(exports["AINSIGHTS_BASE_URL"], exports["AINSIGHTS_API_KEY"], database)


def run(*options: str) -> int:
    parser = argparse.ArgumentParser()
    serve.add_parser(parser.add_subparsers())
    args = parser.parse_args(["serve", *options])
    status: int = args.run(args)
    return status


def test_insight_answered_just_before_a_kill_is_on_disk(database: Path) -> None:
    with serving(database) as (process, printed), Client(endpoint_of(printed, database)) as client:
        assert client.put(insight("last words")).status == 200
        process.kill()
        process.wait()

    assert event_ids(database) == ["last words"]


def test_events_older_than_keep_days_are_removed(database: Path) -> None:
    with SQLiteStore(database) as store:
        put(store, [("old", body("old"))], at=time.time() - 3 * 86_400)
        put(store, [("new", body("new"))])
    with serving(database, "--keep-days", "2"):
        wait_until(lambda: event_ids(database) == ["new"])


def test_audit_key_is_kept_where_the_option_points(database: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    with serving(database, "--audit-key-file", str(elsewhere)):
        pass

    assert len(elsewhere.read_text().strip()) == 64
    assert not database.with_name("insights.db.audit-key").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_it_cleanly(database: Path, number: signal.Signals) -> None:
    with serving(database) as (process, printed), Client(endpoint_of(printed, database)) as client:
        client.put(insight("e"))
        process.send_signal(number)
        stdout, stderr = process.communicate(timeout=30)

    assert (process.returncode, stderr) == (0, "")
    assert "on disk" in stdout
    assert event_ids(database) == ["e"]


def test_key_is_printed_when_it_is_made_and_works_from_then_on(database: Path) -> None:
    with serving(database) as (_, first):
        key = endpoint_of(first, database).api_key
    with serving(database) as (_, second):
        url = re.findall(r"http://\S+:\d+", second)[0]
        with Client(Endpoint(url, key, database)) as client:
            assert client.put(insight("e")).status == 200

    assert first.count(key) == 2
    assert key not in second
    assert not any(key.encode() in path.read_bytes() for path in database.parent.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    ("options", "environment"), [(("--api-key", KEY), {}), ((), {"AINSIGHTS_SERVER_KEY": KEY})], ids=["option", "env"]
)
def test_given_key_is_used_and_not_printed(
    database: Path, options: tuple[str, ...], environment: dict[str, str]
) -> None:
    with serving(database, *options, **environment) as (_, printed):
        url = re.findall(r"http://\S+:\d+", printed)[0]
        with Client(Endpoint(url, KEY, database)) as client:
            assert client.put(insight()).status == 200

    assert KEY not in printed


@pytest.mark.parametrize(("key", "warned"), [("short", True), ("a-key-of-chance-4711", False)])
def test_given_key_that_can_be_guessed_is_warned_of(database: Path, key: str, warned: bool) -> None:  # noqa: FBT001  a value
    with serving(database, AINSIGHTS_SERVER_KEY=key) as (process, _):
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=30)

    assert ("can be guessed" in errors) is warned
    assert key not in errors


def test_port_in_use_is_reported_in_one_line(database: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        status = run("--port", str(port), "--db", str(database))

    expected = f"ainsights serve: port {port}: in use on 127.0.0.1; give another, or 0 for a free one\n"
    assert (status, capsys.readouterr().err) == (2, expected)
    assert not database.exists()


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (("--db", "{tmp}/missing/insights.db"), "No such file or directory"),
        (("--db", "{tmp}"), "database"),
        (("--db", "{tmp}/text"), "not a database"),
        (("--host", "host.invalid", "--db", "{tmp}/x.db"), "address host.invalid"),
        (("--api-key", "two words", "--db", "{tmp}/x.db"), "API key"),
    ],
)
def test_what_cannot_be_used_is_reported_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], complaint: str
) -> None:
    (tmp_path / "text").write_text("no database\n" * 100)

    status = run("--port", "0", *(option.format(tmp=tmp_path) for option in options))

    printed = capsys.readouterr()
    assert status == 2
    assert complaint in printed.err
    assert printed.err.count("\n") == 1
    assert not printed.out


@pytest.mark.parametrize(
    "options",
    [
        ("--port", "65536"),
        ("--port", "x"),
        ("--max-body-bytes", "0"),
        ("--keep-days", "0"),
        ("--keep-days", "nan"),
        ("--max-bytes", "-1"),
    ],
)
def test_wrong_number_is_a_usage_error(capsys: pytest.CaptureFixture[str], options: tuple[str, str]) -> None:
    with pytest.raises(SystemExit) as caught:
        run(*options)

    assert caught.value.code == 2
    assert f"argument {options[0]}" in capsys.readouterr().err


@pytest.mark.parametrize("missing", ["fastapi", "uvicorn"])
def test_missing_extra_is_reported_with_how_to_install_it(database: Path, missing: str) -> None:
    code = f"import sys; sys.modules[{missing!r}] = None\n{CODE}"
    done = subprocess.run(
        [sys.executable, "-c", code, "serve", "--db", str(database)], capture_output=True, text=True, check=False
    )

    assert done.returncode == 1
    assert done.stderr == "ainsights serve: needs the server extra: pip install 'ainsights[server]'\n"


@pytest.mark.parametrize("subcommand", [("keys", "list"), ("migrate",)])
def test_file_and_store_together_are_refused(capsys: pytest.CaptureFixture[str], subcommand: tuple[str, ...]) -> None:
    assert main(["serve", "--db", "insights.db", *subcommand, "--store", "clickhouse://h/d"]) == 2
    assert (
        capsys.readouterr().err
        == f"ainsights serve {subcommand[0]}: argument --store: not allowed with argument --db\n"
    )


def test_keys_without_the_extra_print_how_to_install_it(database: Path) -> None:
    code = "import sys; sys.modules['fastapi'] = None; from ainsights._cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "serve", "keys", "list", "--db", str(database)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 2
    assert done.stderr == "ainsights serve keys: needs the server extra: pip install 'ainsights[server]'\n"


def test_importing_the_command_does_not_import_the_server() -> None:
    code = "import ainsights._cli.serve, sys; raise SystemExit('fastapi' in sys.modules or 'uvicorn' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("localhost", True), ("::1", True), ("0.0.0.0", False), ("x", False)],
)
def test_loopback_is_distinguished_from_other_hosts(host: str, expected: Any) -> None:
    assert is_loopback(host) is expected


def test_listening_beyond_loopback_warns(database: Path, capsys: pytest.CaptureFixture[str]) -> None:
    serve._announce(Endpoint("http://x:1", KEY, database), ("/insight",), given=False, open_to_others=True)

    assert "unencrypted" in capsys.readouterr().err


def test_insights_are_taken_at_the_paths_that_are_named(database: Path) -> None:
    with serving(database, "--path", "/voice", "--path", "/v1/gr%C3%B6%C3%9Fe", AINSIGHTS_SERVER_KEY=KEY) as (
        _,
        printed,
    ):
        assert "export AINSIGHTS_PATH=/voice  # or /v1/gr%C3%B6%C3%9Fe\n" in printed
        with Client(Endpoint(re.findall(r"BASE_URL=(\S+)", printed)[0], KEY, database)) as client:
            for path, status in (("/voice", 200), ("/v1/gr%C3%B6%C3%9Fe", 200), ("/insight", 404)):
                assert client.ask("PUT", path, json.dumps(insight()).encode()).status == status
            document = client.ask("GET", "/openapi.json", None).json
            assert [path for path, methods in document["paths"].items() if "put" in methods] == [
                "/voice",
                "/v1/gr%C3%B6%C3%9Fe",
            ]
            operations = [one["operationId"] for methods in document["paths"].values() for one in methods.values()]
            assert len(operations) == len(set(operations))
            assert "PUT /voice" in client.ask("GET", "/nothing", None).json["detail"]


@pytest.mark.parametrize(
    ("path", "reason"),
    [("voice", "does not begin with /"), ("/insights", "something else there"), ("/ui/live", "something else there")],
)
def test_path_that_cannot_be_used_is_an_error(
    path: str, reason: str, database: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        status = run("--db", str(database), "--port", "0", "--path", path)
    except SystemExit as ended:
        status = int(ended.code or 0)
    assert status == 2
    assert reason in capsys.readouterr().err


def test_help_names_the_variables_that_hold_keys(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["serve", "--help"])
    printed = capsys.readouterr().out
    assert "AINSIGHTS_SERVER_KEY" in printed
    assert "AINSIGHTS_AUDIT_KEY" in printed
