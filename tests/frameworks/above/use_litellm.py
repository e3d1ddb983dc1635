from __future__ import annotations

from typing import Any

import litellm
from forms import BASE_URL, FAILING, KEY, MODEL, SHAKY, City, run

litellm.suppress_debug_info = True


def options(text: str, model: str = MODEL, **more: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": text}]
    return {"model": f"openai/{model}", "messages": messages, "api_base": BASE_URL, "api_key": KEY, **more}


def complete(text: str, **more: Any) -> tuple[Any, ...]:
    return shown(litellm.completion(**options(text, **more)))


async def complete_async(text: str, **more: Any) -> tuple[Any, ...]:
    return shown(await litellm.acompletion(**options(text, **more)))


def shown(answer: Any) -> tuple[Any, ...]:
    message = answer.choices[0].message
    return type(answer), answer.id, message.content, message.tool_calls, answer.usage


def streamed(text: str, **more: Any) -> list[Any]:
    chunks = litellm.completion(**options(text, stream=True, **more))
    return [choice.delta.content for chunk in chunks for choice in chunk.choices]


async def async_streamed(text: str) -> list[Any]:
    stream = await litellm.acompletion(**options(text, stream=True))
    return [chunk.choices[0].delta.content async for chunk in stream]


def response_options(text: str, model: str = MODEL, **more: Any) -> dict[str, Any]:
    """Have LiteLLM ask by openai's client; else it sends responses by an HTTP client of its own."""
    more = {"use_chat_completions_api": True} | more
    return {"model": f"openai/{model}", "input": text, "api_base": BASE_URL, "api_key": KEY, **more}


def respond(text: str, **more: Any) -> Any:
    return litellm.responses(**response_options(text, **more)).output_text


async def respond_async(text: str, **more: Any) -> Any:
    return (await litellm.aresponses(**response_options(text, **more))).output_text


def respond_streamed(text: str) -> list[Any]:
    return [event.type for event in litellm.responses(**response_options(text, stream=True))]


async def respond_async_streamed(text: str) -> list[Any]:
    stream = await litellm.aresponses(**response_options(text, stream=True))
    return [event.type async for event in stream]


TOOL = {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {}}}}

run(
    plain=complete,
    streamed=streamed,
    streamed_with_usage=lambda text: streamed(text, stream_options={"include_usage": True}),
    asynchronous=complete_async,
    async_streamed=async_streamed,
    structured=lambda text: complete(text, response_format=City),
    async_structured=lambda text: complete_async(text, response_format=City),
    tools=lambda text: complete(text, tools=[TOOL], tool_choice="required"),
    retried=lambda text: complete(text, model=SHAKY, num_retries=2),
    failed=lambda text: complete(text, model=FAILING),
    async_failed=lambda text: complete_async(text, model=FAILING),
    response=respond,
    response_asynchronous=respond_async,
    response_streamed=respond_streamed,
    response_async_streamed=respond_async_streamed,
    response_failed=lambda text: respond(text, model=FAILING),
    async_response_failed=lambda text: respond_async(text, model=FAILING),
    response_by_own_client=lambda text: respond(text, use_chat_completions_api=False),
)
