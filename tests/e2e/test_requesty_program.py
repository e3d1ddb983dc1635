"""A program of the vendor's SDK does the same with ours. ``nox -s requesty`` runs it with both."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.endpoints import Endpoint, running_endpoint
from support.requesty_forms import FORMS

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAM = Path(__file__).parents[1] / "support" / "requesty_program.py"
ACCEPTED = ["True True 200 {\"success\": true} {'success': True}", "accepted"]
EXPECTED = [
    *(line for name in FORMS for line in (name, *ACCEPTED)),
    "neither AInsightsValueError, True",
    "inputs without a template AInsightsValueError, True",
    "a template whose inputs are none AInsightsValueError, True",
    "by position TypeError",
    "new client by position TypeError",
    "wrong type ValueError",
    "True True 422 {\"error\": \"no\"} {'error': 'no'}",
    "refused",
]
"""What the program prints with the vendor's SDK 0.3.5."""

needs_vendor = pytest.mark.skipif(find_spec("requestyai") is None, reason="nox -s requesty installs it")


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with running_endpoint() as endpoint:
        yield endpoint


@pytest.fixture
def refusing() -> Iterator[Endpoint]:
    with running_endpoint(lambda handler: handler.answer(422, b'{"error": "no"}')) as endpoint:
        yield endpoint


def stored(endpoint: Endpoint) -> list[dict[str, Any]]:
    """Return the bodies without what only ours adds, and without what only the vendor's adds: fields that are null."""
    bodies = []
    for body in endpoint.stored:
        meta = {key: value for key, value in body["meta"].items() if not key.startswith("ainsights.")}
        bodies.append({**without_nulls(body), "meta": meta, "user_id": body["user_id"]})
    return bodies


def without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    return [without_nulls(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("module", ["ainsights", pytest.param("requestyai", marks=needs_vendor)])
def test_program_of_the_vendors_sdk_sees_the_same(endpoint: Endpoint, refusing: Endpoint, module: str) -> None:
    ran = subprocess.run(
        [sys.executable, PROGRAM, module, endpoint.url, refusing.url],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ran.returncode, ran.stderr if module == "requestyai" else "") == (0, "")
    assert ran.stdout.splitlines() == EXPECTED
    bodies = stored(endpoint)
    assert [body["user_id"] for body in bodies] == [*(form.get("user_id") for form in FORMS.values()), "at exit"]
    for form, body in zip(FORMS.values(), bodies, strict=False):
        assert {name: body[name] for name in form} == form
        assert body["inputs"] == form.get("inputs", {})
        assert body["response"]["choices"][0]["message"]["content"] == "hello"
        assert set(endpoint.headers[0]) >= {"Authorization", "Content-Type"}
        assert endpoint.headers[0]["Authorization"] == "Bearer the-key"
