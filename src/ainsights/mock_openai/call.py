"""A request, for the functions that plan its response."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Call:
    """A request, read whole.

    Attributes:
        method: of HTTP.
        path_params: from the path.
        headers: names in lower case.
        body: whole.
        key: a hash of the body; ids are made of it.
    """

    method: str
    path_params: dict[str, str]
    headers: Sequence[tuple[bytes, bytes]]
    body: bytes
    key: str
