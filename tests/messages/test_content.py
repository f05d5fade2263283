"""Messages as they are written: what is refused, and with which words."""

from __future__ import annotations

import pickle

import pytest

from flask_engage.errors import InvalidMessage
from flask_engage.messages.content import Button, Email, EmailTemplate, InApp, message_of, resolved
from flask_engage.messages.template import TemplateError
from flask_engage.store.content import ContentRow

GOOD_URLS = [
    "/export",
    "/a/b?c=d:e&f=%20#g",
    "?tab=2",
    "#top",
    "export",
    "export/now?at=10:30",
    "https://example.com",
    "http://example.com:8080/x?y=1#z",
    "HTTPS://EXAMPLE.COM/x",
    "https://xn--bcher-kva.example/",
    "/füße",
]

BAD_URLS = [
    "",
    "javascript:alert(1)",
    " javascript:alert(1)",
    "\x01javascript:alert(1)",
    "java\nscript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "vbscript:x",
    "//evil.com",
    "/\\evil.com",
    "\\\\evil.com",
    "/\t/evil.com",
    "http:///evil.com",
    "http:evil.com",
    "https:/evil.com",
    "https://good@evil.com",
    "https://good:x@evil.com",
    "ht\ntps://evil.com",
    "https://evil.com:port",
    "https://[evil",
    "https://",
    "ftp://example.com",
    "file:///etc/passwd",
    "mailto:a@b.example",
    "/x y",
    "/x\u2028y",
    "/x\u00a0y",
    "/\u202etxt.exe",
    "javascript&colon;alert(1):",
    "x" * 2001,
    7,
]


@pytest.mark.parametrize("url", GOOD_URLS)
def test_button_takes_paths_of_the_app_and_addresses_of_the_web(url):
    assert Button("Go", url).url == url


@pytest.mark.parametrize("url", BAD_URLS)
def test_button_refuses_an_address_that_is_a_trick(url):
    with pytest.raises(InvalidMessage, match="Button url"):
        Button("Go", url)


@pytest.mark.parametrize("label", ["", "  ", "x" * 61, "two\nlines", "a\x00b", None])
def test_button_needs_a_label_on_one_line(label):
    with pytest.raises(InvalidMessage, match="Button label"):
        Button(label)


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({}, "InApp body"),
        ({"title": " ", "body": "\n"}, "InApp body"),
        ({"body": 7}, "InApp body"),
        ({"body": "{{ name.x() }}"}, "InApp body, line 1"),
        ({"body": "a\x00b"}, "InApp body"),
        ({"title": "a\nb"}, "InApp title"),
        ({"title": "x" * 501}, "InApp title"),
        ({"title": "{{"}, "InApp title"),
        ({"body": "x", "style": "modal"}, "InApp style"),
        ({"body": "x", "buttons": ["Go"]}, "InApp buttons"),
        ({"body": "x", "buttons": [Button("a")] * 5}, "InApp buttons"),
    ],
)
def test_in_app_names_the_field_that_is_wrong(values, field):
    with pytest.raises(InvalidMessage, match=field):
        InApp(**values)


@pytest.mark.parametrize(
    ("subject", "body", "field"),
    [
        ("", "x", "Email subject"),
        ("hi\r\nBcc: v@x.example", "x", "Email subject"),
        ("a\u2028b", "x", "Email subject"),
        ("a\x85b", "x", "Email subject"),
        ("a\x00b", "x", "Email subject"),
        ("x", " ", "Email body"),
        ("x", "\ud800", "Email body"),
        ("x", "a\n{% include 'y' %}", "Email body, line 2"),
        (None, "x", "Email subject"),
    ],
)
def test_email_names_the_field_that_is_wrong(subject, body, field):
    with pytest.raises(InvalidMessage, match=field):
        Email(subject, body)


def test_error_in_a_template_is_an_invalid_message_with_a_line():
    with pytest.raises(TemplateError) as info:
        Email("x", "one\n\n{{ name.x() }}")
    assert info.value.line == 3


def test_messages_are_equal_by_what_they_say_and_can_be_kept():
    message = InApp("Hi", "x", buttons=[Button("Go", "/x")])
    assert message == InApp("Hi", "x", buttons=(Button("Go", "/x"),))
    assert hash(message) == hash(InApp("Hi", "x", buttons=(Button("Go", "/x"),)))
    assert pickle.loads(pickle.dumps(message)) == message


@pytest.mark.parametrize(
    "message",
    [
        Email("Hi {{ name }}", "Body"),
        InApp("T", "B", "note", [Button("Go", "/x"), Button("Later")]),
        InApp(body="B"),
    ],
)
def test_message_comes_back_from_its_row_as_it_was(message):
    row = ContentRow(
        channel=message.channel,
        subject=message.heading,
        body=message.body,
        options=message.options,
    )
    assert message_of(row) == message


FILE = """---
subject: "We miss you, {{ name | default('you') }}"
# a note
---

Come **back**.

---

Ada
"""


def test_email_template_is_read_when_the_app_is_known():
    template = Email.template("engage/come_back.md")
    assert template == EmailTemplate("engage/come_back.md")
    message = resolved(template, {"engage/come_back.md": FILE}.__getitem__)
    assert message == Email(
        "We miss you, {{ name | default('you') }}", "Come **back**.\n\n---\n\nAda"
    )
    assert resolved(message, {}.__getitem__) is message


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("Come back", "expected front matter"),
        ("---\nsubject: x\nCome back", "expected 'key: value'"),
        ("---\nsubject: x\n", "no closing line"),
        ("---\ntitle: x\n---\nCome back", "has no 'subject:'"),
        ("---\nsubject: x\n---\n", "says nothing"),
        ("---\nsubject: x\n---\n{{ f() }}", "Email body, line 1: a call"),
    ],
)
def test_email_template_of_the_wrong_form_is_refused_by_its_name(source, problem):
    with pytest.raises(InvalidMessage, match=problem) as info:
        Email.template("engage/x.md").read(lambda name: source)
    assert "engage/x.md" in str(info.value)


def test_what_is_no_message_is_refused():
    with pytest.raises(InvalidMessage, match="is no message"):
        resolved("hello", {}.__getitem__)
