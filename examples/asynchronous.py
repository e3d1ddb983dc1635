"""Many calls at once with asyncio; each task names the user that it calls for."""

import asyncio
import os

import openai

import ainsights

ainsights.instrument()

MODEL = os.environ.get("EXAMPLE_MODEL", "gpt-4o-mini")


async def ask(client: openai.AsyncOpenAI, user: str) -> str | None:
    with ainsights.context(user_id=user, meta={"feature": "greeting"}):
        completion = await client.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": f"Greet {user}."}]
        )
    return completion.choices[0].message.content


async def main() -> None:
    async with openai.AsyncOpenAI() as client:
        print(await asyncio.gather(*(ask(client, user) for user in ("ann", "bob", "eve"))))


if __name__ == "__main__":
    asyncio.run(main())
