"""The endpoint: whether a connection to it opens and, if asked for, what it answers to a test insight."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import threading
import time
from datetime import datetime, timezone
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from ainsights._base_url import is_loopback
from ainsights._config import PREFIX
from ainsights._delivery.http_sender import Route, senders
from ainsights._delivery.retry import Answer, Disposition, classify
from ainsights._doctor.finding import Finding, described, ok, problem, warning
from ainsights._model import Insight, MetaKey, new_event_id
from ainsights._processing.attributes import sdk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ainsights._config import Settings

GRACE = 1.0
"""Seconds beyond its own deadline that a step gets; only the lookup of a host name has none of its own."""

TEST = "This is a test insight of `ainsights doctor --send`, and no conversation of anybody's."

T = TypeVar("T")


def look(settings: Settings, wrong: dict[str, str], *, send: bool) -> Iterator[Finding]:
    """Yield what there is to say about the endpoint; nothing is sent without ``send``.

    Args:
        settings: where it is.
        wrong: the settings that are wrong: what depends on them is not looked at.
        send: whether to send the test insight.
    """
    if "base_url" in wrong:
        yield warning("endpoint", "not looked at", f"mend {PREFIX}BASE_URL first", reachable=None)
        return
    connection = _connection(settings)
    yield connection
    if not send:
        return
    if "api_key" in wrong:
        yield warning("send", "no test insight was sent", "mend the API key first", fate=None)
    elif connection.level == "problem":
        yield warning("send", "no test insight was sent", "mend the connection first", fate=None)
    else:
        yield _sent(settings)


# Whether a connection opens


def _connection(settings: Settings) -> Finding:
    facts: dict[str, Any] = {"url": f"{settings.base_url}/insight", "proxy": None}
    began = time.monotonic()
    try:
        route = Route.to(settings.base_url)
        if route.proxy is not None:
            facts["proxy"] = f"{route.proxy.hostname}:{route.proxy.port or http.client.HTTP_PORT}"
        facts |= within(settings.timeout + GRACE, partial(_open, route, settings.timeout))
    except (OSError, ValueError, http.client.HTTPException) as error:
        by = f" by the proxy {facts['proxy']}" if facts["proxy"] else ""
        says = f"no connection to {settings.base_url}{by}: {described(error)}"
        return problem("endpoint", says, _mend(error, settings), reachable=False, **facts)
    facts["ms"] = round((time.monotonic() - began) * 1000, 1)
    by = f"the proxy {facts['proxy']}" if facts["proxy"] else str(facts["address"])
    secured = f", {facts['tls']}" if facts["tls"] else ""
    return ok("endpoint", f"{settings.base_url} is reachable by {by}{secured}", reachable=True, **facts)


def _open(route: Route, timeout: float) -> dict[str, Any]:
    connection = route.connection(timeout)
    try:
        connection.connect()
        sock = connection.sock
        return {"address": sock.getpeername()[0], "tls": sock.version() if isinstance(sock, ssl.SSLSocket) else None}
    finally:
        connection.close()


def _mend(error: Exception, settings: Settings) -> str:
    """Return the remedy for what came instead of a connection or an answer."""
    url = urlsplit(settings.base_url)
    if isinstance(error, ConnectionRefusedError) and is_loopback(url.hostname or "") and url.port:
        return f"ainsights serve --port {url.port}"
    for kind, remedy in _REMEDIES.items():
        if isinstance(error, kind):
            return remedy
    return f"check {PREFIX}BASE_URL, and what stands between here and there (HTTPS_PROXY, NO_PROXY, a firewall)"


_REMEDIES: dict[type[Exception], str] = {
    socket.gaierror: f"check the host in {PREFIX}BASE_URL; behind a proxy: export HTTPS_PROXY=http://<host>:<port>",
    ssl.SSLCertVerificationError: "if your company signs its own certificates: export SSL_CERT_FILE=<its .pem file>",
    ssl.SSLError: f"check scheme and port in {PREFIX}BASE_URL: what listens there does not speak TLS as we do",
    TimeoutError: f"check firewall and HTTPS_PROXY; if it is only slow: export {PREFIX}TIMEOUT=<seconds>",
    ConnectionRefusedError: f"check host and port in {PREFIX}BASE_URL: nobody listens there",
}
"""The narrower before the wider."""


# What it answers


def _sent(settings: Settings) -> Finding:
    event_id = new_event_id(time.time())
    body = _test_insight(event_id, time.time()).encode()
    began = time.monotonic()
    outcome: Answer | Exception
    try:
        outcome = within(settings.timeout + GRACE, partial(_put, settings, body))
    except (OSError, ValueError, http.client.HTTPException) as error:
        outcome = error
    decision = classify(outcome, datetime.now(timezone.utc))
    facts = {
        "event_id": event_id,
        "fate": decision.disposition.value,
        "status": outcome.status if isinstance(outcome, Answer) else None,
        "ms": round((time.monotonic() - began) * 1000, 1),
    }
    if decision.disposition is not Disposition.DELIVERED or isinstance(outcome, Exception):
        says = f"the test insight was not accepted: {decision.reason}"
        return problem("send", says, _mend_answer(outcome, decision.disposition, settings), **facts)
    if not _is_success(outcome.body):
        says = f"{outcome.status}, but not the answer of an Insights endpoint: {outcome.body[:200]!r}"
        return warning("send", says, f"check {PREFIX}BASE_URL: is that an Insights endpoint?", **facts)
    return ok("send", f"the test insight {event_id} was accepted: {outcome.status} in {facts['ms']} ms", **facts)


def _put(settings: Settings, body: bytes) -> Answer:
    key = settings.api_key.get_secret_value() if settings.api_key else None
    sender = senders(settings.base_url, key, settings.timeout)()
    try:
        return sender.send(body)
    finally:
        sender.close()


def _mend_answer(outcome: Answer | Exception, fate: Disposition, settings: Settings) -> str:
    if isinstance(outcome, Exception):
        return _mend(outcome, settings)
    if outcome.status in _BY_STATUS:
        return _BY_STATUS[outcome.status]
    if fate is Disposition.RETRY:
        return "try again later: insights wait meanwhile, and are sent again"
    return f"check {PREFIX}BASE_URL: what answers at {settings.base_url}/insight takes no valid insight"


_BY_STATUS = {
    401: f"export {PREFIX}API_KEY=<a key that is valid there>",
    403: f"export {PREFIX}API_KEY=<a key that is allowed to send insights>",
    404: f"export {PREFIX}BASE_URL=<the URL of the endpoint, without /insight>",
}


def _is_success(body: str) -> bool:
    try:
        said = json.loads(body)
    except ValueError:
        return False
    return isinstance(said, dict) and said.get("success") is True


def _test_insight(event_id: str, at: float) -> Insight:
    completion = {
        "id": f"chatcmpl-{event_id}",
        "object": "chat.completion",
        "created": int(at),
        "model": "ainsights-doctor",
        "choices": [
            {"index": 0, "finish_reason": "stop", "logprobs": None, "message": {"role": "assistant", "content": TEST}}
        ],
        "usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
    }
    meta = {
        MetaKey.EVENT_ID: event_id,
        MetaKey.TIMESTAMP: datetime.fromtimestamp(at, timezone.utc).isoformat(timespec="milliseconds"),
        MetaKey.STREAM: False,
        MetaKey.STATUS: "ok",
        MetaKey.SDK: sdk(),
        MetaKey.TEST: True,
    }
    asked = [{"role": "user", "content": "Does an insight arrive?"}]
    return Insight(response=completion, messages=asked, args={"model": "ainsights-doctor"}, meta=meta)


def within(seconds: float, work: Callable[[], T]) -> T:
    """Return the result of ``work``, or raise a TimeoutError.

    For the lookup of a host name, which takes no deadline, nor Ctrl-C.
    """
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:  # noqa: BLE001  it is raised where it is waited for
            errors.append(error)

    thread = threading.Thread(target=run, name="ainsights-doctor", daemon=True)
    thread.start()
    thread.join(seconds)
    if errors:
        raise errors[0]
    if not results:
        raise TimeoutError(f"nothing within {seconds:g} s")
    return results[0]
