"""Signing in with a key or with a one-time link, and out."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from starlette.responses import HTMLResponse, RedirectResponse, Response

from ainsights.server.keys import Role
from ainsights.server.pages.sessions import COOKIE, SESSION_SECONDS
from ainsights.server.pages.view import render
from ainsights.server.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ainsights.server.pages.site import Site, Visit

HOME = "/ui/"


def form(status: int = 200, wanted: str = HOME, problem: str | None = None) -> Response:
    """Return the page that asks for a key, and leads to the page ``wanted`` then."""
    return HTMLResponse(render("login.html", wanted=_ours(wanted), problem=problem), status)


def with_key(site: Site, sent: Mapping[str, str], address: str, *, is_https: bool) -> Response:
    """Open a session with the key that a form sent."""
    key = sent.get("key", "").strip()
    try:
        found = site.authorization.check(b"Bearer " + key.encode("latin-1", "replace"), address, Role.READ)
    except Problem as problem:
        return form(problem.status, sent.get("wanted", HOME), str(problem))
    role = "admin" if found.allows(Role.ADMIN) else "read"
    site.store.log_access(found.name, "sign in", address)
    cookie = site.sessions.issue(found.name, role, found.digest)
    return _with_cookie(RedirectResponse(_ours(sent.get("wanted", HOME)), 303), cookie, is_https=is_https)


def with_link(site: Site, token: str, *, is_https: bool) -> Response:
    """Open a session with a one-time link.

    The page that leads on is ours, so that the browser sends a SameSite=Strict cookie along even where another site or
    program opened the link.
    """
    cookie = site.sessions.redeem(token)
    if cookie is None:
        problem = "This link was used already, or is older than ten minutes. Restart the endpoint for another one."
        return form(HTTPStatus.UNAUTHORIZED, problem=problem)
    response = HTMLResponse(render("signed_in.html"))
    response.headers["Refresh"] = f"0; url={HOME}"
    return _with_cookie(response, cookie, is_https=is_https)


def sign_out(visit: Visit) -> Response:
    """End the session of this browser."""
    response = visit.redirect("/ui/login")
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")
    return response


def _with_cookie(response: Response, cookie: str, *, is_https: bool) -> Response:
    response.set_cookie(
        COOKIE, cookie, max_age=SESSION_SECONDS, path="/", httponly=True, samesite="strict", secure=is_https
    )
    return response


def _ours(url: str) -> str:
    """Return ``url`` if it is a page of ours, so that the form cannot lead elsewhere."""
    return url if url.startswith("/ui/") and "\\" not in url and not any(ord(each) < 32 for each in url) else HOME  # noqa: PLR2004  control characters
