"""Template: a prompt with fields. Events carry the template and the inputs that their messages came from."""

from __future__ import annotations

import copy
import difflib
import json
import re
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, cast

from ainsights._context.snapshot import encode, snapshot, text
from ainsights._context.template_cache import Formatted, memory
from ainsights._internal_errors import capture_internal_errors
from ainsights.errors import ConfigurationError, TemplateError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from openai.types.chat import ChatCompletionMessageParam
    from openai.types.responses import ResponseInputParam

_TOKEN = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_SHOWN = 60
"""Characters of a template that its repr and its errors show."""

_recording = capture_internal_errors("recording a template")


class Text(Protocol):
    """One text of a template, ready to be filled in."""

    @property
    def names(self) -> tuple[str, ...]:
        """The inputs that it uses, in order."""

    @property
    def needs(self) -> tuple[str, ...]:
        """Those that cannot be left out."""

    def render(self, inputs: Mapping[str, object]) -> str:
        """Return the text with ``inputs`` in it; raises TemplateError."""


class Template:
    """A prompt with fields. The event of a call that sends what :meth:`format` returned has it and its inputs.

    A field is a plain ``{name}``: no attribute, index, conversion or format, so that no text can reach into an object.
    ``{{`` and ``}}`` stand for braces. What an input holds is sent as it is, braces too. In messages, fields stand in
    ``content``: in its text, or in any text of its parts, such as an image's URL.

    What is sent is the same as without a template, so that an event is known to be of one by its messages alone: send
    them as they were returned; others may stand before and after them. Of several templates in one call the one whose
    messages come last counts, of equal messages the one formatted last. To name it yourself, use
    ``with ainsights.context(template=..., inputs={...})``.

    Args:
        source: a text, which makes one message, or a list of message objects.
        role: of the message that a text makes.

    Raises:
        TemplateError: a field is not plain, a brace stands alone, or the source is neither text nor messages.
    """

    __slots__ = ("_bound", "_messages", "_record", "_texts")

    def __init__(self, source: str | Sequence[Mapping[str, object]], *, role: str = "user") -> None:
        self._fill(source, role, Plain)

    @classmethod
    def jinja(cls, source: str | Sequence[Mapping[str, object]], *, role: str = "user") -> Template:
        """Return a template in Jinja's language, rendered in its immutable sandbox.

        Inputs are not made texts first, so that a template can loop over them. To use a variable that was not given is
        an error, except where the template asks whether it is defined.

        Args:
            source: as of :class:`Template`: the text, since a ``jinja2.Template`` does not keep its own.
            role: of the message that a text makes.

        Raises:
            ConfigurationError: jinja2 is not installed.
            TemplateError: the template is malformed.
        """
        template = cls.__new__(cls)
        cls._fill(template, source, role, _jinja())
        return template

    def _fill(self, source: object, role: str, engine: Callable[[str], Text]) -> None:
        messages = [{"role": role, "content": source}] if isinstance(source, str) else _messages(source)
        self._record = encode(source if isinstance(source, str) and role == "user" else messages)
        self._bound: dict[str, object] = {}
        self._texts: list[Text] = []

        def compiled(value: object) -> object:
            if not isinstance(value, str):
                return value
            self._texts.append(engine(value))
            return self._texts[-1]

        self._messages: list[Any] = [
            message | {"content": _mapped(message["content"], compiled)} if "content" in message else message
            for message in messages
        ]

    @property
    def source(self) -> str | list[dict[str, Any]]:
        """What an event has as its ``template``: the text, or the messages."""
        return cast("str | list[dict[str, Any]]", json.loads(self._record))

    @property
    def fields(self) -> tuple[str, ...]:
        """The inputs that are still to be given, in the order of their first use."""
        return tuple(name for name in self._names() if name not in self._bound)

    @property
    def inputs(self) -> dict[str, object]:
        """The inputs that were given to :meth:`partial`."""
        return dict(self._bound)

    def partial(self, /, **inputs: object) -> Template:
        """Return this template with some of its inputs given; :meth:`format` may replace them.

        Raises:
            TemplateError: the template has no such field.
        """
        self._check_known(inputs)
        template = copy.copy(self)
        template._bound = self._bound | inputs  # noqa: SLF001  our own copy
        return template

    def format(self, /, **inputs: object) -> list[ChatCompletionMessageParam]:
        """Return the messages to pass to openai: lists and dicts of your own, to which you may add messages.

        Args:
            inputs: one for each field; what is not a text becomes one by ``str()``.

        Raises:
            TemplateError: an input is missing, or the template has no such field.
        """
        self._check_known(inputs)
        given = self._bound | inputs
        self._check_complete(given)

        def rendered(value: object) -> object:
            return value.render(given) if isinstance(value, (Plain, Jinja)) else value

        messages = _mapped(self._messages, rendered)
        with _recording:
            memory.note(messages, Formatted(self._record, _recorded(given)))
        return cast("list[ChatCompletionMessageParam]", messages)

    def format_input(self, /, **inputs: object) -> ResponseInputParam:
        """Return the same as :meth:`format`, typed as the ``input`` of ``client.responses.create``."""
        return cast("ResponseInputParam", self.format(**inputs))

    def __repr__(self) -> str:
        source = repr(self.source)
        return f"Template({source if len(source) <= _SHOWN else source[:_SHOWN] + '…'})"

    def _names(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for each in self._texts for name in each.names))

    def _check_known(self, inputs: Iterable[str]) -> None:
        names = self._names()
        for name in inputs:
            if name not in names:
                near = difflib.get_close_matches(name, names, n=1)
                meant = f" Did you mean {near[0]!r}?" if near else ""
                raise TemplateError(f"{self!r} has no field {name!r}.{meant} Its fields are: {_listed(names)}.")

    def _check_complete(self, inputs: Iterable[str]) -> None:
        missing = dict.fromkeys(name for each in self._texts for name in each.needs if name not in inputs)
        if missing:
            raise TemplateError(f"{self!r} lacks {_listed(missing)}: give each as a keyword argument.")


class Plain:
    """A text whose fields are plain ``{name}``: literals with names between them."""

    __slots__ = ("_literals", "names", "needs")

    def __init__(self, source: str) -> None:
        names: list[str] = []
        literals = [""]
        end = 0
        for token in _TOKEN.finditer(source):
            literals[-1] += source[end : token.start()]
            end = token.end()
            if token[0] in {"{{", "}}"}:
                literals[-1] += token[0][0]
            else:
                names.append(_name(token, source))
                literals.append("")
        literals[-1] += source[end:]
        self._literals = literals
        self.names = self.needs = tuple(names)

    def render(self, inputs: Mapping[str, object]) -> str:
        """Return the text with ``inputs`` in it."""
        first, *rest = self._literals
        return first + "".join(
            (value if isinstance(value, str) else str(value)) + literal
            for value, literal in zip((inputs[name] for name in self.names), rest, strict=True)
        )


class Jinja:
    """A text in Jinja's language. Whether it needs a variable shows only when it is rendered."""

    __slots__ = ("_errors", "_template", "names", "needs")

    def __init__(self, source: str, environment: Any, jinja2: Any) -> None:
        self._errors = jinja2.TemplateError
        try:
            self._template = environment.from_string(source)
            names = jinja2.meta.find_undeclared_variables(environment.parse(source))
        except self._errors as error:
            raise TemplateError(f"{_cut(source)!r} is not a Jinja template: {error}") from error
        self.names: tuple[str, ...] = tuple(sorted(names))
        self.needs: tuple[str, ...] = ()

    def render(self, inputs: Mapping[str, object]) -> str:
        """Return the text with ``inputs`` in it."""
        try:
            return cast("str", self._template.render(inputs))
        except self._errors as error:
            missing = [name for name in self.names if name not in inputs]
            lacks = f" (not given: {_listed(missing)})" if missing else ""
            raise TemplateError(f"the template cannot be formatted: {error}{lacks}") from error


def _jinja() -> Callable[[str], Text]:
    try:
        jinja2 = import_module("jinja2")
        import_module("jinja2.meta")
        sandbox = import_module("jinja2.sandbox")
    except ImportError:
        raise ConfigurationError("Template.jinja needs jinja2, which is not installed: pip install jinja2") from None
    environment = sandbox.ImmutableSandboxedEnvironment(
        undefined=jinja2.StrictUndefined,
        loader=jinja2.BaseLoader(),  # finds nothing: a template cannot include a file
        autoescape=False,
        keep_trailing_newline=True,
    )
    return lambda source: Jinja(source, environment, jinja2)


def _name(token: re.Match[str], source: str) -> str:
    name = token[1]
    if name is None:
        raise TemplateError(
            f"a single {token[0]!r} at character {token.start()} of {_cut(source)!r}: "
            "write '{{' or '}}' for a brace, '{name}' for a field."
        )
    if not name.isidentifier():
        raise TemplateError(
            f"the field {_cut(token[0])!r} is not plain: write '{{name}}', without attribute, index, conversion or "
            "format, where the name is a Python identifier. For braces write '{{' and '}}'."
        )
    return name


def _messages(source: object) -> list[dict[str, Any]]:
    if type(source).__module__.partition(".")[0] == "jinja2":
        raise TemplateError("a jinja2.Template does not keep its text: pass the text to Template.jinja().")
    if not isinstance(source, Sequence) or not source or not all(isinstance(item, Mapping) for item in source):
        raise TemplateError(f"a template is a text or a list of message objects, not {_cut(repr(source))}.")
    try:
        return cast("list[dict[str, Any]]", snapshot([dict(message) for message in source]))
    except ValueError as error:
        raise TemplateError(f"the template's messages are not JSON: {error}") from None


def _mapped(value: object, change: Callable[[object], object]) -> Any:
    """Return ``value`` with new lists and dicts, and its leaves changed, except what names a part's type."""
    if isinstance(value, dict):
        return {key: item if key == "type" else _mapped(item, change) for key, item in value.items()}
    if isinstance(value, list):
        return [_mapped(item, change) for item in value]
    return change(value)


def _recorded(inputs: Mapping[str, object]) -> bytes:
    try:
        return encode(inputs)
    except ValueError:
        return encode({name: text(value) for name, value in inputs.items()})


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names)) or "none"


def _cut(source: str) -> str:
    return source if len(source) <= _SHOWN else source[:_SHOWN] + "…"
