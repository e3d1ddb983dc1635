"""Other instrumentations in the same process: ours comes before or after, and goes before or after.

Each program runs with the other instrumentation alone too, to see what it records when we are not there.
"""

from __future__ import annotations

import urllib.request
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from exchanges import Exchange, form_of, of, recorded, successful
from launching import ProgramResult, launch
from support.endpoints import running_endpoint
from support.programs import settings

from ainsights.mock_openai import Server, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

ORDERS = [(first, undone) for first in ("ours", "theirs") for undone in ("ours", "theirs")]
BURIES_REQUEST = {"openinference", "logfire"}
"""Those that, when they come first, keep ``request`` of ours from being reached."""

LEAVES_OPEN = {"opentelemetry"}
"""Those whose stream of a chat completion does not close openai's when a ``with`` is left."""

PHASES = ("records", "records_with_one_undone", "records_with_both_undone", "records_in_the_end")


class Run(NamedTuple):
    """Everything that one program, the model API and the Insights endpoint observed of a run."""

    first: str
    undone: str
    ran: ProgramResult
    exchanges: list[Exchange]
    events: list[dict[str, Any]]


def forget(model_api: Server) -> None:
    """Let the model API count requests, and those to fail, from 1 again."""
    urllib.request.urlopen(urllib.request.Request(f"{model_api.url}/mock/requests", method="DELETE")).close()


@pytest.fixture(scope="module")
def model_api() -> Iterator[Server]:
    with serving() as server:
        yield server


@pytest.fixture(scope="module")
def alone(framework: str, model_api: Server, run: Run, alones: dict[str, ProgramResult]) -> ProgramResult:
    """Return what the program shows without us, and with all else the same."""
    if run.undone not in alones:
        forget(model_api)
        alones[run.undone] = launch("beside/program.py", model_api.base_url, framework, "alone", run.undone)
    return alones[run.undone]


@pytest.fixture(scope="module")
def alones() -> dict[str, ProgramResult]:
    return {}


@pytest.fixture(
    scope="module", params=ORDERS, ids=[f"{first} first, {undone} undone first" for first, undone in ORDERS]
)
def run(request: pytest.FixtureRequest, framework: str, model_api: Server) -> Run:
    first, undone = request.param
    with running_endpoint() as endpoint:
        forget(model_api)
        ran = launch("beside/program.py", model_api.base_url, framework, first, undone, **settings(endpoint.url))
        return Run(first, undone, ran, successful(model_api.requests), endpoint.stored)


def captured(run: Run, form: str) -> bool:
    """Whether ainsights is active when a call of this form is made."""
    return "both_undone" not in form and ("one_undone" not in form or run.undone == "theirs")


def test_retry_is_counted_in_the_event_of_its_call(run: Run) -> None:
    retries = [each["meta"]["ainsights.retries"] for each in run.events if form_of(each["messages"]) == "retried"]
    assert retries == [1]


def test_programs_run_to_their_end(alone: ProgramResult, run: Run) -> None:
    assert (alone.status, run.ran.status) == (0, 0), alone.err + run.ran.err


def test_program_gets_the_same_as_with_the_other_instrumentation_alone(
    alone: ProgramResult, run: Run, form: str
) -> None:
    assert run.ran.got[form].startswith("raised ") == ("failed" in form)
    assert run.ran.got[form] == alone.got[form]


def test_each_successful_exchange_is_one_event(run: Run, form: str) -> None:
    if "left_early" not in form:
        assert of(form, recorded(run.events)) == (of(form, run.exchanges) if captured(run, form) else [])


def test_call_has_one_event_with_its_status(
    run: Run, form: str, framework: str, request: pytest.FixtureRequest
) -> None:
    if "failed" in form and framework in BURIES_REQUEST and run.first == "theirs":
        request.applymarker(pytest.mark.xfail(reason="nothing of ours sees a call that fails inside their wrapper"))
    statuses = [each["meta"]["ainsights.status"] for each in run.events if form_of(each["messages"]) == form]
    left = "abandoned" if framework in LEAVES_OPEN and "response" not in form else "closed_early"
    expected = "error" if "failed" in form else left if "left_early" in form else "ok"
    assert statuses == ([expected] if captured(run, form) else [])


@pytest.mark.parametrize("phase", PHASES)
def test_their_records_are_the_same_as_without_us(alone: ProgramResult, run: Run, phase: str) -> None:
    assert run.ran.got[phase] == alone.got[phase]


def test_patched_methods_are_restored_in_any_order_of_removal(run: Run) -> None:
    assert run.ran.got["restored"]
    assert run.ran.got["restored_at_first"] == (run.undone == "ours")


def test_other_instrumentation_continues_when_ours_is_removed(run: Run) -> None:
    more = len(run.ran.got["records_with_one_undone"]) - len(run.ran.got["records"])
    assert more == 2 or run.undone == "theirs"


def test_nothing_failed_inside_ainsights(run: Run) -> None:
    assert run.ran.got["failures"] == {}


def test_each_event_has_an_id_of_its_own(run: Run) -> None:
    assert max(Counter(event["meta"]["ainsights.event_id"] for event in run.events).values()) == 1


def test_program_prints_no_more_to_stderr(alone: ProgramResult, run: Run) -> None:
    assert set(run.ran.err.splitlines()) <= set(alone.err.splitlines())


def test_nothing_but_loopback_is_reached(alone: ProgramResult, run: Run) -> None:
    assert "reached out" not in alone.err + run.ran.err
