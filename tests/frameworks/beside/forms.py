"""The calls that the program makes while another instrumentation is active."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import json
import sys
from inspect import iscoroutine
from typing import TYPE_CHECKING, Any

import openai
from pydantic import BaseModel

if TYPE_CHECKING:
    from collections.abc import Callable

FAILING = "mock:status=400"
OPTIONS: dict[str, Any] = {"base_url": sys.argv[1], "api_key": "sk-model", "max_retries": 0}


class City(BaseModel):
    """A city of the world."""

    name: str
    people: int


def client() -> openai.OpenAI:
    return openai.OpenAI(**OPTIONS)


def async_client() -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(**OPTIONS)


def create_params(text: str, **more: Any) -> dict[str, Any]:
    return {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": text}], **more}


older = client()
older_method = older.chat.completions.create
"""Made before anything is instrumented."""


def plain(text: str, **more: Any) -> Any:
    return client().chat.completions.create(**create_params(text, **more))


async def asynchronous(text: str, **more: Any) -> Any:
    return await async_client().chat.completions.create(**create_params(text, **more))


def streamed(text: str, **more: Any) -> list[Any]:
    return list(plain(text, stream=True, **more))


async def async_streamed(text: str, **more: Any) -> list[Any]:
    return [chunk async for chunk in await asynchronous(text, stream=True, **more)]


def parsed(text: str) -> Any:
    return client().chat.completions.parse(**create_params(text), response_format=City).choices[0].message.parsed


async def async_parsed(text: str) -> Any:
    answer = await async_client().chat.completions.parse(**create_params(text), response_format=City)
    return answer.choices[0].message.parsed


def managed(text: str) -> Any:
    with client().chat.completions.stream(**create_params(text)) as stream:
        return stream.get_final_completion().choices[0].message.content


def retried(text: str) -> Any:
    shaky = client().with_options(max_retries=1)
    return shaky.chat.completions.create(**create_params(text, model="mock:status=500,fail=1,retry-after=0.01"))


def raw(text: str) -> Any:
    return client().chat.completions.with_raw_response.create(**create_params(text)).parse()


def streaming_response(text: str) -> Any:
    with client().chat.completions.with_streaming_response.create(**create_params(text)) as response:
        return json.loads(b"".join(response.iter_bytes()))["id"]


def left_early(text: str) -> Any:
    with plain(text, stream=True) as stream:
        return next(iter(stream))


async def async_left_early(text: str) -> Any:
    async with await asynchronous(text, stream=True) as stream:
        return await anext(aiter(stream))


def question(text: str, **more: Any) -> dict[str, Any]:
    return {"model": "gpt-4o-mini", "input": text, **more}


def response(text: str, **more: Any) -> Any:
    return client().responses.create(**question(text, **more))


async def async_response(text: str, **more: Any) -> Any:
    return await async_client().responses.create(**question(text, **more))


def response_streamed(text: str, **more: Any) -> list[Any]:
    return list(response(text, stream=True, **more))


async def async_response_streamed(text: str, **more: Any) -> list[Any]:
    return [event async for event in await async_response(text, stream=True, **more)]


def response_parsed(text: str) -> Any:
    return client().responses.parse(**question(text), text_format=City).output_parsed


def response_managed(text: str) -> Any:
    with client().responses.stream(**question(text)) as stream:
        return stream.get_final_response().output_text


def response_left_early(text: str) -> Any:
    with response(text, stream=True) as stream:
        return next(iter(stream))


_runner = asyncio.Runner()


def settle() -> None:
    """Let streams that nobody holds any more be collected and closed."""
    gc.collect()
    _runner.run(asyncio.sleep(0.01))


def run(**forms: Callable[[str], Any]) -> None:
    """Call each of ``forms`` with the text of the user; print what it returned or raised."""
    for name, form in forms.items():
        print(json.dumps({name: _result(form, f"form {name}: Grüezi")}), flush=True)


def _result(form: Callable[[str], Any], text: str) -> str:
    try:
        context = contextvars.copy_context()  # what one call leaves open there is no part of the next
        result = context.run(form, text)
        return repr(_runner.run(result, context=context) if iscoroutine(result) else result)
    except Exception as error:  # noqa: BLE001  whatever the user would see
        return f"raised {type(error).__module__}.{type(error).__qualname__}: {error}"
