"""Values that a program may hand over."""

from __future__ import annotations


class Trap:
    """An object that fails whoever looks into it."""

    def __str__(self) -> str:
        return "shown"

    def __format__(self, spec: str) -> str:
        raise AssertionError(spec)

    def __getitem__(self, key: object) -> object:
        raise AssertionError(key)
