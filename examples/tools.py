"""A conversation with a tool: the model asks for it, the program runs it, the model answers. Two insights."""

import json
import os
from typing import Any

import openai

import ainsights

ainsights.instrument()

MODEL = os.environ.get("EXAMPLE_MODEL", "gpt-4o-mini")
TOOL: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city, now.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


def get_weather(city: str) -> str:
    return f"Sunny, 21 degrees in {city}."


def main() -> None:
    client = openai.OpenAI()
    messages: list[Any] = [{"role": "user", "content": "What is the weather in Paris?"}]
    message = client.chat.completions.create(model=MODEL, messages=messages, tools=[TOOL]).choices[0].message
    messages.append(message)
    for call in message.tool_calls or []:
        if call.type == "function":
            result = get_weather(**json.loads(call.function.arguments))
            messages.append({"role": "tool", "tool_call_id": call.id, "content": result})
    print(client.chat.completions.create(model=MODEL, messages=messages, tools=[TOOL]).choices[0].message.content)


if __name__ == "__main__":
    main()
