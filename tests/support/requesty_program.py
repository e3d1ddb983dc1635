"""A program that uses every documented form of the vendor's SDK, and prints all that it can see of each.

python requesty_program.py MODULE BASE_URL REFUSING_URL, where MODULE is requestyai or ainsights
"""

from __future__ import annotations

import sys
from concurrent.futures import Future
from importlib import import_module
from typing import TYPE_CHECKING, Any

from requesty_forms import FORMS, MESSAGES, RESPONSE, WRONG

if TYPE_CHECKING:
    from collections.abc import Callable

MODULE, BASE_URL, REFUSING_URL = sys.argv[1:]
AInsights = import_module(MODULE).AInsights
ERRORS = {"requestyai": "requestyai.ainsights.error", "ainsights": "ainsights"}[MODULE]
AInsightsValueError = import_module(ERRORS).AInsightsValueError
AInsightsError = import_module(ERRORS).AInsightsError

PATIENCE = 20.0


def show_answer(future: Any) -> None:
    answer = future.result(PATIENCE)
    print(isinstance(future, Future), future.done(), answer.status_code, answer.text, answer.json())
    try:
        answer.raise_for_status()
        print("accepted")
    except Exception:  # noqa: BLE001  each has errors of its own
        print("refused")


def error_of(call: Callable[[], object]) -> str:
    """Return by what class ``call()`` raises an error of the SDK, or of Python, that a program may catch."""
    try:
        call()
    except AInsightsError as error:
        return f"{type(error).__name__}, {isinstance(error, AInsightsValueError)}"
    except TypeError:
        return "TypeError"
    except ValueError:
        return "ValueError"
    return "nothing"


def main() -> None:
    client = AInsights.new_client(api_key="the-key", base_url=BASE_URL)
    for name, arguments in FORMS.items():
        print(name)
        show_answer(client.capture(response=RESPONSE, **arguments))
    for name, arguments in WRONG.items():
        print(name, error_of(lambda arguments=arguments: client.capture(response=RESPONSE, **arguments)))
    print("by position", error_of(lambda: client.capture(RESPONSE, MESSAGES)))
    print("new client by position", error_of(lambda: AInsights.new_client("the-key")))
    print("wrong type", error_of(lambda: client.capture(response=7, messages=MESSAGES)))
    client.close()
    client.close()

    refused = AInsights.new_client(api_key="the-key", base_url=REFUSING_URL)
    show_answer(refused.capture(response=RESPONSE, messages=MESSAGES))
    refused.close()

    unclosed = AInsights.new_client(api_key="the-key", base_url=BASE_URL)
    unclosed.capture(response=RESPONSE, messages=MESSAGES, user_id="at exit")


if __name__ == "__main__":
    main()
