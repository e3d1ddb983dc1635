"""The check of the API key for FastAPI's routes.

Without ``from __future__ import annotations``: of a callable object, older versions of FastAPI read annotations only
where they are not strings.
"""

from collections.abc import Callable

from fastapi.security import HTTPBearer
from starlette.requests import Request

from ainsights.server.keys.authorization import Authorization
from ainsights.server.keys.key_file import NamedKey, Role

LONGEST_QUERY = 1000
"""Characters of a query that the access log keeps."""


class KeyDependency(HTTPBearer):
    """Lets requests pass whose key has a role, and notes them in the access log."""

    def __init__(self, authorization: Authorization, role: Role, log_access: Callable[[str, str, str], None]) -> None:
        super().__init__(auto_error=False, description="An API key of this endpoint.")
        self._authorization = authorization
        self._role = role
        self._log_access = log_access

    async def __call__(self, request: Request) -> NamedKey:  # type: ignore[override]
        """Return the key of the request, or end it with 401, 403 or 429."""
        given = request.headers.get("authorization")
        address = request.client.host if request.client else ""
        key = self._authorization.check(given.encode("latin-1") if given is not None else None, address, self._role)
        self._log_access(key.name, f"{request.method} {request.url.path}", request.url.query[:LONGEST_QUERY])
        return key
