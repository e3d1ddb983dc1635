"""Scope: a block of code that is entered and left, and the context that holds within it."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from typing_extensions import Self


class Layer:
    """The scope that made a context, and the context around it: what leaving the scope goes back to.

    A token of ``ContextVar.set`` is not enough. The tests need that scopes may be left in the wrong order and leave
    nothing behind, that one scope may be open in many threads and tasks, that a task which inherited a scope keeps it,
    and that a generator takes the scopes in its body along from step to step.
    """

    __slots__ = ("ended", "outer", "scope")

    def __init__(self, scope: Scope, outer: Context | None) -> None:
        self.scope = scope
        self.outer = outer
        self.ended = False

    def end(self) -> None:
        """Note that the scope is left. What inherited it, such as a task, needs no more than the scopes still open."""
        self.ended = True
        while self.outer is not None and self.outer.layer is not None and self.outer.layer.ended:
            self.outer = self.outer.layer.outer


@dataclass(frozen=True, slots=True)
class Context:
    """What holds for the calls made within one scope, merged with the scopes around it."""

    user_id: str | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)
    template: Any = None
    inputs: Mapping[str, Any] | None = None
    capture: bool = True
    content: str | None = None
    layer: Layer | None = field(default=None, repr=False, compare=False)

    @property
    def captured(self) -> bool:
        """Whether calls are captured here at all."""
        return self.capture and self.content != "none"


current: ContextVar[Context | None] = ContextVar("ainsights.context", default=None)
"""The context of the running task or thread; None outside of every block."""

_NOTHING = Context()


@dataclass(frozen=True, slots=True)
class ContextArguments:
    """The arguments of one ``context(...)``; None where one is not given."""

    user_id: str | None
    meta: Mapping[str, Any] | None
    template: Any
    inputs: Mapping[str, Any] | None
    capture: bool | None = None
    content: str | None = None

    def merge_into(self, outer: Context | None, scope: Scope) -> Context:
        """Return the context of ``scope``, which has these arguments and is entered within ``outer``."""
        base = outer or _NOTHING
        inputs = base.inputs if self.template is None else None  # another template's are not this one's
        return Context(
            user_id=base.user_id if self.user_id is None else self.user_id,
            meta={**base.meta, **self.meta} if self.meta else base.meta,
            template=base.template if self.template is None else self.template,
            inputs=inputs if self.inputs is None else {**(inputs or {}), **self.inputs},
            capture=base.capture if self.capture is None else self.capture,
            content=base.content if self.content is None else self.content,
            layer=Layer(scope, outer),
        )


class Scope:
    """A block that is entered and left: once or often, also within itself, on any thread and in any task."""

    __slots__ = ("_arguments",)

    def __init__(self, arguments: ContextArguments) -> None:
        self._arguments = arguments

    def context_within(self, outer: Context | None) -> Context:
        """Return the context of this block when it is entered within ``outer``."""
        return self._arguments.merge_into(outer, self)

    def __enter__(self) -> Self:
        current.set(self.context_within(current.get()))
        return self

    def __exit__(self, *_exc: object) -> None:
        _leave(self)


class GeneratorContext(Scope):
    """The scope of a generator's body, entered for each of its steps.

    The scopes that are open in the body when it yields are left with it, and entered again with it.
    """

    __slots__ = ("_scopes",)

    def __init__(self, arguments: ContextArguments) -> None:
        super().__init__(arguments)
        self._scopes: Sequence[Scope] = (self,)

    def __enter__(self) -> Self:
        here = current.get()
        for scope in self._scopes:
            here = scope.context_within(here)
        current.set(here)
        return self

    def __exit__(self, *_exc: object) -> None:
        self._scopes = _leave(self) or self._scopes


def _leave(scope: Scope) -> list[Scope]:
    """Go back to where ``scope`` was entered; return it and the scopes still open within it, or nothing.

    Nothing where it was not entered: a generator may be closed by another task than the one that ran it.
    """
    inside: list[Scope] = []
    here = current.get()
    while here is not None and (layer := here.layer) is not None:
        if not layer.ended:
            inside.append(layer.scope)
            if layer.scope is scope:
                current.set(layer.outer)
                layer.end()
                return inside[::-1]
        here = layer.outer
    return []
