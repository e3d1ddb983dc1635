"""The request of an insight as cURL and as Python, to try it again. Pure."""

from __future__ import annotations

import json
import pprint
import shlex
from typing import Any

from ainsights._model import MetaKey
from ainsights.server.events.reading import as_dict, as_text
from ainsights.server.pages.resend import call_of

DEFAULT_BASE_URL = "https://api.openai.com/v1"


def curl(insight: dict[str, Any]) -> str:
    """Return a command line that sends the request again; every captured text is quoted for the shell."""
    call = call_of(insight)
    request = call.request | as_dict(call.request.get("extra_body"))
    request.pop("extra_body", None)
    body = json.dumps(request, ensure_ascii=False, indent=1)
    url = f"{_base_url(insight)}{call.path}"
    return (
        f"curl {shlex.quote(url)} \\\n  -H 'Content-Type: application/json' \\\n"
        f'  -H "Authorization: Bearer $OPENAI_API_KEY" \\\n  -d {shlex.quote(body)}'
    )


def python(insight: dict[str, Any]) -> str:
    """Return a program that sends the request again; captured values stand as literals."""
    base_url, call = _base_url(insight), call_of(insight)
    client = "OpenAI()" if base_url == DEFAULT_BASE_URL else f"OpenAI(base_url={base_url!r})"
    arguments = "".join(f"    {name}={_literal(value)},\n" for name, value in _keywords(call.request))
    return (
        f"from openai import OpenAI\n\nclient = {client}\nanswer = client.{call.method}(\n{arguments})\nprint(answer)\n"
    )


def _keywords(request: dict[str, Any]) -> list[tuple[str, Any]]:
    """Return the arguments; what is not a Python name goes into ``extra_body``."""
    odd = {name: value for name, value in request.items() if not name.isidentifier()}
    plain = [(name, value) for name, value in request.items() if name.isidentifier()]
    return [*plain, ("extra_body", odd)] if odd and "extra_body" not in request else plain


def _literal(value: Any) -> str:
    return pprint.pformat(value, width=100, sort_dicts=False).replace("\n", "\n    ")


def _base_url(insight: dict[str, Any]) -> str:
    return (as_text(as_dict(insight.get("meta")).get(MetaKey.BASE_URL)) or DEFAULT_BASE_URL).rstrip("/")
