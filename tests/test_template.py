from __future__ import annotations

import enum
import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.templates import content
from support.values import Trap

from ainsights import Template, TemplateError

FIELDS = ["a", "b", "name", "größe", "class", "self", "_"]
NAMES = st.sampled_from(FIELDS)
TEXTS = st.text() | st.text(alphabet="{}a.[]!:_", max_size=12)


# What it makes


def test_text_makes_a_message_of_the_user() -> None:
    assert Template("Hi {name}!").format(name="Ann") == [{"role": "user", "content": "Hi Ann!"}]


def test_text_makes_a_message_of_the_role_that_is_named() -> None:
    template = Template("You help {name}.", role="system")
    assert template.format(name="Ann") == [{"role": "system", "content": "You help Ann."}]
    assert template.source == [{"role": "system", "content": "You help {name}."}]


def test_messages_are_filled_in_their_content_alone() -> None:
    calls = [{"id": "{x}", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}]
    source = [
        {"role": "system", "content": "You are {mood}.", "name": "{x}"},
        {"role": "assistant", "tool_calls": calls, "content": None},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "What is {thing}?"},
                {"type": "image_url", "image_url": {"url": "https://x/{photo}.png", "detail": "low"}},
                {"type": "{type}", "number": 1, "nested": [["{thing}"]]},
            ],
        },
    ]
    template = Template(source)
    assert template.fields == ("mood", "thing", "photo")
    assert template.format(mood="kind", thing="this", photo="cat") == [
        {"role": "system", "content": "You are kind.", "name": "{x}"},
        {"role": "assistant", "tool_calls": calls, "content": None},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "What is this?"},
                {"type": "image_url", "image_url": {"url": "https://x/cat.png", "detail": "low"}},
                {"type": "{type}", "number": 1, "nested": [["this"]]},
            ],
        },
    ]


def test_messages_are_new_each_time_and_plain() -> None:
    source: list[dict[str, Any]] = [{"role": "user", "content": [{"type": "text", "text": "{a}"}], "extra": {"b": []}}]
    template = Template(source)
    source[0]["role"] = "changed"
    first: Any = template.format(a="1")
    first[0]["extra"]["b"].append("changed")
    first[0]["content"].clear()
    second: Any = template.format(a="1")
    assert second == [{"role": "user", "content": [{"type": "text", "text": "1"}], "extra": {"b": []}}]
    assert (type(second), type(second[0]), type(second[0]["content"][0]["text"])) == (list, dict, str)


class Colour(str, enum.Enum):
    RED = "red"


@pytest.mark.parametrize(
    ("value", "filled"), [("é", "é"), (7, "7"), (None, "None"), (1.5, "1.5"), (["a"], "['a']"), (Colour.RED, "red")]
)
def test_input_is_inserted_as_text(value: Any, filled: str) -> None:
    assert content(Template("{a}"), a=value) == filled
    assert type(content(Template("{a}"), a=value)) is str


def test_text_without_fields_is_as_it_was() -> None:
    assert content(Template("plain {{}} text")) == "plain {} text"


def test_source_is_a_copy() -> None:
    template = Template([{"role": "user", "content": "{a}"}])
    source: Any = template.source
    source.clear()
    assert template.source == [{"role": "user", "content": "{a}"}]


def test_repr_shows_the_beginning_of_the_source() -> None:
    assert repr(Template("Hi {name}")) == "Template('Hi {name}')"
    assert len(repr(Template("x" * 1000))) < 100


# Fields


@pytest.mark.parametrize(
    "field",
    [
        "{}", "{0}", "{a.b}", "{a[b]}", "{a[0]}", "{a!r}", "{a:>8}", "{a:}", "{ a }", "{a-b}", "{a.__class__.__mro__}",
        "{a.__init__.__globals__[SECRET]}", "{a!s:.3}", "{1a}", '{"json": 1}', "{a\n}", "{a b}",
    ],
)  # fmt: skip
def test_field_that_is_not_plain_is_refused(field: str) -> None:
    with pytest.raises(TemplateError) as caught:
        Template(f"Say {field} now")
    assert repr(field) in str(caught.value)
    assert "not plain" in str(caught.value)


@pytest.mark.parametrize("source", ["a { b", "a } b", "{{a}", "{a}}", "{a{b}}", "{a:{b}}", "{", "}", "}}}"])
def test_single_brace_is_refused(source: str) -> None:
    with pytest.raises(TemplateError, match=r"single '[{}]' at character \d+"):
        Template([{"role": "user", "content": source}])


@pytest.mark.parametrize("source", [None, 7, b"text", [], ["text"], {"role": "user"}, [{"role": "user"}, "text"]])
def test_source_that_is_neither_text_nor_messages_is_refused(source: Any) -> None:
    with pytest.raises(TemplateError, match="a text or a list of message objects"):
        Template(source)


def test_source_that_contains_itself_is_refused() -> None:
    message: dict[str, Any] = {"role": "user"}
    message["content"] = [message]
    with pytest.raises(TemplateError, match="not JSON"):
        Template([message])


def test_every_missing_input_is_named() -> None:
    with pytest.raises(TemplateError, match=r"Template\('\{a\} \{b\} \{a\} \{c\}'\) lacks 'a', 'c'"):
        Template("{a} {b} {a} {c}").format(b="1")


def test_unknown_input_is_named_with_what_may_be_meant() -> None:
    with pytest.raises(TemplateError, match=r"no field 'nmae'\. Did you mean 'name'\? Its fields are: 'name', 'x'\."):
        Template("{name} {x}").format(nmae="Ann", x=1)
    with pytest.raises(TemplateError, match=r"no field 'a'\. Its fields are: none\."):
        Template("plain").partial(a=1)


def test_input_may_have_any_name() -> None:
    template = Template("{self} {class} {source} {role}")
    assert content(template, self="1", source="3", role="4", **{"class": "2"}) == "1 2 3 4"


# Against what the standard library makes of the same


@given(TEXTS, st.dictionaries(NAMES, TEXTS))
def test_template_that_is_taken_means_what_it_means_to_str_format(source: str, inputs: dict[str, str]) -> None:
    try:
        template = Template(source)
    except TemplateError:
        with pytest.raises(Refused):
            parse(source)
        return
    values = dict.fromkeys(template.fields, "{x}") | {k: v for k, v in inputs.items() if k in template.fields}
    assert content(template, **values) == string.Formatter().vformat(source, (), values)


class Refused(Exception):  # noqa: N818
    pass


def parse(source: str) -> None:
    """Raise Refused unless the standard library reads ``source`` as text with plain fields."""
    try:
        parts = list(string.Formatter().parse(source))
    except ValueError:
        raise Refused from None
    for _, name, spec, conversion in parts:
        if name is not None and (not name.isidentifier() or spec or conversion):
            raise Refused
    if any(f"{{{name}:}}" in source for _, name, _, _ in parts):
        raise Refused


PIECES = st.lists(st.tuples(st.sampled_from(["literal", "field"]), TEXTS, NAMES))


@given(PIECES, st.fixed_dictionaries(dict.fromkeys(FIELDS, TEXTS)))
def test_substitution_puts_each_input_where_its_field_is(pieces: Any, inputs: dict[str, str]) -> None:
    source, expected = "", ""
    for kind, literal, name in pieces:
        source += literal.replace("{", "{{").replace("}", "}}") if kind == "literal" else f"{{{name}}}"
        expected += literal if kind == "literal" else inputs[name]
    template = Template(source)
    assert content(template, **{name: inputs[name] for name in template.fields}) == expected
    assert content(template.partial(**{name: inputs[name] for name in template.fields})) == expected


@given(TEXTS)
def test_input_is_sent_as_it_is(value: str) -> None:
    assert content(Template("<{a}>"), a=value) == f"<{value}>"


@given(st.text(alphabet="{}trap.[]!r:0_", max_size=20))
def test_no_text_reaches_into_an_object(text: str) -> None:
    assert content(Template("{text} {trap}"), text=text, trap=Trap()) == f"{text} shown"


# Partial templates


def test_partial_template_needs_the_rest() -> None:
    template = Template("{a} {b} {c}")
    partial = template.partial(a=1).partial(c=3)
    assert (partial.fields, partial.inputs, partial.source) == (("b",), {"a": 1, "c": 3}, "{a} {b} {c}")
    assert content(partial, b=2) == "1 2 3"
    assert template.fields == ("a", "b", "c")


def test_input_given_later_replaces_the_earlier() -> None:
    assert content(Template("{a}").partial(a=1).partial(a=2)) == "2"
    assert content(Template("{a}").partial(a=1), a=3) == "3"
