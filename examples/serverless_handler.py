"""A function-as-a-service handler: the process is frozen between two events, so it waits for delivery in each."""

import os
from typing import Any

import openai

import ainsights

ainsights.instrument()
client = openai.OpenAI()
MODEL = os.environ.get("EXAMPLE_MODEL", "gpt-4o-mini")


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    try:
        with ainsights.context(user_id=event.get("user")):
            completion = client.chat.completions.create(
                model=MODEL, messages=[{"role": "user", "content": event["question"]}]
            )
        return {"statusCode": 200, "body": completion.choices[0].message.content}
    finally:
        ainsights.flush(timeout=2)


if __name__ == "__main__":
    print(handler({"question": "Anybody there?", "user": "ann"}, None))
