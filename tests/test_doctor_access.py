"""Whether the endpoint accepts the key, checked without storing anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.doctor import KEY, by_contract
from support.endpoints import Handler, running_endpoint

from ainsights import server
from ainsights.server import running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from support.doctor import Doctor


@pytest.fixture
def ours(tmp_path: Path) -> Iterator[server.Endpoint]:
    with running(server.Options(tmp_path / "insights.db", api_key=KEY)) as endpoint:
        yield endpoint


def test_right_key_at_our_own_endpoint_is_ok(doctor: Doctor, ours: server.Endpoint) -> None:
    ran = doctor("--json", base_url=ours.url, api_key=KEY)
    (found,) = ran.found("access")
    assert (ran.status, found["level"], found["details"]["key_accepted"]) == (0, "ok", True)
    assert "--send" in found["message"]


def test_wrong_key_at_our_own_endpoint_is_a_problem(doctor: Doctor, ours: server.Endpoint) -> None:
    ran = doctor("--json", base_url=ours.url, api_key="another-key-0123456789")
    (found,) = ran.found("access")
    assert (ran.status, found["level"], found["details"]["key_accepted"]) == (1, "problem", False)
    assert found["remedy"].startswith("export AINSIGHTS_API_KEY=")


def test_missing_key_at_our_own_endpoint_is_a_problem(doctor: Doctor, ours: server.Endpoint) -> None:
    ran = doctor("--json", base_url=ours.url)
    assert (ran.status, ran.levels("access")) == (1, ["problem"])


def test_url_that_ends_in_insight_is_a_warning_that_names_the_right_one(doctor: Doctor, ours: server.Endpoint) -> None:
    ran = doctor("--json", base_url=f"{ours.url}/insight/", api_key=KEY)
    path, _connection = ran.found("endpoint")
    assert (path["level"], path["remedy"]) == ("warning", f"export AINSIGHTS_BASE_URL={ours.url}")
    (found,) = ran.found("access")
    assert (ran.status, found["level"], found["details"]["status"]) == (1, "problem", 404)


def test_another_path_is_where_the_endpoint_is_asked(doctor: Doctor, tmp_path: Path) -> None:
    with running(server.Options(tmp_path / "voice.db", api_key=KEY, paths=("/voice",))) as endpoint:
        wrong = doctor("--json", base_url=endpoint.url, api_key=KEY)
        right = doctor("--json", base_url=endpoint.url, api_key=KEY, path="/voice")
    (connection,) = right.found("endpoint")
    assert (right.status, connection["details"]["url"]) == (0, f"{endpoint.url}/voice")
    assert right.levels("access") == ["ok"]
    (found,) = wrong.found("access")
    assert (wrong.status, found["details"]["status"]) == (1, 404)
    assert "AINSIGHTS_PATH=" in found["remedy"]


def test_wrong_path_is_to_be_corrected_before_the_endpoint_is_asked(doctor: Doctor, ours: server.Endpoint) -> None:
    ran = doctor("--json", base_url=ours.url, api_key=KEY, path="voice")
    (found,) = ran.found("endpoint")
    assert (ran.status, found["remedy"]) == (1, "correct AINSIGHTS_PATH first")
    assert ran.found("access") == []


def test_nothing_is_stored(doctor: Doctor, ours: server.Endpoint) -> None:
    doctor(base_url=ours.url, api_key=KEY)
    assert '"items":[]' in listed(ours)


def listed(ours: server.Endpoint) -> str:
    import httpx  # noqa: PLC0415  one test's

    headers = {"Authorization": f"Bearer {KEY}"}
    return httpx.get(f"{ours.url}/insights", headers=headers, trust_env=False).text.replace(" ", "")


def test_request_has_no_body(doctor: Doctor) -> None:
    with running_endpoint(by_contract()) as endpoint:
        assert doctor("--json", base_url=endpoint.url, api_key=KEY).levels("access") == ["ok"]
        assert endpoint.stored == []
        assert [each["Content-Length"] for each in endpoint.headers] == ["0", "0"]
        assert [each.get("Authorization") for each in endpoint.headers] == [f"Bearer {KEY}", None]


def test_endpoint_that_checks_the_body_before_the_key_is_a_warning(doctor: Doctor) -> None:
    with running_endpoint(lambda handler: handler.answer(422)) as endpoint:
        ran = doctor("--json", base_url=endpoint.url, api_key=KEY)
    (found,) = ran.found("access")
    assert (ran.status, found["level"], found["remedy"]) == (0, "warning", "ainsights doctor --send")
    assert found["details"] == {"status": 422, "ms": found["details"]["ms"], "key_accepted": None}


@pytest.mark.parametrize(
    ("behave", "level", "status", "remedy"),
    [
        (lambda handler: handler.answer(403), "problem", 403, "export AINSIGHTS_API_KEY="),
        (lambda handler: handler.answer(307), "problem", 307, "check AINSIGHTS_BASE_URL"),
        (lambda handler: handler.answer(405), "problem", 405, "export AINSIGHTS_BASE_URL="),
        (lambda handler: handler.answer(503), "warning", 503, "ainsights doctor --send"),
        (lambda handler: handler.raw(b"HTTP/1.1 200 OK\r\n\r\nhi"), "warning", 200, "check AINSIGHTS_BASE_URL"),
        (lambda handler: handler.raw(b"garbage\r\n\r\n"), "problem", None, "check AINSIGHTS_BASE_URL"),
        (Handler.hang, "problem", None, "check firewall"),
    ],
    ids=["forbidden", "redirect", "other method", "busy", "takes anything", "garbage", "hanging"],
)
def test_answer_to_the_empty_request_is_explained(
    doctor: Doctor, behave: Callable[[Handler], bool], level: str, status: int | None, remedy: str
) -> None:
    with running_endpoint(behave) as endpoint:
        ran = doctor("--json", base_url=endpoint.url, api_key=KEY, timeout="0.5")
    (found,) = ran.found("access")
    assert (found["level"], found["details"]["status"]) == (level, status)
    assert found["remedy"].startswith(remedy)


def test_test_insight_replaces_the_empty_request(doctor: Doctor) -> None:
    with running_endpoint(by_contract()) as endpoint:
        ran = doctor("--json", "--send", base_url=endpoint.url, api_key=KEY)
        assert endpoint.requests == 1
    assert (ran.found("access"), ran.levels("send")) == ([], ["ok"])
