"""Values that a program may pass."""

from __future__ import annotations


class Trap:
    """An object that raises on every access."""

    def __str__(self) -> str:
        return "shown"

    def __format__(self, spec: str) -> str:
        raise AssertionError(spec)

    def __getitem__(self, key: object) -> object:
        raise AssertionError(key)
