"""Who looks at the pages: a signed cookie in exchange for a key or for a one-time link. No state beside the secret.

The cookie names the key and the role; it is not the key. It is HttpOnly and SameSite=Strict, so that neither a script
nor another site can use it. Any replica with the same secret can check it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import threading
import time
from typing import NamedTuple

from pydantic import BaseModel, ValidationError

COOKIE = "ainsights_session"
SESSION_SECONDS = 12 * 3600
LINK_SECONDS = 600
"""How long a one-time link can be used."""


class Session(BaseModel):
    """Who looks, and what they may do, until when (seconds since the epoch).

    Attributes:
        digest: the hash of the key that the session was opened with: it ends when the key is revoked. Empty for a
            session that a one-time link opened.
    """

    key: str
    role: str
    expires: int
    digest: str = ""


class _Link(NamedTuple):
    session: Session
    expires: float


class Sessions:
    """Issues and checks sessions.

    Args:
        secret: signs the cookies; the same for all replicas of an endpoint.
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = hashlib.sha256(b"ainsights session\0" + secret).digest()
        self._links: dict[str, _Link] = {}
        self._lock = threading.Lock()

    def issue(self, key: str, role: str, digest: str = "") -> str:
        """Return the cookie of a new session of the key named ``key``, whose hash is ``digest``."""
        session = Session(key=key, role=role, expires=int(time.time()) + SESSION_SECONDS, digest=digest)
        content = base64.urlsafe_b64encode(session.model_dump_json().encode()).decode()
        return f"{content}.{self._signature(content)}"

    def read(self, cookie: str | None) -> Session | None:
        """Return the session that ``cookie`` stands for; None if it is not ours, was changed, or has expired."""
        content, _, signature = (cookie or "").rpartition(".")
        if not hmac.compare_digest(self._signature(content).encode(), signature.encode()):
            return None
        try:
            session = Session.model_validate_json(base64.urlsafe_b64decode(content))
        except (ValidationError, ValueError):
            return None
        return session if session.expires > time.time() else None

    def link(self, key: str, role: str) -> str:
        """Return a token that can be exchanged for a session once, within ten minutes."""
        now = time.time()
        token = secrets.token_urlsafe(32)
        session = Session(key=key, role=role, expires=int(now) + SESSION_SECONDS)
        with self._lock:
            self._links = {each: link for each, link in self._links.items() if link.expires > now}
            self._links[token] = _Link(session, now + LINK_SECONDS)
        return token

    def redeem(self, token: str) -> str | None:
        """Return the cookie for ``token``; None if it was used, has expired or was never issued."""
        with self._lock:
            link = self._links.pop(token, None)
        if link is None or link.expires <= time.time():
            return None
        return self.issue(link.session.key, link.session.role)

    def _signature(self, content: str) -> str:
        return hmac.new(self._secret, content.encode(), hashlib.sha256).hexdigest()
