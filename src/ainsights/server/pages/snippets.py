"""The request of an insight as cURL and as Python, to try it again. Pure."""

from __future__ import annotations

import json
import pprint
import shlex
from typing import Any

from ainsights._model import MetaKey
from ainsights.server.events.messages import message_list, render
from ainsights.server.events.reading import as_dict, as_text

DEFAULT_BASE_URL = "https://api.openai.com/v1"
_NOT_SENT = ("extra_headers", "extra_query", "timeout", "stream_options")


def request_of(insight: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of the call."""
    args = {key: value for key, value in as_dict(insight.get("args")).items() if key not in _NOT_SENT}
    messages = message_list(insight.get("messages")) or render(insight.get("template"), as_dict(insight.get("inputs")))
    model = as_text(args.get("model")) or as_text(as_dict(insight.get("response")).get("model")) or "gpt-4o"
    return {"model": model, "messages": messages} | {key: value for key, value in args.items() if key != "model"}


def curl(insight: dict[str, Any]) -> str:
    """Return a command line that sends the request again; every captured text is quoted for the shell."""
    request = request_of(insight)
    request |= as_dict(request.pop("extra_body", None))
    body = json.dumps(request, ensure_ascii=False, indent=1)
    url = f"{_base_url(insight)}/chat/completions"
    return (
        f"curl {shlex.quote(url)} \\\n  -H 'Content-Type: application/json' \\\n"
        f'  -H "Authorization: Bearer $OPENAI_API_KEY" \\\n  -d {shlex.quote(body)}'
    )


def python(insight: dict[str, Any]) -> str:
    """Return a program that sends the request again; captured values stand as literals."""
    base_url = _base_url(insight)
    client = "OpenAI()" if base_url == DEFAULT_BASE_URL else f"OpenAI(base_url={base_url!r})"
    arguments = "".join(f"    {name}={_literal(value)},\n" for name, value in _keywords(request_of(insight)))
    return (
        f"from openai import OpenAI\n\nclient = {client}\n"
        f"completion = client.chat.completions.create(\n{arguments})\nprint(completion)\n"
    )


def _keywords(request: dict[str, Any]) -> list[tuple[str, Any]]:
    """Return the arguments; what is no Python name goes into ``extra_body``."""
    odd = {name: value for name, value in request.items() if not name.isidentifier()}
    plain = [(name, value) for name, value in request.items() if name.isidentifier()]
    return [*plain, ("extra_body", odd)] if odd and "extra_body" not in request else plain


def _literal(value: Any) -> str:
    return pprint.pformat(value, width=100, sort_dicts=False).replace("\n", "\n    ")


def _base_url(insight: dict[str, Any]) -> str:
    return (as_text(as_dict(insight.get("meta")).get(MetaKey.BASE_URL)) or DEFAULT_BASE_URL).rstrip("/")
