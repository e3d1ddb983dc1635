from __future__ import annotations

from typing import Any

import instructor
import openai
from forms import BASE_URL, FAILING, KEY, MODEL, SHAKY, City, run

plain_client = openai.OpenAI(base_url=BASE_URL, api_key=KEY)
async_client = openai.AsyncOpenAI(base_url=BASE_URL, api_key=KEY)


def create(text: str, mode: Any = instructor.Mode.TOOLS, model: str = MODEL, **more: Any) -> Any:
    client = instructor.from_openai(plain_client, mode=mode)
    return client.chat.completions.create(model=model, messages=[{"role": "user", "content": text}], **more)


def create_async(text: str, mode: Any = instructor.Mode.TOOLS, model: str = MODEL, **more: Any) -> Any:
    client = instructor.from_openai(async_client, mode=mode)
    return client.chat.completions.create(model=model, messages=[{"role": "user", "content": text}], **more)


def partial(text: str) -> list[Any]:
    client = instructor.from_openai(plain_client)
    messages: Any = [{"role": "user", "content": text}]
    return list(client.chat.completions.create_partial(City, model=MODEL, messages=messages))


async def async_partial(text: str) -> list[Any]:
    client = instructor.from_openai(async_client)
    messages: Any = [{"role": "user", "content": text}]
    return [city async for city in client.chat.completions.create_partial(City, model=MODEL, messages=messages)]


async def asynchronous(text: str, **more: Any) -> Any:
    return await create_async(text, **more)


def streamed(text: str) -> list[Any]:
    return [chunk.choices[0].delta.content for chunk in create(text, response_model=None, stream=True)]


class Huge(City):
    """A city that no answer describes, so that the model is asked again."""

    def model_post_init(self, _context: Any) -> None:
        raise ValueError("not huge")


run(
    plain=lambda text: create(text, response_model=None).choices[0].message.content,
    streamed=streamed,
    asynchronous=lambda text: asynchronous(text, response_model=None),
    structured=lambda text: create(text, response_model=City),
    structured_as_json=lambda text: create(text, instructor.Mode.JSON_SCHEMA, response_model=City),
    async_structured=lambda text: asynchronous(text, response_model=City),
    structured_streamed=partial,
    async_structured_streamed=async_partial,
    asked_again=lambda text: create(text, response_model=Huge, max_retries=3),
    retried=lambda text: create(text, model=SHAKY, response_model=City),
    failed=lambda text: create(text, model=FAILING, response_model=City),
    async_failed=lambda text: asynchronous(text, model=FAILING, response_model=City),
)
