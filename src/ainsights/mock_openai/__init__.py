"""A mock model API, compatible with OpenAI's, for demo, tests and examples. Extra ``ainsights[server]``.

A request says how it is answered: by directives in its model's name, ``mock:tools,n=2,delay=0.05``, or in a header
``x-mock: tools,n=2``, which wins. Any other model gets an ordinary reply. :data:`DIRECTIVES` tells what there is.
The same request is always answered the same, byte for byte; only ``fail=N`` counts.

    with mock_openai.serving() as server:
        client = openai.OpenAI(base_url=server.base_url, api_key="any")

A request walks this way: ``app`` (records it) → ``chat`` (reads it) → ``script`` (its directives) → ``answer``, from
``replies`` (the completion), ``chunks`` and ``sse`` (as a stream) → ``app`` (sends it) → ``connection``. What lies
between the two ``app`` is functions of values.
"""

from __future__ import annotations

from ainsights.mock_openai.cases import CASES, Case
from ainsights.mock_openai.chunks import chunks
from ainsights.mock_openai.replies import completion
from ainsights.mock_openai.requests import Received, Requests
from ainsights.mock_openai.run import Server, serve, serving
from ainsights.mock_openai.script import DIRECTIVES, Script, ScriptError, parse

__all__ = [
    "CASES",
    "DIRECTIVES",
    "Case",
    "Received",
    "Requests",
    "Script",
    "ScriptError",
    "Server",
    "chunks",
    "completion",
    "parse",
    "serve",
    "serving",
]
