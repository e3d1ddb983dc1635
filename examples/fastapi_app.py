"""A FastAPI app: one line at start-up, and a context for the user of each request.

pip install fastapi uvicorn
uvicorn fastapi_app:app --workers 4
"""

import os
from typing import Annotated

import openai
from fastapi import Depends, FastAPI, Header

import ainsights

ainsights.instrument()
app = FastAPI()
MODEL = os.environ.get("EXAMPLE_MODEL", "gpt-4o-mini")


def client() -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI()


@app.get("/ask")
async def ask(
    question: str,
    client: Annotated[openai.AsyncOpenAI, Depends(client)],
    x_user: Annotated[str | None, Header()] = None,
) -> dict[str, str | None]:
    with ainsights.context(user_id=x_user, meta={"route": "/ask"}):
        completion = await client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": question}])
    return {"answer": completion.choices[0].message.content}
