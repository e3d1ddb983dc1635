from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from support.endpoints import Endpoint, free_port, running_endpoint
from support.polling import PATIENCE

from ainsights._cli import main
from ainsights._delivery.spool.spool import Spool

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with running_endpoint() as endpoint:
        yield endpoint


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> Path:
    directory = tmp_path / "spool"
    monkeypatch.setenv("AINSIGHTS_SPOOL_DIR", str(directory))
    monkeypatch.setenv("AINSIGHTS_BASE_URL", endpoint.url)
    monkeypatch.setenv("AINSIGHTS_API_KEY", "key")
    return directory


def keep(directory: Path, count: int, *refused: str) -> None:
    spool = Spool(directory, 2**30)
    numbers = spool.add([b'{"meta": {"ainsights.event_id": "%d"}}' % number for number in range(count)])
    for number, reason in zip(numbers, refused, strict=False):
        assert number is not None
        spool.reject(number, reason)
    spool.close()


def spool_command(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    status = main(["spool", *arguments])
    out, err = capsys.readouterr()
    return status, out, err


def test_status_counts_events_and_shows_why_some_were_rejected(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keep(directory, 5, "422 no model", "422 no model", "413 too large")
    status, out, _ = spool_command(capsys, "status")
    assert status == 0
    assert [line.split()[0] for line in out.splitlines()[1:4]] == ["2", "0", "3"]
    assert out.count("Rejected because") == 2


def test_status_shows_sizes_in_fitting_units(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keep(directory, 1)
    assert spool_command(capsys, "status")[1].splitlines()[0].endswith(" KiB of 1 GiB")


def test_status_as_json(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keep(directory, 2, "422 no model")
    document: dict[str, Any] = json.loads(spool_command(capsys, "status", "--json")[1])
    assert document["waiting"] == document["dead"] == 1
    assert document["reasons"] == ["422 no model"]
    assert (document["directory"], document["limit"]) == (str(directory), 2**30)


def test_events_claimed_by_a_running_process_are_counted_and_left_to_it(
    directory: Path, endpoint: Endpoint, capsys: pytest.CaptureFixture[str]
) -> None:
    running = Spool(directory, 2**30)
    running.add([b"{}"])
    assert "1  claimed" in spool_command(capsys, "status")[1]
    assert spool_command(capsys, "flush") == (0, "No event is waiting. 1 event claimed by running processes.\n", "")
    running.close()
    assert endpoint.requests == 0


def test_flush_delivers_all(directory: Path, endpoint: Endpoint, capsys: pytest.CaptureFixture[str]) -> None:
    keep(directory, 300)
    assert spool_command(capsys, "flush") == (0, "300 events delivered.\nNo event is waiting.\n", "")
    assert len(endpoint.times_stored) == len(endpoint.stored) == 300
    assert spool_command(capsys, "flush")[1] == "No event is waiting.\n"


def test_flush_reports_what_was_refused(
    directory: Path, endpoint: Endpoint, capsys: pytest.CaptureFixture[str]
) -> None:
    endpoint.behave = lambda handler: handler.answer(422 if handler.number == 1 else 200, b"no model")
    keep(directory, 3)
    status, out, _ = spool_command(capsys, "flush")
    assert (status, out.splitlines()[0]) == (1, "2 events delivered, 1 rejected.")
    assert "Rejected because: 422 no model" in spool_command(capsys, "status")[1]


def test_flush_ends_at_once_if_the_key_is_wrong(
    directory: Path, endpoint: Endpoint, capsys: pytest.CaptureFixture[str]
) -> None:
    endpoint.behave = lambda handler: handler.answer(401, b"who?")
    keep(directory, 3)
    status, out, err = spool_command(capsys, "flush", "--patience", "3600")
    assert (status, out) == (1, "0 events delivered.\n")
    assert "3 events left: 401 who?: check AINSIGHTS_API_KEY" in err


def test_flush_gives_up_on_an_unreachable_endpoint(
    directory: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    keep(directory, 3)
    monkeypatch.setenv("AINSIGHTS_BASE_URL", f"http://127.0.0.1:{free_port()}")
    status, _, err = spool_command(capsys, "flush", "--patience", "0.1")
    assert status == 1
    assert "3 events left: ConnectionRefusedError" in err


def test_retry_rejected_lets_them_be_sent(
    directory: Path, endpoint: Endpoint, capsys: pytest.CaptureFixture[str]
) -> None:
    keep(directory, 3, "422 a", "422 b")
    assert spool_command(capsys, "retry-rejected")[1].startswith("2 events will be sent again")
    assert spool_command(capsys, "retry-rejected")[1] == "No event was rejected.\n"
    assert spool_command(capsys, "flush")[0] == 0
    assert len(endpoint.stored) == 3


def test_directory_may_be_given(directory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keep(tmp_path / "other", 1)
    assert not directory.exists()
    assert "1  waiting" in spool_command(capsys, "status", "--dir", str(tmp_path / "other"))[1]


@pytest.mark.parametrize("command", ["status", "flush", "retry-rejected"])
def test_what_is_wrong_is_reported(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = spool_command(capsys, command)
    assert (status, out) == (1, "")
    assert "there is no spool in" in err
    assert not list(tmp_path.iterdir())
    monkeypatch.delenv("AINSIGHTS_SPOOL_DIR")
    status, out, err = spool_command(capsys, command)
    assert (status, out) == (2, "")
    assert "set AINSIGHTS_SPOOL_DIR or give --dir DIR" in err
    monkeypatch.setenv("AINSIGHTS_TIMEOUT", "soon")
    assert "AINSIGHTS_TIMEOUT='soon' is wrong" in spool_command(capsys, command)[2]


def test_flush_without_a_key_names_the_variable(
    directory: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    keep(directory, 1)
    monkeypatch.delenv("AINSIGHTS_BASE_URL")
    monkeypatch.delenv("AINSIGHTS_API_KEY")
    status, _, err = spool_command(capsys, "flush")
    assert (status, "no API key" in err) == (2, True)


@pytest.mark.parametrize("arguments", [[], ["empty"], ["flush", "--patience", "-1"], ["flush", "--patience", "x"]])
def test_wrong_usage_is_status_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["spool", *arguments])
    assert ended.value.code == 2
    assert "usage: ainsights spool" in capsys.readouterr().err


def test_flush_shows_a_bar_on_a_terminal_and_ctrl_c_ends_it_with_the_rest_kept(
    directory: Path, endpoint: Endpoint
) -> None:
    endpoint.behave = lambda handler: handler.answer(200) if handler.number <= 40 else handler.hang()
    keep(directory, 100)
    controller, terminal = pty.openpty()
    environ = os.environ | {"TERM": "xterm", "COLUMNS": "80"}
    command = [sys.executable, "-m", "ainsights", "spool", "flush"]
    ours = subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=terminal, start_new_session=True)
    os.close(terminal)
    try:
        shown = b""
        while b"/100" not in shown:
            shown += os.read(controller, 4096)
        assert endpoint.wait_for(lambda: len(endpoint.stored) == 40, PATIENCE)
        ours.send_signal(signal.SIGINT)
        out, _ = ours.communicate(timeout=PATIENCE)
    finally:
        ours.kill()
        ours.wait()
        os.close(controller)
    assert ours.returncode == 130
    assert b"Traceback" not in shown + out
    spool = Spool(directory, 2**30)
    assert spool.status().waiting >= 60
    spool.close()
