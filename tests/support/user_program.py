"""A user's program: every case of the mock server, sync and async, and all that it can see of each printed.

python user_program.py BASE_URL [instrument]
"""

from __future__ import annotations

import asyncio
import json
import sys
import warnings
from typing import TYPE_CHECKING, Any

if "instrument" in sys.argv:
    import ainsights

    ainsights.instrument()

import openai
from cases import CASES

if TYPE_CHECKING:
    from cases import Case

SHORT = 0.5
"""The client's timeout, in seconds, where the server hangs."""


def show(value: Any) -> str:
    text = value.model_dump_json() if hasattr(value, "model_dump_json") else repr(value)
    return f"{type(value).__module__}.{type(value).__qualname__} {text}"


def describe(error: BaseException) -> str:
    """Return the whole chain of an exception: classes, messages, bodies."""
    parts = [f"{type(error).__module__}.{type(error).__qualname__}: {error}"]
    parts.append(json.dumps(getattr(error, "body", None), default=str))
    for name in ("__cause__", "__context__"):
        linked = getattr(error, name)
        parts.append(f"{name}: {describe(linked) if linked is not None else None}")
    parts.append(f"suppressed: {error.__suppress_context__}")
    return " | ".join(parts)


def options(case: Case) -> dict[str, Any]:
    return case.arguments() | ({"timeout": SHORT} if case.hangs else {})


def sync(case: Case, client: openai.OpenAI) -> None:
    try:
        result: Any = client.chat.completions.create(**options(case))
        if not case.stream:
            print(show(result))
            return
        print(type(result).__qualname__, result.response.stream.__class__.__name__, result.response.status_code)
        with result:
            for chunk in result:
                print(show(chunk))
        print(result.response.is_closed, result.response.is_stream_consumed, result.response.num_bytes_downloaded)
    except openai.OpenAIError as error:
        print(describe(error))
    except Exception as error:  # noqa: BLE001  whatever the user would see
        print("not openai's own:", describe(error))


async def asynchronous(case: Case, client: openai.AsyncOpenAI) -> None:
    try:
        result: Any = await client.chat.completions.create(**options(case))
        if not case.stream:
            print(show(result))
            return
        print(type(result).__qualname__, result.response.stream.__class__.__name__, result.response.status_code)
        async with result:
            async for chunk in result:
                print(show(chunk))
        print(result.response.is_closed, result.response.is_stream_consumed, result.response.num_bytes_downloaded)
    except openai.OpenAIError as error:
        print(describe(error))
    except Exception as error:  # noqa: BLE001  whatever the user would see
        print("not openai's own:", describe(error))


async def all_asynchronous(base_url: str) -> None:
    async with openai.AsyncOpenAI(base_url=base_url, api_key="sk-test", max_retries=0) as client:
        for case in CASES:
            print("async:", case.name)
            await asynchronous(case, client)


def main() -> None:
    warnings.simplefilter("always")
    base_url = sys.argv[1]
    with openai.OpenAI(base_url=base_url, api_key="sk-test", max_retries=0) as client:
        for case in CASES:
            print("sync:", case.name)
            sync(case, client)
    asyncio.run(all_asynchronous(base_url))


if __name__ == "__main__":
    main()
