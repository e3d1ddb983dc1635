"""The endpoint: whether a connection to it opens, and what it answers."""

from __future__ import annotations

import http.client
import ssl
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from ainsights._config import NO_KEY, PREFIX
from ainsights._delivery.connection import Deadline, connect_to_proxy, open_connection
from ainsights._delivery.endpoint import Endpoint
from ainsights._doctor import remedies, requests
from ainsights._doctor.deadline import run_with_deadline
from ainsights._doctor.finding import Finding, described, ok, problem, warning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ainsights._config import Settings


def check(settings: Settings, wrong: dict[str, str], *, send: bool) -> Iterator[Finding]:
    """Yield the findings about the endpoint; nothing is stored there without ``send``.

    Args:
        settings: where it is.
        wrong: the settings that are wrong: what depends on them is not checked.
        send: whether to send the test insight.
    """
    for name in ("base_url", "path"):
        if name in wrong:
            yield warning("endpoint", "not checked", f"correct {PREFIX}{name.upper()} first", reachable=None)
            return
    yield from _path(settings)
    connection = _connection(settings)
    yield connection
    blocker = "API key" if "api_key" in wrong else "connection" if connection.level == "problem" else None
    if send and blocker:
        yield warning("send", "no test insight was sent", f"correct the {blocker} first", disposition=None)
    elif send:
        yield requests.send_test_insight(settings)
    elif not blocker and settings.disabled_reason != NO_KEY:
        yield requests.check_access(settings)


def _path(settings: Settings) -> Iterator[Finding]:
    url, ending = settings.base_url, settings.path
    if url.endswith(ending):
        message = f"{url} ends in {ending}, which is appended to it: insights are sent to {url}{ending}"
        yield warning("endpoint", message, f"export {PREFIX}BASE_URL={url.removesuffix(ending)}", url=url)


def _connection(settings: Settings) -> Finding:
    details: dict[str, Any] = {"url": settings.url, "proxy": None}
    began = time.monotonic()
    through = ""
    try:
        endpoint = Endpoint.of(settings.base_url, settings.path)
        if endpoint.proxy is not None:
            details |= {"proxy": endpoint.proxy.address, "proxy_variable": endpoint.proxy.variable}
            through = f" through {endpoint.proxy}"
        details |= run_with_deadline(settings.timeout + requests.GRACE, partial(_open, endpoint, settings.timeout))
    except (OSError, ValueError, http.client.HTTPException) as error:
        message = f"no connection to {settings.base_url}{through}: {described(error)}"
        return problem("endpoint", message, remedies.for_exception(error, settings), reachable=False, **details)
    details["ms"] = round((time.monotonic() - began) * 1000, 1)
    if not details["reachable"]:
        return ok("endpoint", f"{endpoint.proxy} is reachable, on the way to {settings.base_url}", **details)
    at = f" at {details['address']}"
    secured = f", {details['tls']}" if details["tls"] else ""
    return ok("endpoint", f"{settings.base_url} is reachable{through or at}{secured}", **details)


def _open(endpoint: Endpoint, timeout: float) -> dict[str, Any]:
    """Open a connection; through a proxy that the plain sender cannot talk to, only one to the proxy."""
    deadline = Deadline(timeout)
    if endpoint.proxy is not None and endpoint.proxy.scheme != "http":
        connect_to_proxy(endpoint.proxy, deadline).close()
        return {"reachable": None, "address": None, "tls": None}
    with open_connection(endpoint, deadline) as sock:
        version = sock.version() if isinstance(sock, ssl.SSLSocket) else None
        return {"reachable": True, "address": sock.getpeername()[0], "tls": version}
