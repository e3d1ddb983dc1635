"""The Responses API: a conversation that goes on by its ids, a stream, and a response made in the background."""

import os
import time

import openai

import ainsights

ainsights.instrument()

MODEL = os.environ.get("EXAMPLE_MODEL", "gpt-4o-mini")
PROMPT = ainsights.Template("Tell {name} a short joke.")


def main() -> None:
    client = openai.OpenAI()
    with ainsights.context(user_id="ann"):
        first = client.responses.create(
            model=MODEL, instructions="You are a comedian.", input=PROMPT.format_input(name="Ann")
        )
        print(first.output_text)
        second = client.responses.create(model=MODEL, input="Explain it.", previous_response_id=first.id)
        print(second.output_text)  # its insight names the response that it continues, and shares its conversation

        for event in client.responses.create(model=MODEL, input="Tell me a story.", stream=True):
            if event.type == "response.output_text.delta":
                print(event.delta, end="", flush=True)
        print()

        poem = client.responses.create(model=MODEL, input="Write a long poem.", background=True)
        while poem.status in ("queued", "in_progress"):  # one insight, when it has ended
            time.sleep(0.1)
            poem = client.responses.retrieve(poem.id)
        print(poem.status)


if __name__ == "__main__":
    main()
