"""The bearer check of the local endpoint.

Without ``from __future__ import annotations``: of a callable object, older versions of FastAPI read annotations only
where they are no strings.
"""

import hmac

from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.requests import HTTPConnection

from ainsights.server.problems import Problem


class KeyCheck(HTTPBearer):
    """Lets requests pass that carry the API key."""

    def __init__(self, api_key: str) -> None:
        super().__init__(auto_error=False, description="The API key that the endpoint was started with.")
        self._expected = api_key.encode()

    async def __call__(self, request: HTTPConnection) -> HTTPAuthorizationCredentials:
        """Return what the request gave, or end it with 401."""
        given = await super().__call__(request)
        if given is None:
            raise Problem(401, "no API key: send it as 'Authorization: Bearer <key>'")
        if not hmac.compare_digest(given.credentials.encode(), self._expected):
            raise Problem(401, "wrong API key: it is not the one that this endpoint was started with")
        return given
