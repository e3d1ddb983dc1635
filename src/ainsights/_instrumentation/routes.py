"""Routes: which calls of a model API are captured, by method and path. A table of exact suffixes; pure.

What stands before a suffix is the base URL of the model API, with whatever prefix a deployment or a router has there.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

Api = Literal["chat", "responses", "completions"]


class Route(NamedTuple):
    """A route by which a model is asked, or by which its answer is looked up.

    Attributes:
        name: the path after the base URL, as ``stats()`` names it.
        api: whose requests and responses it has; None: it is never captured.
        looks_up: whether it asks for a response that an earlier call created, instead of creating one.
    """

    name: str
    api: Api | None
    looks_up: bool = False


CHAT: Final = Route("chat/completions", "chat")
COMPLETIONS: Final = Route("completions", "completions")
RESPONSES: Final = Route("responses", "responses")
RETRIEVE: Final = Route("responses/{id}", "responses", looks_up=True)
CANCEL: Final = Route("responses/{id}/cancel", "responses", looks_up=True)
WEBSOCKET: Final = Route("responses (WebSocket)", "responses")
UNSEEN_WEBSOCKET: Final = Route("responses (WebSocket)", None)
COMPACT: Final = Route("responses/compact", None)
RUNS: Final = Route("threads/runs", None)

_USUAL: Final = {
    "/chat/completions": CHAT,
    "/responses": RESPONSES,
    "/completions": COMPLETIONS,
    "/embeddings": None,
    "/moderations": None,
}
"""What openai's client itself posts to, which needs no search."""


def find_route(url: str, method: str) -> Route | None:
    """Return the route of a call, or None if it is none of a model that converses.

    Args:
        url: the path, with or without the base URL and a query.
        method: of HTTP, in any case.
    """
    method = method.lower()
    if method == "post":
        return _USUAL[url] if url in _USUAL else _find_post(url)
    return _find_get(url) if method == "get" else None


def _find_post(url: str) -> Route | None:
    head, last = _split(url)
    if last == "completions":
        return CHAT if _ends_with(head, "chat") else COMPLETIONS
    if last == "responses":
        return RESPONSES
    if last == "compact" and _ends_with(head, "responses"):
        return COMPACT
    if last == "cancel" and _ends_with(_split(head)[0], "responses"):
        return CANCEL
    if last == "runs" and (_ends_with(head, "threads") or _ends_with(_split(head)[0], "threads")):
        return RUNS
    return None


def _find_get(url: str) -> Route | None:
    head, last = _split(url)
    return RETRIEVE if last and _ends_with(head, "responses") else None


def _split(path: str) -> tuple[str, str]:
    head, _, last = path.partition("?")[0].rstrip("/").rpartition("/")
    return head, last


def _ends_with(head: str, segment: str) -> bool:
    return head == segment or head.endswith("/" + segment)


def base_of(path: str, route: Route) -> str:
    """Return what stands before the route in the path of a request."""
    segments = path.rstrip("/").split("/")
    depth = len(route.name.split(" ")[0].split("/"))
    return "/".join(segments[: max(len(segments) - depth, 0)]).partition("/deployments/")[0]
