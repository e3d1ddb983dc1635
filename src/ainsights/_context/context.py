"""What the user says around a call: who, what and why."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast, get_args
from uuid import UUID

from ainsights._context.decorate import within
from ainsights._context.snapshot import snapshot
from ainsights._context.template import Template
from ainsights.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from typing_extensions import Self

    PromptTemplate = Template | str | Sequence[str] | Sequence[Mapping[str, object]]

Content = Literal["full", "metadata", "none"]
Function = TypeVar("Function", bound="Callable[..., Any]")


class Layer:
    """Where a context came from, so that leaving it finds the way back from wherever it is left."""

    __slots__ = ("ended", "entry", "outer")

    def __init__(self, entry: Entry, outer: Context | None) -> None:
        self.entry = entry
        self.outer = outer
        self.ended = False

    def end(self) -> None:
        """Note that the block is left. What inherited it, such as a task, needs no more than the blocks still open."""
        self.ended = True
        while self.outer is not None and self.outer.layer is not None and self.outer.layer.ended:
            self.outer = self.outer.layer.outer


@dataclass(frozen=True, slots=True)
class Context:
    """What holds for the calls made within one ``context(...)`` block, merged with the blocks around it."""

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
class Said:
    """What one block says; None where it says nothing."""

    user_id: str | None
    meta: Mapping[str, Any] | None
    template: Any
    inputs: Mapping[str, Any] | None
    capture: bool | None = None
    content: str | None = None

    def over(self, outer: Context | None, entry: Entry) -> Context:
        """Return what holds where this is said within ``outer``."""
        base = outer or _NOTHING
        inputs = base.inputs if self.template is None else None  # another template's are not this one's
        return Context(
            user_id=base.user_id if self.user_id is None else self.user_id,
            meta={**base.meta, **self.meta} if self.meta else base.meta,
            template=base.template if self.template is None else self.template,
            inputs=inputs if self.inputs is None else {**(inputs or {}), **self.inputs},
            capture=base.capture if self.capture is None else self.capture,
            content=base.content if self.content is None else self.content,
            layer=Layer(entry, outer),
        )


class Entry:
    """A block that is entered and left."""

    __slots__ = ("_said",)

    def __init__(self, said: Said) -> None:
        self._said = said

    def within(self, outer: Context | None) -> Context:
        """Return what holds in this block within ``outer``."""
        return self._said.over(outer, self)

    def __enter__(self) -> Self:
        current.set(self.within(current.get()))
        return self

    def __exit__(self, *_exc: object) -> None:
        _leave(self)


class Stay(Entry):
    """The block around the body of a generator, entered for each of its steps.

    The blocks that the body itself is in when it yields are left with it, and entered again with it.
    """

    __slots__ = ("_entries",)

    def __init__(self, said: Said) -> None:
        super().__init__(said)
        self._entries: Sequence[Entry] = (self,)

    def __enter__(self) -> Self:
        here = current.get()
        for entry in self._entries:
            here = entry.within(here)
        current.set(here)
        return self

    def __exit__(self, *_exc: object) -> None:
        self._entries = _leave(self) or self._entries


def _leave(entry: Entry) -> list[Entry]:
    """Go back to where ``entry`` was entered; return it and the blocks still open within it, or nothing.

    Nothing where it was not entered: a generator may be closed by another task than the one that ran it.
    """
    inside: list[Entry] = []
    here = current.get()
    while here is not None and (layer := here.layer) is not None:
        if not layer.ended:
            inside.append(layer.entry)
            if layer.entry is entry:
                current.set(layer.outer)
                layer.end()
                return inside[::-1]
        here = layer.outer
    return []


class context(Entry):  # noqa: N801  it reads as a word: with ainsights.context(user_id="ann")
    """Say who, what and why for the calls to openai that are made in a block or in a function.

    ::

        with ainsights.context(user_id="ann", meta={"feature": "search"}):
            client.chat.completions.create(...)

        @ainsights.context(meta={"job": "nightly"})
        async def summarise(): ...

    The context of a call is that of the moment when it is made, also if a stream ends much later. Blocks nest:
    ``meta`` and ``inputs`` merge, and the inner one wins; what a block does not say holds as around it. It follows
    ``contextvars``: into tasks and ``asyncio.to_thread``, not into other threads.

    As a decorator it holds while the function runs; for a generator, while its body does, and not between its steps.
    One object may be used any number of times, at the same time too.

    Args:
        user_id: the end user; goes before all that the request says.
        meta: metadata, over that of the request; values that are not JSON become texts.
        template: the prompt before formatting: a :class:`Template`, or a text or messages.
        inputs: the template's variables. A block that names a template drops those of the blocks around it.
        capture: False: nothing is captured. True: it is, also within a block that says False.
        content: how much of each conversation is sent, ``full``, ``metadata`` or ``none``. ``none`` captures nothing;
            only another ``content`` undoes it.

    Raises:
        ConfigurationError: an argument is of a wrong type or value; it is named.
    """

    __slots__ = ()

    def __init__(  # noqa: PLR0913  keywords all, and none needed
        self,
        *,
        user_id: str | int | UUID | None = None,
        meta: Mapping[str, Any] | None = None,
        template: PromptTemplate | None = None,
        inputs: Mapping[str, Any] | None = None,
        capture: bool | None = None,
        content: Content | None = None,
    ) -> None:
        super().__init__(
            replace(
                checked(user_id, meta, template, inputs),
                capture=_choice("capture", capture, (True, False)),
                content=_choice("content", content, get_args(Content)),
            )
        )

    def __call__(self, function: Function) -> Function:
        """Return ``function`` so that it runs within this block: plain or ``async``, a generator or not."""
        said = self._said
        return within(function, lambda: Entry(said), lambda: Stay(said))


# What the arguments take


def checked(
    user_id: str | int | UUID | None,
    meta: Mapping[str, Any] | None,
    template: PromptTemplate | None,
    inputs: Mapping[str, Any] | None,
) -> Said:
    """Return what is said with these, as it is now.

    Raises:
        ConfigurationError: an argument is of a wrong type; it is named.
    """
    if isinstance(template, Template):
        inputs = {**template.inputs, **(_mapping("inputs", inputs) or {})}
    return Said(
        user_id=_user(user_id),
        meta=_mapping("meta", meta),
        template=_template(template),
        inputs=_mapping("inputs", inputs),
    )


def _user(user_id: object) -> str | None:
    if user_id is None or isinstance(user_id, str):
        return user_id
    if isinstance(user_id, (int, UUID)) and not isinstance(user_id, bool):
        return str(user_id)
    raise _wrong("user_id", f"a {type(user_id).__name__}", "a text, a whole number or a UUID")


def _mapping(name: str, value: object) -> dict[str, Any] | None:
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise _wrong(name, f"a {type(value).__name__}", "a mapping from text to JSON values")
    odd = next((key for key in value if not isinstance(key, str)), None)
    if odd is not None:
        raise _wrong(name, f"a mapping with the key {odd!r}", "a mapping from text to JSON values")
    return cast("dict[str, Any]", _snapshot(name, dict(value)))


def _template(template: object) -> Any:
    if template is None or isinstance(template, str):
        return template
    if isinstance(template, Template):
        return template.source
    if isinstance(template, (list, tuple)) and template:
        for kind in (str, Mapping):
            if all(isinstance(item, kind) for item in template):
                return _snapshot("template", [item if kind is str else dict(item) for item in template])
    raise _wrong("template", f"a {type(template).__name__}", "a Template, a text, or a list of texts or of messages")


def _choice(name: str, value: Any, choices: tuple[Any, ...]) -> Any:
    if value is None or (value in choices and isinstance(value, type(choices[0]))):  # 1 == True, but it is no flag
        return value
    raise _wrong(name, repr(value), " or ".join(map(repr, choices)))


def _snapshot(name: str, value: object) -> Any:
    try:
        return snapshot(value)
    except ValueError as error:
        raise _wrong(name, "no JSON", f"JSON values ({error})") from None


def _wrong(name: str, found: str, takes: str) -> ConfigurationError:
    return ConfigurationError(f"{name}=... is {found}. It takes {takes}.")
