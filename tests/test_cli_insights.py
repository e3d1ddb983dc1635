from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, NamedTuple

import httpx
import pytest
import respx
from support.serving import KEY, Client, insight

from ainsights import _cli
from ainsights.server import Endpoint, Options, running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


class ProgramResult(NamedTuple):
    status: int
    out: str
    err: str


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    database = tmp_path_factory.mktemp("server") / "insights.db"
    with running(Options(database, api_key=KEY)) as endpoint, Client(endpoint) as client:
        for n in range(6):
            meta = {"timestamp": f"2025-01-01T00:00:0{n}Z", "latency_ms": 100 * n, "status": ("ok", "error")[n % 2]}
            body = insight(f"e{n}", user_id=("ann", "bob")[n // 3], messages=f"Question {n}?", meta=meta)
            client.put(body | {"response": {"model": ("gpt-a", "gpt-b")[n % 2]}})
        client.await_index()
        yield endpoint


@pytest.fixture
def ainsights(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., ProgramResult]:
    monkeypatch.setenv("AINSIGHTS_BASE_URL", endpoint.url)
    monkeypatch.setenv("AINSIGHTS_API_KEY", KEY)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str) -> ProgramResult:
        try:
            status = _cli.main(arguments)
        except SystemExit as error:
            status = int(error.code or 0)
        captured = capsys.readouterr()
        return ProgramResult(status, captured.out, captured.err)

    return run


def ids(ran: ProgramResult) -> list[str]:
    assert ran.status == 0, ran.err
    return [json.loads(line)["id"] for line in ran.out.splitlines()]


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ((), ["e5", "e4", "e3", "e2", "e1", "e0"]),
        (("--limit", "2"), ["e5", "e4"]),
        (("--order", "latency asc", "--limit", "2"), ["e0", "e1"]),
        (("user:ann", "status:error"), ["e1"]),
        (("user:ann status:error",), ["e1"]),
        (("user:ann", "-status:error"), ["e2", "e0"]),
        (("-status:error", "user:ann"), ["e2", "e0"]),
        (("user:ann", "--since", "2025-01-01T00:00:01Z", "status:ok"), ["e2"]),
        (("latency>=400ms",), ["e5", "e4"]),
        (('"question 3"',), ["e3"]),
        (("-has:latency",), []),
    ],
)
def test_list_finds_what_the_words_select(
    ainsights: Callable[..., ProgramResult], arguments: tuple[str, ...], found: list[str]
) -> None:
    assert ids(ainsights("list", "--json", *arguments)) == found


def test_list_is_a_table(ainsights: Callable[..., ProgramResult]) -> None:
    ran = ainsights("list", "--limit", "1")

    assert [line.split() for line in ran.out.splitlines() if "e5" in line] == [
        ["2025-01-01", "00:00:05", "e5", "gpt-b", "error", "bob", "500", "ms", "Question", "5?"]
    ]


def test_list_on_a_narrow_terminal_shows_whole_values(
    ainsights: Callable[..., ProgramResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    ran = ainsights("list", "--limit", "1")

    assert [line.split() for line in ran.out.splitlines() if "gpt-b" in line] == [
        ["2025-01-01", "00:00:05", "gpt-b", "error", "bob", "Question", "5?"]
    ]


@pytest.mark.parametrize("command", [("list",), ("query", "p95 latency, cost by model, hour")])
def test_command_without_a_match_prints_that_there_is_none(
    ainsights: Callable[..., ProgramResult], command: tuple[str, ...]
) -> None:
    assert ainsights(*command, "user:nobody") == ProgramResult(0, "No insights match.\n", "")


def test_show_has_the_columns_and_both_texts(ainsights: Callable[..., ProgramResult]) -> None:
    ran = ainsights("show", "e4")

    assert "gpt-a" in ran.out
    assert "asked:\nQuestion 4?\n" in ran.out
    assert json.loads(ainsights("show", "e4", "--json").out)["body"]["messages"] == "Question 4?"


def test_query_measures_in_groups(ainsights: Callable[..., ProgramResult]) -> None:
    ran = ainsights("query", "events, p50 latency by model order by model asc", "--json", "user:bob")

    found = json.loads(ran.out)
    assert found["columns"] == ["model", "events", "p50_latency"]
    assert found["rows"] == [["gpt-a", 1, 400.0], ["gpt-b", 2, 400.0]]


def test_query_takes_words_after_options_and_a_where_clause(ainsights: Callable[..., ProgramResult]) -> None:
    ran = ainsights("query", "events where user:bob", "--since", "2025-01-01T00:00:04Z", "-status:ok", "--json")

    assert json.loads(ran.out)["rows"] == [[1]]


def test_query_is_a_table(ainsights: Callable[..., ProgramResult]) -> None:
    lines = ainsights("query", "events by user order by user asc").out.splitlines()

    assert [line.split() for line in lines if "ann" in line or "bob" in line] == [["ann", "3"], ["bob", "3"]]


def test_query_on_a_narrow_terminal_shows_whole_numbers_and_short_times(
    ainsights: Callable[..., ProgramResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    lines = ainsights("query", "mean latency, max latency, events by model, day", "user:bob", "model:gpt-a").out

    assert "2025-01-01 " in lines
    assert [line.split()[-3:] for line in lines.splitlines() if "gpt" in line] == [["400", "400", "1"]]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("list", "modle:x"), "ainsights list: unknown field 'modle'; did you mean 'model'?"),
        (("query", "evnts"), "ainsights query: unknown measure 'evnts'; did you mean 'events'?\n"),
        (("list", "--since", "soon"), "ainsights list: 'soon' is not a time; write one such as 7d, 24h"),
        (("query", ""), "ainsights query: name a measure to show, such as events or p95 latency\n"),
        (("verify", "--entries", "5"), "ainsights verify: --entries needs --head: give both"),
        (("verify", "--head", "0" * 64), "ainsights verify: --head needs --entries: give both"),
    ],
)
def test_wrong_word_is_named_in_one_line(
    ainsights: Callable[..., ProgramResult], arguments: tuple[str, ...], line: str
) -> None:
    ran = ainsights(*arguments)

    assert (ran.status, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert ran.err.startswith(line)


def test_unknown_option_is_wrong_usage(ainsights: Callable[..., ProgramResult]) -> None:
    assert ainsights("list", "--colour").err.endswith("error: unrecognized arguments: --colour\n")
    assert ainsights("show", "e1", "e2").err.endswith("error: unrecognized arguments: e2\n")


def test_unknown_option_shows_the_usage_of_its_command(ainsights: Callable[..., ProgramResult]) -> None:
    ran = ainsights("export", "--limit", "3")

    assert ran.err.startswith("usage: ainsights export ")
    assert "\nainsights export: error: unrecognized arguments: --limit" in ran.err


def test_list_of_no_insights_is_wrong_usage(ainsights: Callable[..., ProgramResult]) -> None:
    ran = ainsights("list", "--limit", "0")

    assert (ran.status, ran.out) == (2, "")
    assert ran.err.endswith("argument --limit: '0' is not a number, 1 or more\n")


def test_unknown_event_is_an_error(ainsights: Callable[..., ProgramResult]) -> None:
    assert ainsights("show", "nobody") == ProgramResult(1, "", "ainsights show: no event has this id\n")


def test_without_an_endpoint_one_line_explains_how_to_start_one(ainsights: Callable[..., ProgramResult]) -> None:
    ran = ainsights("list", "--url", "http://127.0.0.1:9")

    assert (ran.status, ran.err.count("\n")) == (1, 1)
    assert "start one with 'ainsights serve'" in ran.err


def test_url_with_a_space_is_wrong_usage(ainsights: Callable[..., ProgramResult]) -> None:
    ran = ainsights("list", "--url", "http://local host:8383")

    assert (ran.status, ran.err.count("\n")) == (2, 1)
    assert "the URL 'http://local host:8383' cannot be used: its host is not a host name" in ran.err


def test_without_a_key_one_line_explains_how_to_get_one(
    ainsights: Callable[..., ProgramResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AINSIGHTS_API_KEY")
    ran = ainsights("list")

    assert (ran.status, ran.err.count("\n")) == (2, 1)
    assert "ainsights serve keys add" in ran.err


def test_server_key_of_the_environment_is_used(
    ainsights: Callable[..., ProgramResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AINSIGHTS_API_KEY")
    monkeypatch.setenv("AINSIGHTS_SERVER_KEY", KEY)

    assert ainsights("list").status == 0


def test_wrong_key_is_named_without_being_shown(ainsights: Callable[..., ProgramResult]) -> None:
    ran = ainsights("list", "--api-key", "wrong-secret")

    assert ran.err == "ainsights list: wrong API key: this endpoint does not know it\n"


def test_export_writes_exactly_the_filter(ainsights: Callable[..., ProgramResult], tmp_path: Path) -> None:
    target = tmp_path / "out.csv"
    ran = ainsights("export", "user:ann", "--format", "csv", "--output", str(target))

    assert ran == ProgramResult(0, f"Wrote {target}.\n", "")
    assert [line.split(",")[1] for line in target.read_text().splitlines()] == ["id", "e0", "e1", "e2"]
    assert target.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]


@pytest.mark.parametrize(("target", "reason"), [("missing/x", "No such file or directory"), ("", "Is a directory")])
def test_export_to_what_cannot_be_written_names_the_file_that_was_given(
    ainsights: Callable[..., ProgramResult], tmp_path: Path, target: str, reason: str
) -> None:
    directory = tmp_path / "directory"
    directory.mkdir()
    ran = ainsights("export", "--output", str(directory / target))

    assert ran == ProgramResult(1, "", f"ainsights export: {directory / target}: {reason}\n")
    assert list(tmp_path.iterdir()) == [directory]


def test_verify_prints_what_to_note_and_checks_it(ainsights: Callable[..., ProgramResult]) -> None:
    first = ainsights("verify")
    assert first.out.startswith("All 6 events are as they were stored.\n")

    noted = first.out.splitlines()[1].partition(": ")[2].split()
    assert ainsights("verify", *noted).status == 0
    wrong = ainsights("verify", "--entries", noted[1], "--head", "0" * 64)
    assert (wrong.status, "is not the one that was noted" in wrong.out) == (1, True)


def test_verify_of_an_empty_endpoint_has_nothing_to_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with running(Options(tmp_path / "insights.db", api_key=KEY)) as empty:
        monkeypatch.setenv("AINSIGHTS_BASE_URL", empty.url)
        monkeypatch.setenv("AINSIGHTS_API_KEY", KEY)
        assert _cli.main(["verify"]) == 0
    assert capsys.readouterr().out == "Nothing is stored yet, so there is nothing to verify.\n"


def test_erase_asks_for_yes_where_nobody_can_be_asked(
    ainsights: Callable[..., ProgramResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    with open(os.devnull) as nobody:  # noqa: PTH123  not a path of files
        monkeypatch.setattr(sys, "stdin", nobody)
        ran = ainsights("erase", "--user", "ann")

    assert ran == ProgramResult(2, "", "ainsights erase: no terminal to confirm at: give --yes\n")
    assert len(ids(ainsights("list", "--json", "user:ann"))) == 3


def test_erase_removes_all_of_a_user(tmp_path: Path, ainsights: Callable[..., ProgramResult]) -> None:
    with running(Options(tmp_path / "insights.db", api_key=KEY)) as other, Client(other) as client:
        for user in ("ann", "bob", "ann"):
            client.put(insight(user_id=user))

        assert ainsights("erase", "--user", "ann", "--yes", "--url", other.url).out == "Erased 2 events.\n"
        assert [item["user"] for item in client.listed()["items"]] == ["bob"]


def test_tail_shows_the_last_and_then_new_ones(tmp_path: Path) -> None:
    with running(Options(tmp_path / "insights.db", api_key=KEY)) as endpoint, Client(endpoint) as client:
        client.put(insight("before", messages="\x1b[31mred\x1b[0m"))
        client.await_index()
        command = [sys.executable, "-m", "ainsights", "tail", "--count", "2", "--url", endpoint.url, "model:gpt"]
        environ = os.environ | {"AINSIGHTS_API_KEY": KEY}
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environ) as process:
            watchdog = threading.Timer(60, process.kill)
            watchdog.start()
            assert process.stdout
            first = process.stdout.readline()
            client.put(insight("new 1"))
            client.put(insight("other", response={"model": "else"}))
            client.put(insight("new 2"))
            rest = process.stdout.read()
            watchdog.cancel()

    assert "before" in first
    assert "\\x1b[31mred" in first
    assert [line.split("  ")[1] for line in rest.splitlines()] == ["new 1", "new 2"]
    assert process.returncode == 0


@respx.mock
@pytest.mark.parametrize("answer", [httpx.Response(404, text="<html>"), httpx.Response(200, text="<html>")])
def test_answer_of_another_server_is_one_line(ainsights: Callable[..., ProgramResult], answer: httpx.Response) -> None:
    respx.get(url__startswith="https://elsewhere.example/insights").mock(return_value=answer)
    ran = ainsights("list", "--url", "https://elsewhere.example")

    assert (ran.status, ran.err.count("\n")) == (1, 1)
    assert "is it an endpoint of 'ainsights serve'?" in ran.err
