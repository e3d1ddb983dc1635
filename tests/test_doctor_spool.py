from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.endpoints import free_port

from ainsights._config import load
from ainsights._delivery.spool.spool import Spool
from ainsights._doctor import spool as spool_check

if TYPE_CHECKING:
    from support.doctor import Doctor


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool", 2**30)


def test_spool_that_is_not_there_yet_is_ok_and_not_made(doctor: Doctor, tmp_path: Path) -> None:
    directory = tmp_path / "not" / "there"
    ran = doctor("--json", base_url=f"http://127.0.0.1:{free_port()}", spool_dir=str(directory))
    assert ran.levels("spool") == ["ok"]
    assert not (tmp_path / "not").exists()


def test_spool_is_counted(doctor: Doctor, spool: Spool) -> None:
    spool.add([b"one", b"two", b"three"])
    spool.close()
    (claimed,) = spool.claim(1)
    ran = doctor("--json", base_url=f"http://127.0.0.1:{free_port()}", spool_dir=str(spool.directory))
    details = ran.found("spool")[0]["details"]
    assert (details["waiting"], details["claimed"], details["dead"]) == (2, 1, 0)
    assert details["bytes"] > 0
    assert details["oldest_seconds"] >= 0
    spool.acknowledge(claimed[0])
    spool.close()


def test_dead_letters_are_a_warning_with_their_reasons(doctor: Doctor, spool: Spool) -> None:
    (number,) = spool.add([b"one"])
    assert number is not None
    spool.reject(number, "422 no such model")
    spool.close()
    ran = doctor("--json", base_url=f"http://127.0.0.1:{free_port()}", spool_dir=str(spool.directory))
    assert ran.levels("spool") == ["ok", "warning"]
    letters = ran.found("spool")[1]
    assert "422 no such model" in letters["message"]
    assert letters["remedy"].startswith("ainsights spool retry-rejected")
    assert letters["details"]["dead"] == 1


def test_events_that_wait_for_long_are_a_warning(spool: Spool) -> None:
    spool.add([b"one"])
    spool.close()
    settings = load({"AINSIGHTS_SPOOL_DIR": str(spool.directory)})
    assert [finding.level for finding in spool_check.check(settings, time.time())] == ["ok"]
    later = list(spool_check.check(settings, time.time() + 3 * 86400))
    assert [finding.level for finding in later] == ["ok", "warning"]
    assert "3 d old" in later[0].message
    assert later[1].remedy == "ainsights spool flush"


def test_spool_that_is_nearly_full_is_a_warning(doctor: Doctor, spool: Spool) -> None:
    spool.add([b"x" * 50_000])
    spool.close()
    ran = doctor(
        "--json",
        base_url=f"http://127.0.0.1:{free_port()}",
        spool_dir=str(spool.directory),
        spool_max_bytes=str(spool.status().bytes),
    )
    spool.close()
    assert "nearly full" in ran.found("spool")[1]["message"]


def test_directory_below_a_file_is_a_problem(doctor: Doctor, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    ran = doctor("--json", base_url=f"http://127.0.0.1:{free_port()}", spool_dir=str(tmp_path / "file" / "spool"))
    (found,) = ran.found("spool")
    assert (ran.status, found["level"], found["details"]["usable"]) == (1, "problem", False)
    assert "is not a directory" in found["message"]
    assert found["remedy"].startswith("export AINSIGHTS_SPOOL_DIR=")


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a directory that takes no file, not even root's")
def test_directory_that_is_not_writable_is_a_problem(doctor: Doctor) -> None:
    ran = doctor("--json", base_url=f"http://127.0.0.1:{free_port()}", spool_dir="/proc/spool")
    assert ran.levels("spool") == ["problem"]
    assert "/proc is not writable" in ran.found("spool")[0]["message"]


def test_damaged_spool_is_a_problem_once(doctor: Doctor, spool: Spool) -> None:
    spool.directory.mkdir(mode=0o700)
    (spool.directory / "spool.db").write_bytes(b"no database" * 1000)
    settings = {"base_url": f"http://127.0.0.1:{free_port()}", "spool_dir": str(spool.directory)}
    (found,) = doctor("--json", **settings).found("spool")
    assert found["level"] == "problem"
    assert "set aside" in found["message"]
    assert doctor("--json", **settings).levels("spool") == ["ok"]
