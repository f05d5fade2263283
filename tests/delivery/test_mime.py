"""The bytes that leave: headers, parts, and nothing that anybody could slip in."""

from __future__ import annotations

import email
import email.policy
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from flask_engage.delivery.addresses import envelope_address, is_let_through, mark_of
from flask_engage.delivery.backoff import MOST_TRIES, WAITS, next_try
from flask_engage.delivery.mime import build_mail, message_id_of, unsubscribe_url
from flask_engage.delivery.tokens import read_unsubscribe_token
from flask_engage.messages.content import Email
from flask_engage.messages.context import context_for
from flask_engage.messages.render import render_email
from flask_engage.types import Person
from tests._clock import START
from tests.delivery._world import settings

ADA = Person(public_id="pid", user_id="1", name="Ada")


def build(person=ADA, subject="Hi {{ name }}", body="Hello {{ name }}", **options):
    app = settings(**options.pop("settings", {}))
    rendered = render_email(Email(subject, body), context_for(person))
    return build_mail(
        rendered,
        recipient="ada@example.org",
        message_id="<m1@example.com>",
        settings=app,
        now=START,
        **options,
    )


def parse(mail):
    return email.message_from_bytes(mail.content, policy=email.policy.default)


def test_mail_has_the_headers_that_it_needs():
    mail = build(unsubscribe="https://app.example.com/engage/t/u/abc")
    message = parse(mail)
    assert dict(message.items()) == {
        "From": "Ada <ada@example.com>",
        "To": "ada@example.org",
        "Subject": "Hi Ada",
        "Date": "Mon, 02 Mar 2026 10:00:00 +0000",
        "Message-ID": "<m1@example.com>",
        "Auto-Submitted": "auto-generated",
        "List-Unsubscribe": "<https://app.example.com/engage/t/u/abc>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        "MIME-Version": "1.0",
        "Content-Type": message["Content-Type"],
    }
    assert message.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in message.iter_parts()] == [
        "text/plain",
        "text/html",
    ]


def test_mail_is_plain_ascii_in_short_lines_whatever_it_says():
    person = Person(public_id="p", user_id="1", name="Ĺ̂𝒜 田中 " * 40)
    mail = build(person, body="Grüße, {{ name }}\n\n.\n\n..a\n\nFrom here")
    assert mail.content.isascii()
    assert max(len(line) for line in mail.content.split(b"\r\n")) <= 998
    assert b"\n" not in mail.content.replace(b"\r\n", b"")
    assert mail.content.endswith(b"\r\n")
    assert "田中" in parse(mail).get_body(("plain",)).get_content()
    assert "田中" in parse(mail)["Subject"]


HOSTILE = [
    "hi\r\nBcc: v@x.example",
    "a\n\n<html>",
    "a\u2028Bcc: x",
    "a\x85Bcc: x",
    "a\x00b",
    "=?utf-8?q?x?=",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_name_can_add_no_header_and_no_body(name):
    mail = build(Person(public_id="p", user_id="1", name=name))
    message = parse(mail)
    assert set(message.keys()) == {
        "From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "MIME-Version",
        "Content-Type",
    }  # fmt: skip
    assert b"\x00" not in mail.content
    assert len(list(message.iter_parts())) == 2


@hypothesis_settings(max_examples=60, deadline=None)
@given(st.text(min_size=1, max_size=80))
def test_any_name_makes_a_mail_with_one_recipient(name):
    if not name.strip():
        return
    message = parse(build(Person(public_id="p", user_id="1", name=name), body="x"))
    assert message["To"] == "ada@example.org"
    assert message["Bcc"] is None
    assert len(message.keys()) == 8


def test_message_id_is_the_same_at_each_try_and_in_the_senders_domain():
    assert message_id_of("abc", settings()) == "<abc@example.com>"


def test_unsubscribe_link_needs_the_hosts_address_and_its_key():
    with_base = settings(BASE_URL="https://app.example.com", URL_PREFIX="/talk")
    url = unsubscribe_url(with_base, ["a key of some length"], "pid")
    start, token = url.rsplit("/", 1)
    assert start == "https://app.example.com/talk/t/u"
    assert read_unsubscribe_token(["a key of some length"], token) == "pid"
    assert unsubscribe_url(with_base, [], "pid") is None
    assert unsubscribe_url(settings(), ["a key of some length"], "pid") is None


# --- addresses -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ada@example.org", "ada@example.org"),
        ("Ada.L+x_y'z@sub.example.co.uk", "Ada.L+x_y'z@sub.example.co.uk"),
        ("a@bücher.example", "a@xn--bcher-kva.example"),
        ("a@xn--bcher-kva.example", "a@xn--bcher-kva.example"),
    ],
)
def test_ordinary_address_passes(text, expected):
    assert envelope_address(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "a@b.c>,<x@y",
        "a@b.example\r\nRCPT TO:<x@y.example>",
        '"a b"@c.example',
        "-oQ/tmp@x.example",
        "x" * 400 + "@example.org",
        "x" * 65 + "@example.org",
        "a@" + "x." * 140 + "org",
        "a@localhost",
        "a@127.0.0.1",
        "a@[127.0.0.1]",
        "a@b@c.example",
        "a,b@c.example",
        "a b@c.example",
        ".a@c.example",
        "a.@c.example",
        "a..b@c.example",
        "a@.example",
        "a@c..example",
        "a@-c.example",
        "a@c-.example",
        "a@c.example.",
        "@c.example",
        "a@",
        "ada",
        "",
        "ä@c.example",
        "a\x00@c.example",
        "a@c.example\n",
        "Ada <a@c.example>",
        "a(x)@c.example",
        "a@c_d.example",
    ],
)
def test_address_that_could_be_read_otherwise_is_refused(text):
    assert envelope_address(text) is None


@given(st.text(max_size=40))
def test_no_text_becomes_an_address_that_breaks_a_command(text):
    address = envelope_address(text)
    if address is not None:
        assert address.isascii()
        assert not set(address) & set('<>\r\n \t,;:\\"()[]\x00')
        assert address.count("@") == 1


def test_staging_guard_takes_addresses_and_domains():
    guard = ("boss@corp.example", "@test.example")
    assert is_let_through("Boss@corp.example", guard)
    assert is_let_through("any@TEST.example", guard)
    assert not is_let_through("any@nottest.example", guard)
    assert not is_let_through("x@corp.example", guard)
    assert is_let_through("x@corp.example", None)
    assert not is_let_through("x@corp.example", ())


def test_mark_of_an_address_does_not_tell_it():
    assert mark_of("A@b.example") == mark_of("a@B.example")
    assert "b.example" not in mark_of("a@b.example")


# --- backoff ---------------------------------------------------------------------------------


def test_waits_grow_from_a_minute_to_six_hours_and_spread_by_a_fifth():
    assert WAITS[0] == timedelta(minutes=1)
    assert WAITS[-1] == timedelta(hours=6)
    for attempts, wait in enumerate(WAITS, start=1):
        assert next_try(attempts, START, lambda: 0.0) == START + wait * 0.8
        assert next_try(attempts, START, lambda: 0.5) == START + wait
        assert next_try(attempts, START, lambda: 1.0) == START + wait * 1.2
    assert next_try(MOST_TRIES, START) is None
    assert sum(WAITS, timedelta(0)) * 1.2 < timedelta(hours=48)
