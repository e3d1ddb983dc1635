"""Frameworks above openai: each program runs twice, without ainsights and with it, and is compared with itself."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from exchanges import Exchange, form_of, of, recorded, successful
from launching import ProgramResult, launch
from support.endpoints import running_endpoint
from support.programs import settings

from ainsights.mock_openai import serving

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ainsights.mock_openai import RecordedRequest


class Runs(NamedTuple):
    """What there is to see of the program without and with ainsights."""

    bare: ProgramResult
    ours: ProgramResult
    sent_bare: Sequence[RecordedRequest]
    sent_ours: Sequence[RecordedRequest]
    events: list[dict[str, Any]]

    @property
    def exchanges(self) -> list[Exchange]:
        return successful(self.sent_ours)


@pytest.fixture(scope="module")
def runs(framework: str) -> Runs:
    program = f"above/use_{framework}.py"
    with serving() as server, serving() as second, running_endpoint() as endpoint:
        bare = launch(program, server.base_url)
        ours = launch(program, second.base_url, "instrument", **settings(endpoint.url))
        return Runs(bare, ours, server.requests[:], second.requests[:], endpoint.stored)


def failing(form: str) -> bool:
    return "failed" in form


def is_out_of_reach(form: str) -> bool:
    """Whether the framework does not ask by openai's client, so that nothing is captured."""
    return "by_own_client" in form


def test_program_runs_to_its_end(runs: Runs) -> None:
    assert (runs.bare.status, runs.ours.status) == (0, 0), runs.ours.err


def test_form_succeeds_or_fails_as_it_is_meant_to(runs: Runs, form: str) -> None:
    assert runs.bare.got[form].startswith("raised ") == (failing(form) or form == "asked_again")


def test_program_gets_the_same_with_and_without_us(runs: Runs, form: str) -> None:
    assert runs.ours.got[form] == runs.bare.got[form]


def test_model_api_receives_the_same_requests(runs: Runs, form: str) -> None:
    def sent(requests: Sequence[RecordedRequest]) -> Counter[bytes]:
        return Counter(each.body for each in requests if form_of(json.loads(each.body)) == form)

    assert sent(runs.sent_bare)
    assert sent(runs.sent_ours) == sent(runs.sent_bare)


def test_each_successful_exchange_is_one_event(runs: Runs, form: str) -> None:
    assert bool(of(form, runs.exchanges)) != failing(form)
    assert of(form, recorded(runs.events)) == ([] if is_out_of_reach(form) else of(form, runs.exchanges))


def test_failed_call_is_an_event_of_its_own(runs: Runs, form: str) -> None:
    statuses = Counter(
        event["meta"]["ainsights.http_status"]
        for event in runs.events
        if form_of(event["messages"]) == form and event["meta"]["ainsights.status"] != "ok"
    )
    assert statuses == ({400: 1} if failing(form) else statuses & Counter({500: 1}) if "retried" in form else {})


def test_exactly_the_forms_within_reach_have_events(runs: Runs) -> None:
    forms = {form for form in runs.ours.got if not is_out_of_reach(form)}
    assert {form_of(event["messages"]) for event in runs.events} == forms


def test_each_event_has_an_id_of_its_own(runs: Runs) -> None:
    ids = {event["meta"]["ainsights.event_id"] for event in runs.events}
    assert len(ids) == len(runs.events)


def test_program_prints_the_same_to_stderr(runs: Runs) -> None:
    assert runs.ours.err == runs.bare.err


def test_nothing_but_loopback_is_reached(runs: Runs) -> None:
    assert "reached out" not in runs.bare.err + runs.ours.err
