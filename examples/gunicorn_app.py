"""A WSGI app for gunicorn, also with --preload: each worker is a fork, and delivers what it captured itself.

    pip install gunicorn
    gunicorn --preload --workers 4 gunicorn_app:app

Without the one line in the program, the same: ``ainsights run gunicorn …``.
"""

import os
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qs

import openai

import ainsights

ainsights.instrument()
client = openai.OpenAI()
MODEL = os.environ.get("EXAMPLE_MODEL", "gpt-4o-mini")


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    question = parse_qs(environ["QUERY_STRING"]).get("question", ["Anybody there?"])[0]
    completion = client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": question}])
    start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8")])
    return [(completion.choices[0].message.content or "").encode()]
