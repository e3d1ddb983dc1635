from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.models import client
from support.templates import content

from ainsights import ConfigurationError, Template, TemplateError

if TYPE_CHECKING:
    from support.models import Captured


def test_event_has_a_jinja_template_and_its_inputs(captured: Captured) -> None:
    source = "Hi {{ name|upper }}{% for each in items %} {{ loop.index }}:{{ each }}{% endfor %}\n"
    messages = Template.jinja(source, role="system").format(name="Ann", items=["a", "b"])
    assert messages == [{"role": "system", "content": "Hi ANN 1:a 2:b\n"}]
    client().chat.completions.create(model="m", messages=messages)
    assert captured[0]["template"] == [{"role": "system", "content": source}]
    assert captured[0]["inputs"] == {"name": "Ann", "items": ["a", "b"]}


def test_messages_are_rendered_in_their_content() -> None:
    source = [{"role": "{{ a }}", "content": [{"type": "text", "text": "{{ a }} {b}"}]}]
    assert Template.jinja(source).format(a="{{ b }}") == [
        {"role": "{{ a }}", "content": [{"type": "text", "text": "{{ b }} {b}"}]}
    ]


def test_fields_are_the_variables_that_are_still_to_be_given() -> None:
    template = Template.jinja("{{ b }} {% for x in range(n) %}{{ a }}{% endfor %}")
    assert template.fields == ("a", "b", "n")
    partial = template.partial(n=2)
    assert (partial.fields, content(partial, a="a", b="b")) == (("a", "b"), "b aa")


def test_missing_variable_is_named() -> None:
    with pytest.raises(TemplateError, match=r"'name' is undefined \(not given: 'name'\)"):
        Template.jinja("{{ name }} {{ a }}").format(a=1)


def test_variable_that_the_template_asks_for_may_be_left_out() -> None:
    template = Template.jinja("{% if name is defined %}Hi {{ name }}{% endif %}{{ a|default('x') }}")
    assert (content(template), content(template, name="Ann", a=1)) == ("x", "Hi Ann1")


def test_unknown_variable_is_named() -> None:
    with pytest.raises(TemplateError, match=r"no field 'nam'\. Did you mean 'name'"):
        Template.jinja("{{ name }}").format(nam=1)


@pytest.mark.parametrize("source", ["{{ a", "{% if %}", "{% endfor %}", "{{ a|nofilter }}"])
def test_malformed_template_is_refused_at_once(source: str) -> None:
    with pytest.raises(TemplateError, match="is not a Jinja template"):
        Template.jinja(source)


@pytest.mark.parametrize(
    "source",
    [
        "{{ a.__class__ }}",
        "{{ a.__class__.__mro__ }}",
        "{{ a['__class__'] }}",
        "{{ a|attr('__class__') }}",
        "{{ ''.__class__.__base__.__subclasses__() }}",
        "{{ '{0.__class__}'.format(a) }}",
        "{{ f.__globals__ }}",
        "{{ items.append(1) }}",
        "{% include 'secret' %}",
        "{% for x in range(10000000) %}{% endfor %}",
    ],
)
def test_sandbox_keeps_the_template_from_python(source: str) -> None:
    template = Template.jinja(source + "{{ a, f, items }}")
    items: list[int] = []
    with pytest.raises((TemplateError, OverflowError)):
        template.format(a=1, f=content, items=items)
    assert items == []


@given(st.text() | st.text(alphabet="{}% a.|[]_", max_size=20))
def test_input_is_sent_as_it_is(value: str) -> None:
    assert content(Template.jinja("<{{ a }}>"), a=value) == f"<{value}>"


def test_template_object_of_jinja_is_refused_with_advice() -> None:
    jinja2 = pytest.importorskip("jinja2")
    with pytest.raises(TemplateError, match=r"pass the text to Template\.jinja"):
        Template.jinja(jinja2.Template("{{ a }}"))


def test_without_jinja_the_error_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(ConfigurationError, match="pip install jinja2"):
        Template.jinja("{{ a }}")
