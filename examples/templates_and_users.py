"""Templates and users: the insight has the prompt before formatting, its variables, and the user."""

import os

import openai

import ainsights

ainsights.instrument(meta={"service": "examples"})

MODEL = os.environ.get("EXAMPLE_MODEL", "gpt-4o-mini")
SUMMARY = ainsights.Template(
    [
        {"role": "system", "content": "You summarise for {audience}."},
        {"role": "user", "content": "Summarise in {count} words: {text}"},
    ]
)


@ainsights.context(meta={"feature": "summary"})
def summarise(client: openai.OpenAI, text: str, user: str) -> str | None:
    messages = SUMMARY.format(audience="children", count=10, text=text)
    with ainsights.context(user_id=user):
        completion = client.chat.completions.create(model=MODEL, messages=messages)
    return completion.choices[0].message.content


if __name__ == "__main__":
    print(summarise(openai.OpenAI(), "It was the best of times, it was the worst of times.", "ann"))
