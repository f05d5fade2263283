"""Templates: what may be written, and that nothing else can be."""

from __future__ import annotations

import resource
import time
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flask_engage.errors import InvalidMessage
from flask_engage.messages.slots import Slots
from flask_engage.messages.template import (
    MAX_OUTPUT_BYTES,
    TemplateError,
    compile_template,
    names_used,
)


def fill(source, **context):
    context.setdefault("attrs", {})
    context.setdefault("tags", ())
    return compile_template(source).fill(context)


# --- what may be written ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("Hello {{ name }}", "Hello Ada Lovelace"),
        ("{{ name | upper }} {{ name | lower }}", "ADA LOVELACE ada lovelace"),
        ("{{ name | first_word }}", "Ada"),
        ("{{ ' x ' | trim }}{{ 'ada lovelace' | title }}", "xAda Lovelace"),
        ("{{ city | default('somewhere') }}", "somewhere"),
        ("{{ attrs['plan'] | default('no') }} plan", "no plan"),
        ("{{ attrs['invites sent'] }}, {{ attrs.score }}", "4, 2.5"),
        ("{{ attrs.score | round }} {{ attrs['big'] | thousands }}", "2 12,345"),
        ("{{ name | truncate(5) }}", "Ada…"),
        ("{{ tags | join(', ') }} {{ tags | length }}", "beta, vip 2"),
        ("{% for tag in tags %}[{{ tag }}]{% endfor %}", "[beta][vip]"),
        ("{% if sessions > 3 and not unsubscribed %}often{% else %}rarely{% endif %}", "often"),
        ("{% if city is defined %}a{% elif name == 'x' %}b{% else %}c{% endif %}", "c"),
        ("{{ 'a' if 'vip' in tags else 'b' }}", "a"),
        ("{{ signed_up | date }} {{ signed_up | date('%Y') }}", "2 March 2026 2026"),
        ("{{ city | default(name | upper) }}", "ADA LOVELACE"),
        ("{{ 0 | default('x') }}{{ 0 | default('x', true) }}", "0x"),
        ("{# a note #}plain {{ '{{' }} braces", "plain {{ braces"),
    ],
)
def test_template_fills_in_the_words_of_a_person(source, expected):
    assert (
        fill(
            source,
            name="Ada Lovelace",
            sessions=4,
            unsubscribed=False,
            signed_up=datetime(2026, 3, 2, tzinfo=UTC),
            attrs={"invites sent": 4.0, "score": 2.5, "big": 12345},
            tags=("beta", "vip"),
        )
        == expected
    )


def test_template_names_the_missing_word_and_its_line():
    with pytest.raises(TemplateError, match="line 3: 'name' is not known of this person") as info:
        fill("Hello\n\n{{ name }}")
    assert info.value.line == 3
    with pytest.raises(TemplateError, match=r"attrs\['the plan'\] is not known"):
        fill("{{ attrs['the plan'] }}")
    with pytest.raises(TemplateError, match="'city' is not known"):
        fill("{{ city | upper | default('x') }}")


def test_template_says_which_names_it_uses():
    assert names_used(
        "{{ name }} {{ attrs['a b'] }} {{ attrs.c }}{% for t in tags %}{{ t }}{% endfor %}"
    ) == {
        "name",
        "attrs",
        "attrs['a b']",
        "attrs['c']",
        "tags",
    }


def test_template_compares_what_can_not_be_compared_with_an_error_not_a_crash():
    with pytest.raises(TemplateError, match="line 1: this can't be computed"):
        fill("{% if name < 3 %}x{% endif %}", name="Ada")


def test_template_does_not_reach_the_methods_of_values():
    for source in ("{{ attrs.keys }}", "{{ attrs.items }}", "{{ attrs.get }}", "{{ name.upper }}"):
        with pytest.raises(TemplateError, match="is not known"):
            fill(source, name="Ada")


# --- what must bounce ------------------------------------------------------------------------

HOSTILE = {
    "subclasses": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "underscore": "{{ _private }}",
    "dunder key": "{{ attrs['__class__'] }}",
    "call": "{{ user.delete() }}",
    "format": "{{ '{0.password_hash}'.format(user) }}",
    "attr filter": "{{ user|attr('x') }}",
    "map attribute": "{{ users|map(attribute='password_hash')|list }}",
    "map format": "{{ ['{0.__class__}']|map(attribute='format')|first }}",
    "multiply": "{{ 'a'*5000000 }}",
    "percent": "{{ '%5000000d'|format(1) }}",
    "modulo": "{{ '%5000000d' % 1 }}",
    "center": "{{ 'a'|center(5000000) }}",
    "power": "{{ 2**10000000 }}",
    "range": "{{ range(100000)|list }}",
    "concat": "{% set b=a~a~a %}{% set c=b~b~b %}{{ c }}",
    "tilde": "{{ name ~ name }}",
    "join": "{{ ''.join(['a']*5000000) }}",
    "for in for": "{% for a in tags %}{% for b in tags %}x{% endfor %}{% endfor %}",
    "recursive": "{% for a in tags recursive %}{{ loop(tags) }}{% endfor %}",
    "loop name": "{% for a in tags %}{{ loop.index }}{% endfor %}",
    "loop over text": "{% for a in name %}x{% endfor %}",
    "macro": "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "hundred parentheses": "{{ " + "(" * 100 + "1" + ")" * 100 + " }}",
    "fifty thousand parentheses": "{{ " + "(" * 30_000 + "1" + ")" * 30_000 + " }}",
    "not not": "{{ " + "not " * 5_000 + "1 }}",
    "minuses": "{{ " + "-" * 10_000 + "1 }}",
    "plus ones": "{{ 1" + "+1" * 30_000 + " }}",
    "many parts": "{{ name }}" * 6_000,
    "deep ifs": "{% if name %}" * 200 + "{% endif %}" * 200,
    "many elifs": "{% if name %}" + "{% elif name %}" * 3_000 + "{% endif %}",
    "include": "{% include 'x' %}",
    "import": "{% import 'x' as y %}",
    "extends": "{% extends 'x' %}",
    "block": "{% block x %}{% endblock %}",
    "call block": "{% call f() %}{% endcall %}",
    "do": "{% do f() %}",
    "autoescape": "{% autoescape false %}{{ name }}{% endautoescape %}",
    "filter block": "{% filter upper %}x{% endfilter %}",
    "with": "{% with a=1 %}{% endwith %}",
    "trans": "{% trans %}x{% endtrans %}",
    "safe": "{{ name|safe }}",
    "pprint": "{{ name|pprint }}",
    "dict": "{{ {'a': 1} }}",
    "slice": "{{ name[0:3] }}",
    "lambda-like": "{{ tags|select('callable')|list }}",
    "callable test": "{{ name is callable }}",
    "star arguments": "{{ name|default(*tags) }}",
    "nested lookup": "{{ attrs['a']['b'] }}",
    "huge number": "{{ " + "9" * 5_000 + " }}",
    "huge power number": "{{ 1e999999999 | round }}",
    "unclosed": "{{ name",
    "unopened": "{% endif %}",
    "unknown tag": "{% debug %}",
    "long": "x" * (64 * 1024 + 1),
    "marks": "\ufdd00\ufdd1",
    "round precision": "{{ 1 | round(-100000000) }}",
    "round precision up": "{{ 1 | round(100000000) }}",
    "truncate": "{{ name | truncate(99999999999) }}",
    "config": "{{ config }}",
    "request": "{{ request }}",
    "g": "{{ g }}",
    "self": "{{ self }}",
    "cycler": "{{ cycler }}",
    "lipsum": "{{ lipsum }}",
    "namespace": "{{ namespace }}",
    "password": "{{ user.password_hash }}",
    "date form": "{{ signed_up | date('%9999999d') }}",
}


@pytest.mark.parametrize("source", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_template_bounces_quickly_and_cheaply(source):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.process_time()
    with pytest.raises(TemplateError) as info:
        fill(source, name="Ada", signed_up=datetime(2026, 3, 2, tzinfo=UTC), tags=("a", "b"))
    assert time.process_time() - began < 0.5
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 30_000  # KiB
    assert isinstance(info.value, InvalidMessage)
    assert len(str(info.value)) < 400


def test_error_names_the_line_of_what_is_not_allowed():
    with pytest.raises(TemplateError, match="line 4: a call") as info:
        compile_template("one\ntwo\n\n{{ name.delete() }}")
    assert info.value.line == 4


def test_text_that_gets_too_long_is_cut_off_with_an_error():
    source = "{{ name }}" * 600
    with pytest.raises(TemplateError, match=f"longer than {MAX_OUTPUT_BYTES} bytes"):
        fill(source, name="x" * 1000)


def test_value_is_never_read_as_a_template():
    assert fill("{{ name }}", name="{{ 7*7 }}{% endif %}") == "{{ 7*7 }}{% endif %}"


def test_template_does_not_slow_down_by_being_used():
    compiled = compile_template("{{ name }}")
    assert compile_template("{{ name }}") is compiled


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet="{}%#()[]|.'\"_~*+- \nabcdefilnorst0123456789", max_size=120))
def test_any_text_is_a_template_or_a_template_error(source):
    try:
        text = fill(source, name="Ada")
    except TemplateError:
        return
    assert isinstance(text, str)


@given(st.text(), st.text())
def test_slots_give_back_what_was_put_in_but_control_characters(one, two):
    slots = Slots()
    text = f"a{slots.put(one)}b{slots.put(two)}c"
    restored = slots.restore(text)
    assert restored.startswith("a")
    assert "\x00" not in restored
    assert "\ufdd0" not in restored
    if one.isprintable() and two.isprintable():
        assert restored == f"a{one}b{two}c"
