"""Style sheet, script and icon, under a URL that changes with their content."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib import resources

from starlette.responses import PlainTextResponse, Response

PREFIX = "/ui/static/"
FILES = {
    "explorer.css": "text/css; charset=utf-8",
    "explorer.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
FOR_EVER = "public, max-age=31536000, immutable"

_DIRECTORY = resources.files("ainsights.server.pages") / "static"


@cache
def url(name: str) -> str:
    """Return the URL of a static file; it changes with the content, so that browsers may keep it for ever."""
    return f"{PREFIX}{hashlib.sha256(_content(name)).hexdigest()[:12]}/{name}"


def answer(path: str) -> Response:
    """Return the file at ``path``."""
    name = path.rpartition("/")[2]
    if name not in FILES or path != url(name):
        return PlainTextResponse("no such file\n", 404)
    return Response(_content(name), media_type=FILES[name], headers={"Cache-Control": FOR_EVER})


@cache
def _content(name: str) -> bytes:
    return (_DIRECTORY / name).read_bytes()
