"""File systems that are really full: beneath the index alone, and beneath everything."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from support.polling import wait_until
from support.serve_process import serving
from support.serving import KEY, Client, event_ids, insight

from ainsights.server import Endpoint

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="only root can mount a disk")


@contextmanager
def disk(path: Path, size: str) -> Iterator[Path]:
    """Yield a directory on a file system of its own."""
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "ainsights-test", path], check=True)
    try:
        yield path
    finally:
        subprocess.run(["umount", path], check=True)


def fill(path: Path) -> Path:
    """Leave no byte free."""
    ballast, disk = path / "ballast", os.statvfs(path)
    ballast.write_bytes(b"x" * disk.f_bavail * disk.f_frsize)
    return ballast


def question(number: int) -> dict[str, Any]:
    """Return an event whose question has a word of its own, and more text than a full disk has room for."""
    words = " ".join(f"word{number}x{each}" for each in range(400))
    return insight(f"event-{number}", messages=[{"role": "user", "content": f"number{number} {words}"}])


def found(client: Client, word: str) -> list[str]:
    answer = client.ask("GET", f"/insights?q={word}")
    assert answer.status == 200, answer.json
    return [item["id"] for item in answer.json["items"]]


def index_status(client: Client) -> Any:
    return client.ask("GET", "/status").json["index"]


def test_full_disk_of_the_index_delays_no_ingestion_and_the_index_catches_up_once_there_is_space(
    tmp_path: Path,
) -> None:
    database = tmp_path / "insights.db"
    with disk(tmp_path / "insights.index", "6m") as index:
        with (
            serving(database, "--api-key", KEY) as (process, url),
            Client(Endpoint(url, KEY, database)) as client,
        ):
            assert [client.put(question(number)).status for number in range(20)] == [200] * 20
            client.await_index()
            ballast = fill(index)
            assert [client.put(question(number)).status for number in range(20, 200)] == [200] * 180
            wait_until(lambda: index_status(client)["error"])
            assert index_status(client)["indexed_seq"] < 200
            assert client.ask("GET", "/health", headers={}).status == 200
            ballast.unlink()
            client.await_index()
            assert found(client, "number7") == ["event-7"]
            assert found(client, "number199") == ["event-199"]
            process.send_signal(signal.SIGINT)
            _, stderr = process.communicate(timeout=30)
        assert stderr.count("The index failed") >= 1
        assert len(stderr.splitlines()) <= 3, stderr
    assert len(event_ids(database)) == 200


def test_full_disk_of_everything_refuses_events_and_recovers_without_a_restart(tmp_path: Path) -> None:
    with disk(tmp_path / "disk", "24m") as directory:
        database = directory / "insights.db"
        with (
            serving(database, "--api-key", KEY) as (process, url),
            Client(Endpoint(url, KEY, database)) as client,
        ):
            assert [client.put(question(number)).status for number in range(20)] == [200] * 20
            client.await_index()
            ballast = fill(directory)
            answers = [client.put(question(number)) for number in range(20, 60)]
            refused = [answer for answer in answers if answer.status != 200]
            assert {answer.status for answer in refused} == {500}
            assert "disk" in refused[-1].json["detail"]
            wait_until(lambda: client.ask("GET", "/health", headers={}).status == 503)
            ballast.unlink()
            wait_until(lambda: client.ask("GET", "/health", headers={}).status == 200)
            assert client.put(question(60)).status == 200
            client.await_index()
            assert found(client, "number60") == ["event-60"]
            process.send_signal(signal.SIGINT)
            stdout, stderr = process.communicate(timeout=30)
        acknowledged = [f"event-{number}" for number in range(20)] + ["event-60"]
        acknowledged += [f"event-{number}" for number, answer in enumerate(answers, 20) if answer.status == 200]
        assert sorted(event_ids(database)) == sorted(acknowledged)
        assert stdout.endswith("Stopped: every insight that was answered 200 is on disk.\n")
        assert "Cannot store insights" in stderr
