"""What a person gets to see: their words, and nothing that anybody could plant in them."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flask_engage.errors import InvalidMessage
from flask_engage.messages.content import Button, Email, InApp
from flask_engage.messages.render import (
    context_for,
    preflight,
    render_email,
    render_in_app,
)
from flask_engage.types import Person

ADA = Person(
    public_id="p1",
    user_id="7",
    email="ada@example.com",
    name="Ada",
    signed_up=datetime(2026, 1, 2, tzinfo=UTC),
    sessions=0,
    tags=("vip",),
    attrs={"invites sent": 3.0, "plan": " ", "gone": None, "active": False},
)


def in_app(body, **values):
    return render_in_app(
        InApp(body=body), context_for(Person(public_id="p", user_id="1", **values))
    )


class Tags(HTMLParser):
    """Collects what a browser would act upon."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes.extend(attrs)

    def handle_data(self, data):
        self.text += data


# --- context ---------------------------------------------------------------------------------


def test_context_holds_plain_values_and_leaves_out_what_is_missing_or_blank():
    context = context_for(ADA)
    assert context["name"] == "Ada"
    assert context["sessions"] == 0
    assert context["unsubscribed"] is False
    assert context["attrs"] == {"invites sent": 3.0, "active": False}
    assert context["tags"] == ("vip",)
    assert "city" not in context
    assert "public_id" not in context


def test_missing_none_and_blank_values_get_the_fallback_and_fail_bare():
    for name in (None, "", "  "):
        assert "Hello there" in in_app("Hello {{ name | default('there') }}", name=name).html
        with pytest.raises(InvalidMessage, match="body, line 1: 'name' is not known"):
            in_app("Hello {{ name }}", name=name)


# --- in-app ----------------------------------------------------------------------------------


def test_in_app_is_rendered_with_title_html_and_buttons():
    message = InApp(
        "Hi {{ name }}",
        "You sent **{{ attrs['invites sent'] }}** invites.\n\n- [Export](/export)\n- x",
        "banner",
        [Button("Go", "/x"), Button("Later")],
    )
    rendered = render_in_app(message, context_for(ADA))
    assert rendered.title == "Hi Ada"
    assert rendered.style == "banner"
    assert rendered.buttons == (Button("Go", "/x"), Button("Later"))
    assert "You sent <strong>3</strong> invites." in rendered.html
    assert '<a href="/export" rel="noopener noreferrer">Export</a>' in rendered.html


HOSTILE_BODIES = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    '<a href="java&#x0A;script:alert(1)">x</a>',
    "<base href=//evil.example>",
    '<meta http-equiv="refresh" content="0;url=//evil.example">',
    "<form action=//evil.example><input></form>",
    "<style>*{display:none}</style>",
    "<iframe src=//evil.example></iframe>",
    "[x](javascript:alert(1))",
    "[x](JavaScript&colon;alert(1))",
    "[x](data:text/html;base64,PHNjcmlwdD4=)",
    "[x](//evil.example)",
    "[x](/\\evil.example)",
    "[x](https://good@evil.example)",
    "![x](javascript:alert(1))",
    '![x"onerror=alert(1)](x"onerror=alert(1))',
    "<javascript:alert(1)>",
    "[x]: javascript:alert(1)\n\n[x]",
    '[x](/a "onclick=alert(1)")',
]

ALLOWED_TAGS = {
    *("p", "br", "hr", "strong", "em", "del", "code", "pre", "blockquote", "ul", "ol", "li"),
    *("h1", "h2", "h3", "h4", "a", "img"),
}


def assert_harmless(html: str) -> None:
    seen = Tags(html)
    assert set(seen.tags) <= ALLOWED_TAGS
    assert {name for name, _ in seen.attributes} <= {"href", "src", "alt", "rel", "start"}
    for name, value in seen.attributes:
        if name in ("href", "src"):
            assert re.match(r"(?i)(https?://|mailto:|/(?!/)|[#?]|[^:/]*(/|\Z|[?#]))", value or "")
            assert "evil.example" not in (value or "")


@pytest.mark.parametrize("body", HOSTILE_BODIES)
def test_nothing_that_runs_survives_in_a_body(body):
    assert_harmless(in_app(body).html)
    assert_harmless(in_app(f"text {body} text").html)


@pytest.mark.parametrize(
    "name",
    [
        *HOSTILE_BODIES,
        "{{7*7}}",
        "*bold* _it_ `code`",
        "# head",
        "- item",
        '"><script>alert(1)</script>',
        "\n\n<h1>x</h1>\n\n",
        "&lt;b&gt; &amp;",
        "\\",
    ],
)
@pytest.mark.parametrize(
    "body",
    [
        "Hello {{ name }}",
        "{{ name }}",
        "# {{ name }}",
        "- {{ name }}",
        "`{{ name }}`",
        "**{{ name }}**",
    ],
)
def test_name_stays_the_text_that_it_is(body, name):
    html = in_app(body, name=name).html
    assert_harmless(html)
    seen = Tags(html)
    assert set(seen.tags) <= {"p", "h1", "ul", "li", "code", "strong"}
    assert " ".join(name.split()) in " ".join(seen.text.split())


def test_value_in_a_link_can_not_change_where_it_leads():
    html = in_app("[x](https://example.com/u/{{ name }})", name="../../?q=@evil.com/ )(").html
    assert 'href="https://example.com/u/..%2F..%2F%3Fq%3D%40evil.com%2F%20%29%28"' in html
    assert_harmless(in_app("[x]({{ name }})", name="javascript:alert(1)").html)
    assert (
        'href="https://ok.example/a?b=1"'
        in in_app("[x]({{ name }})", name="https://ok.example/a?b=1").html
    )


@pytest.mark.parametrize(
    "address",
    [
        "https://ok.example{{ name }}/a",
        "HTTPS://{{ name }}/a",
        "https://{{ name }}.ok.example",
        "https://ok.example:80{{ name }}",
        "{{ email }}{{ name }}/a",
    ],
)
def test_value_in_the_host_of_a_link_leaves_no_link(address):
    values = {"name": ".evil.example", "email": "https://ok.example"}
    assert in_app(f"[x]({address})", **values).html == "<p>x</p>"
    person = Person(public_id="p", user_id="1", **values)
    rendered = render_email(Email("s", f"[x]({address})"), context_for(person))
    assert "evil" not in rendered.html + rendered.text


def test_value_behind_the_host_of_a_link_stays():
    values = {"name": "a b", "email": "https://ok.example/t"}
    for address in ("https://ok.example/t/{{ name }}", "{{ email }}/{{ name }}"):
        html = in_app(f"[x]({address})", **values).html
        assert 'href="https://ok.example/t/a%20b"' in html


def test_title_is_one_line_of_plain_text():
    person = Person(public_id="p", user_id="1", name="A\r\nB\x00<b>\u2028C")
    assert render_in_app(InApp("Hi {{ name }}"), context_for(person)).title == "Hi A B <b> C"


@settings(max_examples=60, deadline=None)
@given(st.text(min_size=1, max_size=60))
def test_any_name_leaves_the_page_harmless(name):
    if name.strip():
        assert_harmless(in_app("Hi *{{ name }}*, [go](/x/{{ name }}) `{{ name }}`", name=name).html)


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet="<>[]()!*_`#-:/\\\"'&;=javscriptonerror \n", max_size=80))
def test_any_body_leaves_the_page_harmless(body):
    if body.strip():
        html = in_app(body.replace("evil", "")).html
        assert_harmless(html)


def test_address_in_the_text_becomes_a_link_and_one_in_a_name_does_not():
    html = in_app("see https://ok.example/a, {{ name }}", name="https://evil.example").html
    assert html == (
        '<p>see <a href="https://ok.example/a" rel="noopener noreferrer">https://ok.example/a</a>, '
        "https://evil.example</p>"
    )


# --- mail ------------------------------------------------------------------------------------

BASE = {"base_url": "https://app.example.com"}


def test_mail_has_subject_html_and_text():
    message = Email(
        "You sent {{ attrs['invites sent'] }} invites",
        "Hello **{{ name }}**,\n\n[your export](/export) is\nready.\n\n1. one\n2. two\n\n> quoted",
    )
    rendered = render_email(message, context_for(ADA), **BASE)
    assert rendered.subject == "You sent 3 invites"
    assert "Hello <strong>Ada</strong>," in rendered.html
    assert 'href="https://app.example.com/export"' in rendered.html
    assert rendered.text == (
        "Hello Ada,\n\nyour export (https://app.example.com/export) is\nready.\n\n"
        "1. one\n2. two\n\n> quoted\n"
    )
    assert "Unsubscribe" not in rendered.html


def test_mail_ends_with_the_link_that_ends_mail():
    rendered = render_email(
        Email("x", "y"), context_for(ADA), unsubscribe_url="https://app.example.com/t/u/a?b&c"
    )
    assert 'href="https://app.example.com/t/u/a?b&amp;c"' in rendered.html
    assert rendered.text.endswith("Unsubscribe: https://app.example.com/t/u/a?b&c\n")


def test_mail_needs_the_whole_address_of_a_link_into_the_app():
    with pytest.raises(InvalidMessage, match="ENGAGE_BASE_URL"):
        render_email(Email("x", "[go](/export)"), context_for(ADA))


def test_subject_stays_on_one_line_whatever_a_name_holds():
    person = Person(public_id="p", user_id="1", name="x\r\nBcc: v@x.example\u2028\x85\x00y")
    rendered = render_email(Email("Hi {{ name }}", "x"), context_for(person))
    assert rendered.subject.isprintable()
    assert len(rendered.subject.splitlines()) == 1


def test_subject_that_comes_out_empty_is_an_error():
    with pytest.raises(InvalidMessage, match="subject"):
        render_email(Email("{% if sessions %}x{% endif %}", "x"), context_for(ADA))


def test_mail_takes_hostile_names_as_text():
    person = Person(public_id="p", user_id="1", name='"><img src=x onerror=alert(1)> {{7*7}}')
    rendered = render_email(Email("{{ name }}", "Hi {{ name }}"), context_for(person))
    assert "<img" not in rendered.html
    assert "{{7*7}}" in rendered.html
    assert person.name in rendered.text


def test_text_part_reads_as_a_person_would_write_it():
    body = (
        "# Head\n\ntext *a* `b` & &amp; <b>\n\n- one\n  - inner\n- two\n\n---\n\n"
        "```\ncode  {{ name }}\n```\n\n<https://x.example> ![a picture](https://x.example/p.png)"
    )
    text = render_email(Email("x", body), context_for(ADA)).text
    assert text == (
        "Head\n\ntext a b & & <b>\n\n- one\n  - inner\n- two\n\n----\n\n    code  Ada\n\n"
        "https://x.example a picture\n"
    )


# --- preflight -------------------------------------------------------------------------------


def test_preflight_lists_those_who_can_not_be_written_to_and_why():
    nameless = Person(public_id="q", user_id="2")
    found = list(preflight(Email("Hi {{ name }}", "x"), iter([ADA, nameless])))
    assert [item.person for item in found] == [nameless]
    assert "'name' is not known" in found[0].problem
    assert not list(preflight(InApp("Hi {{ name | default('x') }}"), [ADA, nameless]))
