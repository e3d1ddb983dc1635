"""An endpoint whose requests choose their responses: directives, and the failures that are to come first."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from ainsights.mock_openai.plan import error_response, plan_response
from ainsights.mock_openai.request import InvalidRequestError, read_request
from ainsights.mock_openai.script import Script, ScriptError, directives_of, parse_directives

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ainsights.mock_openai.call import Call
    from ainsights.mock_openai.plan import PlannedResponse

SCRIPT_HEADER = b"x-mock"
"""Has directives, and wins over those of the model's name."""

ID_HEADER = b"x-mock-id"
"""Requests that have the same one count as equal for ``fail=N``; without one, those with the same body do."""

_KNOWN = 10_000


class Scripted:
    """Plans the responses of an endpoint. Its only state is how often it saw those requests that are to fail at first.

    Args:
        answer: script, request and the key of its ids -> the object that is answered, or the list of the server-sent
            events if the request has ``stream: true``.
        check: raises :class:`InvalidRequestError` where a request lacks what the endpoint needs.
    """

    def __init__(
        self,
        answer: Callable[[Script, Mapping[str, Any], str], Any],
        check: Callable[[dict[str, Any]], None],
    ) -> None:
        self._answer = answer
        self._check = check
        self._attempts: OrderedDict[str, int] = OrderedDict()

    def __call__(self, call: Call) -> PlannedResponse:
        """Return the response to ``call``."""
        try:
            return self._plan(call)
        except InvalidRequestError as error:
            return error_response(error.status, str(error), call.key, **error.details)

    def _plan(self, call: Call) -> PlannedResponse:
        request = read_request(call.body, call.path_params.get("deployment"))
        self._check(request)
        script = script_of(request, call.header(SCRIPT_HEADER))
        attempt = self._attempt(script, call.header(ID_HEADER) or call.key)

        def answer(script: Script) -> Any:
            return self._answer(script, request, call.key)

        return plan_response(script, answer, call.key, attempt, is_stream=request.get("stream") is True)

    def forget(self) -> None:
        """Count equal requests from 1 again."""
        self._attempts.clear()

    def _attempt(self, script: Script, identity: str) -> int:
        if not script.fail:
            return 1
        attempt = self._attempts[identity] = self._attempts.get(identity, 0) + 1
        if len(self._attempts) > _KNOWN:
            self._attempts.popitem(last=False)
        return attempt


def script_of(request: Mapping[str, Any], header: str | None) -> Script:
    """Return the script of a request.

    Raises:
        InvalidRequestError: a directive is not known, or has a wrong value.
    """
    try:
        return parse_directives(directives_of(request["model"], header))
    except ScriptError as error:
        raise InvalidRequestError(str(error), "model", "unknown_directive") from None
