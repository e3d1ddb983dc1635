"""``context()``: who, what and why of the calls in a block or a function."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args

from ainsights._context.arguments import check_arguments, check_choice
from ainsights._context.decorate import decorate
from ainsights._context.scope import GeneratorContext, Scope

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from uuid import UUID

    from ainsights._context.arguments import PromptTemplate

Content = Literal["full", "metadata", "none"]
Function = TypeVar("Function", bound="Callable[..., Any]")


class context(Scope):  # noqa: N801  it reads as a word: with ainsights.context(user_id="ann")
    """Say who, what and why for the calls to openai that are made in a block or in a function.

    ::

        with ainsights.context(user_id="ann", meta={"feature": "search"}):
            client.chat.completions.create(...)

        @ainsights.context(meta={"job": "nightly"})
        async def summarise(): ...

    The context of a call is that of the moment when it is made, also if a stream ends much later. Blocks nest:
    ``meta`` and ``inputs`` merge, and the inner one wins; what a block does not set is as around it. It follows
    ``contextvars``: into tasks and ``asyncio.to_thread``, not into other threads.

    As a decorator it holds while the function runs; for a generator, while its body does, and not between its steps.
    One object may be used any number of times, at the same time too.

    Args:
        user_id: the end user; takes precedence over what the request has.
        meta: metadata, over that of the request; values that are not JSON become texts.
        template: the prompt before formatting: a :class:`Template`, or a text or messages.
        inputs: the template's variables. A block that names a template drops those of the blocks around it.
        capture: False: nothing is captured. True: it is, also within a block with False.
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
                check_arguments(user_id, meta, template, inputs),
                capture=check_choice("capture", capture, (True, False)),
                content=check_choice("content", content, get_args(Content)),
            )
        )

    def __call__(self, function: Function) -> Function:
        """Return ``function`` so that it runs within this block: plain or ``async``, a generator or not."""
        arguments = self._arguments
        return decorate(function, lambda: Scope(arguments), lambda: GeneratorContext(arguments))
