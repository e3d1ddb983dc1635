"""A request, for the functions that plan its response."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Call:
    """A request, read whole.

    Attributes:
        method: of HTTP.
        path_params: from the path.
        query: the parameters after the question mark.
        headers: names in lower case.
        body: whole.
        key: a hash of the body; ids are made of it.
    """

    method: str
    path_params: Mapping[str, str]
    query: Mapping[str, str]
    headers: Sequence[tuple[bytes, bytes]]
    body: bytes
    key: str

    def header(self, name: bytes) -> str | None:
        """Return a header's value, None if the request has none of that name."""
        value = dict(self.headers).get(name)
        return None if value is None else value.decode(errors="replace")
