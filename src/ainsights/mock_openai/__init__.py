"""A mock of OpenAI's model API, for demo, tests and examples. Its servers need the extra ``ainsights[server]``.

A request chooses its response by directives: in its model's name, ``mock:tools,n=2,delay=0.05``, or in a header
``x-mock: tools,n=2``, which wins. Any other model gets an ordinary reply. :data:`DIRECTIVES` lists them. The same
request always gets the same response, byte for byte; only ``fail=N`` counts.

    with mock_openai.serving() as server:
        client = openai.OpenAI(base_url=server.base_url, api_key="any")

It has chat completions, the Responses API over HTTP and over a WebSocket, legacy text completions, embeddings, models.

A request walks this way: ``app`` (records it) → ``scripted`` (reads it) → ``script`` (its directives) → ``plan``, from
``chat`` (``completions``, ``chunks``) or ``responses`` (``output``, ``body``, ``events``), and ``sse`` where it is a
stream → ``app`` (sends it) → ``connection``. What lies between the two ``app`` is functions of values, but for the
responses that are stored.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ainsights.mock_openai.chunks import chunks
from ainsights.mock_openai.completions import completion
from ainsights.mock_openai.request_log import RecordedRequest, RequestLog
from ainsights.mock_openai.script import DIRECTIVES, Script, ScriptError, parse_directives

if TYPE_CHECKING:
    from ainsights.mock_openai.run import Server, serve, serving

__all__ = [
    "DIRECTIVES",
    "RecordedRequest",
    "RequestLog",
    "Script",
    "ScriptError",
    "Server",
    "chunks",
    "completion",
    "parse_directives",
    "serve",
    "serving",
]


def __getattr__(name: str) -> Any:
    """Load what needs the extra at its first use: the command line's help works without it."""
    if name not in {"Server", "serve", "serving"}:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from ainsights.mock_openai import run  # noqa: PLC0415  an extra

    return getattr(run, name)
