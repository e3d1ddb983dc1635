"""What to type or to change when the endpoint cannot be reached or refuses a request."""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ainsights._base_url import is_loopback
from ainsights._config import PREFIX
from ainsights._delivery.endpoint import ProxyError
from ainsights._delivery.retry import Answer, Disposition

if TYPE_CHECKING:
    from ainsights._config import Settings

SEND = "ainsights doctor --send"

_BY_EXCEPTION: dict[type[Exception], str] = {
    socket.gaierror: f"check the host in {PREFIX}BASE_URL; if there is a proxy: export HTTPS_PROXY=http://<host>:<port>",
    ssl.SSLCertVerificationError: "if your company signs its own certificates: export SSL_CERT_FILE=<its .pem file>",
    ssl.SSLError: f"check scheme and port in {PREFIX}BASE_URL: what listens there does not speak TLS as we do",
    TimeoutError: f"check firewall and HTTPS_PROXY; if it is only slow: export {PREFIX}TIMEOUT=<seconds>",
    ConnectionRefusedError: f"check host and port in {PREFIX}BASE_URL: nobody listens there",
}
"""The narrower before the wider."""

_WRONG_URL = (
    f"export {PREFIX}BASE_URL=<the URL of the endpoint> {PREFIX}PATH=<the path below it, if it is not /insight>"
)
_BY_STATUS = {
    401: f"export {PREFIX}API_KEY=<a key that is valid there>",
    403: f"export {PREFIX}API_KEY=<a key that is allowed to send insights>",
    404: _WRONG_URL,
    405: _WRONG_URL,
}


def for_exception(error: Exception, settings: Settings) -> str:
    """Return the remedy for a request that failed without an answer."""
    if isinstance(error, ProxyError):
        return error.remedy
    url = urlsplit(settings.base_url)
    if isinstance(error, ConnectionRefusedError) and is_loopback(url.hostname or "") and url.port:
        return f"ainsights serve --port {url.port}"
    for kind, remedy in _BY_EXCEPTION.items():
        if isinstance(error, kind):
            return remedy
    return f"check {PREFIX}BASE_URL, and what stands between here and there (HTTPS_PROXY, NO_PROXY, a firewall)"


def for_outcome(outcome: Answer | Exception, disposition: Disposition, settings: Settings) -> str:
    """Return the remedy for a request that was not accepted."""
    if isinstance(outcome, Exception):
        return for_exception(outcome, settings)
    if outcome.status in _BY_STATUS:
        return _BY_STATUS[outcome.status]
    if disposition is Disposition.RETRY:
        return "try again later: insights wait meanwhile, and are sent again"
    return f"check {PREFIX}BASE_URL and {PREFIX}PATH: what answers at {settings.url} takes no valid insight"
