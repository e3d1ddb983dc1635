"""Celery tasks: the worker's processes are forks, and deliver what they captured before they end.

pip install celery
celery --app celery_tasks worker --concurrency 4
"""

import os

import celery
import openai

import ainsights

ainsights.instrument()
app = celery.Celery("celery_tasks", broker=os.environ.get("BROKER_URL", "redis://localhost"))
MODEL = os.environ.get("EXAMPLE_MODEL", "gpt-4o-mini")


@app.task
def summarise(text: str, user: str) -> str | None:
    with ainsights.context(user_id=user, meta={"task": "summarise"}):
        completion = openai.OpenAI().chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": f"Summarise: {text}"}]
        )
    return completion.choices[0].message.content
