"""Plain openai code, and one line more: a plain, a streamed, a tool-calling, an async and a failed call.

    export OPENAI_API_KEY=...       # your model API
    export AINSIGHTS_API_KEY=...    # your Insights platform
    python examples/quickstart.py

``ainsights demo`` runs it without either, against servers of its own.
"""

import asyncio
import os

import openai

import ainsights

ainsights.instrument()  # the one line

MODEL = os.environ.get("QUICKSTART_MODEL", "gpt-4o-mini")
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city, now.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


def plain(client: openai.OpenAI) -> None:
    completion = client.chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": "Say hello in five languages."}], user="ann"
    )
    print("plain:   ", completion.choices[0].message.content)


def streamed(client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": "Count to ten."}],
        stream=True,
        stream_options={"include_usage": True},
    )
    print("streamed:", end=" ")
    for chunk in stream:
        for choice in chunk.choices:
            print(choice.delta.content or "", end="", flush=True)
    print()


def tools(client: openai.OpenAI) -> None:
    completion = client.chat.completions.create(
        model=os.environ.get("QUICKSTART_TOOLS_MODEL", MODEL),
        messages=[{"role": "user", "content": "What is the weather in Paris?"}],
        tools=[WEATHER],
    )
    for call in completion.choices[0].message.tool_calls or []:
        if call.type == "function":
            print("tools:   ", call.function.name, call.function.arguments)


async def asynchronous() -> None:
    async with openai.AsyncOpenAI() as client:
        completion = await client.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": "And the same, without waiting."}]
        )
    print("async:   ", completion.choices[0].message.content)


def failed(client: openai.OpenAI) -> None:
    try:
        client.chat.completions.create(
            model=os.environ.get("QUICKSTART_BAD_MODEL", "no-such-model"),
            messages=[{"role": "user", "content": "Anybody there?"}],
        )
    except openai.APIStatusError as error:
        print("failed:  ", type(error).__name__, error.status_code)


def main() -> None:
    with openai.OpenAI() as client:
        plain(client)
        streamed(client)
        tools(client)
        asyncio.run(asynchronous())
        failed(client)


if __name__ == "__main__":
    main()
