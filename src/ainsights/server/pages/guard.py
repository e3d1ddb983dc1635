"""What a browser may do with the pages: which host names and origins they answer to, and what a page may load. Pure."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",  # with no-referrer, browsers hide the origin of forms from us too
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""Sent with every page: it loads nothing from elsewhere, runs no inline script or style, and stands in no frame."""


def is_known_host(header: str | None, allowed: Collection[str] = ()) -> bool:
    """Return whether the ``Host`` header names this endpoint, and not a name that an attacker points at it.

    DNS rebinding needs a name of the attacker's, so addresses and ``localhost`` pass; other names only if ``allowed``.
    """
    try:
        host = urlsplit(f"//{header or ''}").hostname
    except ValueError:
        return False
    if not host or "@" in (header or ""):
        return False
    if host == "localhost" or host in {name.lower() for name in allowed}:
        return True
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_same_origin(method: str, headers: Mapping[str, str]) -> bool:
    """Return whether a request that may change something comes from one of our own pages.

    Args:
        method: in upper case.
        headers: by lower-case name.
    """
    if method in SAFE_METHODS:
        return True
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None and site != "same-origin":
        return False
    if origin is not None:
        return bool(origin) and urlsplit(origin).netloc.lower() == headers.get("host", "").lower()
    return site is not None
