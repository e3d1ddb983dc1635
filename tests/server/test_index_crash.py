"""``kill -9`` while events are stored, indexed and erased: the index equals the store after the next start."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support.indexed import PATIENCE, Served, serving

from ainsights.server.index import Index
from ainsights.server.query import Filter, parse_filter, parse_query

TESTS = Path(__file__).parents[1]


def run_and_kill(directory: Path, mode: str, lines: int) -> list[str]:
    """Start the program, and kill it once it has printed so many lines; return all that it printed."""
    command = [sys.executable, "-m", "support.indexing_program", str(directory), mode]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=TESTS) as process:
        assert process.stdout
        printed = [process.stdout.readline() for _ in range(lines)]
        process.kill()
        return [line.strip() for line in (*printed, *process.stdout) if line.endswith("\n")]


def contents(index: Index) -> list[tuple[object, ...]]:
    with index.columns.cursor() as cursor:
        return cursor.execute("SELECT * FROM event ORDER BY seq").fetchall()


def check(served: Served, directory: Path) -> None:
    stored = {each.event_id for each in served.store.bodies_after(0, 100_000)}
    assert served.engine.count(Filter()) == len(stored)
    assert served.engine.count(parse_filter("question")) == len(stored)
    with Index(served.store, directory) as again:
        assert again.wait(PATIENCE)
        assert contents(again) == contents(served.index)
    newest = served.engine.events(parse_query("limit 1")).rows[0].id
    assert [row.id for row in served.engine.events(parse_query(f"where number{newest[6:]}")).rows] == [newest]


@pytest.mark.parametrize("kills", [3, pytest.param(20, marks=[pytest.mark.slow, pytest.mark.timeout(600)])])
@pytest.mark.parametrize("mode", ["store", "erase"])
def test_after_a_kill_the_index_equals_the_store(tmp_path: Path, mode: str, kills: int) -> None:
    for kill in range(kills):
        printed = run_and_kill(tmp_path, mode, 80 + 7 * kill)
        acknowledged = {line for line in printed if line[0] == "e"}
        erased = {line[1:] for line in printed if line[0] == "-"}
        attempted = {line[1:] for line in printed if line[0] == "?"}
        with serving(tmp_path) as served:
            stored = {each.event_id for each in served.store.bodies_after(0, 100_000)}
            assert acknowledged - attempted <= stored
            assert not erased & stored
            check(served, tmp_path / f"again-{kill}")
