from __future__ import annotations

import json
import os
import pty
import shlex
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from openai import _base_client
from support.doctor import COMMAND, KEY, by_contract, environ
from support.endpoints import Handler, free_port, running_endpoint

from ainsights._doctor import openai_hooks

if TYPE_CHECKING:
    from support.doctor import Doctor


def test_doctor_without_findings_exits_with_status_0(tmp_path: Path) -> None:
    with running_endpoint(by_contract()) as endpoint:
        more = {"AINSIGHTS_SPOOL_DIR": str(tmp_path / "spool")}
        ran = subprocess.run(
            [*COMMAND, "--json"], env=environ(endpoint.url) | more, capture_output=True, text=True, check=False
        )
    assert (ran.returncode, ran.stderr) == (0, "")
    document = json.loads(ran.stdout)
    assert (document["ok"], document["problems"], document["warnings"]) == (True, 0, 0)
    assert {finding["level"] for finding in document["findings"]} == {"ok"}
    assert [finding["check"] for finding in document["findings"]] == [
        "settings",
        "key",
        "capture",
        "python",
        "openai",
        "hooks",
        "others",
        "endpoint",
        "access",
        "spool",
    ]
    assert endpoint.stored == []


def test_document_has_stable_keys(doctor: Doctor) -> None:
    document = doctor("--json", base_url=f"http://127.0.0.1:{free_port()}").document
    assert list(document) == ["ainsights", "ok", "problems", "warnings", "settings", "findings"]
    assert {tuple(row) for row in document["settings"].values()} == {("value", "from", "wrong")}
    assert {tuple(finding) for finding in document["findings"]} == {("check", "level", "message", "remedy", "details")}


def test_text_has_the_same_findings_as_the_document(doctor: Doctor) -> None:
    settings = {"base_url": f"http://127.0.0.1:{free_port()}", "api_key": KEY, "concurrency": "many"}
    ran = doctor("--json", **settings)
    text = doctor(**settings).out
    for finding in ran.document["findings"]:
        assert f"{finding['level']:7}  {finding['check']}: {finding['message']}\n" in text
        assert not finding["remedy"] or f"-> {finding['remedy']}\n" in text
    assert text.endswith("2 problems, no warnings.\n")


def test_each_finding_that_is_not_ok_has_a_remedy_of_one_line(doctor: Doctor, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    ran = doctor(
        "--json", "--send", base_url=f"http://127.0.0.1:{free_port()}", timeout="x", spool_dir=str(tmp_path / "file")
    )
    assert ran.status == 1
    assert ran.document["problems"] == 3
    for finding in ran.document["findings"]:
        assert (finding["level"] == "ok") == (finding["remedy"] is None)
        assert "\n" not in (finding["remedy"] or "") + finding["message"]


def test_check_that_fails_is_a_finding(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(_base_client, "SyncAPIClient")
    monkeypatch.setattr(openai_hooks, "HOOKS", (object(),))
    ran = doctor("--json", base_url=f"http://127.0.0.1:{free_port()}")
    assert ran.levels("openai") == ["ok", "problem"]
    assert ran.found("spool")


def on_a_terminal(url: str, **more: str) -> str:
    ours, its = pty.openpty()
    ran = subprocess.Popen(COMMAND, env=environ(url) | {"TERM": "xterm"} | more, stdout=its)
    os.close(its)
    shown = b""
    try:
        while piece := os.read(ours, 65536):
            shown += piece
    except OSError:  # how a terminal ends
        pass
    finally:
        os.close(ours)
    assert ran.wait(30) == 1
    return shown.decode()


def test_terminal_gets_colour_unless_it_wants_none() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    assert "\x1b[31mproblem\x1b[0m" in on_a_terminal(url, NO_COLOR="")
    assert "\x1b[" not in on_a_terminal(url, NO_COLOR="1")
    assert "\x1b[" not in on_a_terminal(url, TERM="dumb")


def test_output_to_a_file_has_no_colour(doctor: Doctor) -> None:
    assert "\x1b" not in doctor(base_url=f"http://127.0.0.1:{free_port()}").out


def test_text_that_the_output_cannot_carry_is_escaped() -> None:
    settings = environ(f"http://127.0.0.1:{free_port()}")
    settings |= {"AINSIGHTS_USER_ID": "J\u00fcrgen", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    ran = subprocess.run(COMMAND, env=settings, capture_output=True, text=True, check=False)
    assert ran.stderr == ""
    assert r"J\xfcrgen" in ran.stdout


# Output that cannot be written


@pytest.mark.parametrize("args", [(), ("--json",)], ids=["text", "json"])
@pytest.mark.parametrize("unbuffered", ["", "1"], ids=["buffered", "unbuffered"])
def test_full_disk_ends_it_with_one_line(args: tuple[str, ...], unbuffered: str) -> None:
    settings = environ(f"http://127.0.0.1:{free_port()}") | {"PYTHONUNBUFFERED": unbuffered}
    with Path("/dev/full").open("w") as full:
        ran = subprocess.run([*COMMAND, *args], env=settings, stdout=full, stderr=subprocess.PIPE, check=False)
    assert ran.returncode == 1
    assert ran.stderr == b"ainsights: the output cannot be written: No space left on device\n"


@pytest.mark.parametrize("closed", [">&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_output_leaves_the_exit_status(closed: str) -> None:
    with running_endpoint(by_contract()) as endpoint:
        shell = f"{shlex.join(COMMAND)} {closed}"
        ran = subprocess.run(shell, shell=True, env=environ(endpoint.url), capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")


def test_findings_are_printed_before_an_endpoint_that_hangs_has_answered() -> None:
    with (
        running_endpoint(Handler.hang) as endpoint,
        subprocess.Popen(COMMAND, env=environ(endpoint.url), stdout=subprocess.PIPE) as ran,
    ):
        assert ran.stdout is not None
        printed = next(line for line in ran.stdout if b" endpoint: " in line)
        assert b"is reachable" in printed
        assert ran.poll() is None
        endpoint.released.set()


def test_terminal_shows_which_check_runs() -> None:
    with running_endpoint(Handler.hang) as endpoint:
        ours, its = pty.openpty()
        ran = subprocess.Popen(COMMAND, env=environ(endpoint.url), stdout=subprocess.DEVNULL, stderr=its)
        os.close(its)
        shown = b""
        while b"checking endpoint ..." not in shown:
            shown += os.read(ours, 65536)
        endpoint.released.set()
        assert ran.wait(30) == 1
        os.close(ours)
