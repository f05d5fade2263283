"""Where data leads, only public addresses are asked; and nobody gets at us by what they answer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from flask_engage.people.enrich.avatars import kind_of_picture
from flask_engage.people.enrich.outbound import Failed, Outbound, Refused, is_public
from flask_engage.people.enrich.places import domain_of, guess_companies
from tests.people._enrichment_server import Server, answer


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        yield server


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "localhost", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "0",
        "[::1]", "[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]", "[fec0::1]", "[2002:7f00:1::]",
        "[::127.0.0.1]", "169.254.169.254", "224.0.0.1", "100.64.0.1", "10.0.0.1",
        "192.0.0.8", "192.88.99.1", "①②⑦.⓪.⓪.①", "user@127.0.0.1",
    ],
)  # fmt: skip
def test_what_lies_inside_is_not_asked(server: Server, host: str) -> None:
    outbound = Outbound(ports=frozenset({server.port}), seconds=1.0)
    with pytest.raises((Refused, Failed)) as refused:
        outbound.ask(f"http://{host}:{server.port}/", guarded=True)
    assert not server.requests
    if "user" not in host and host.isascii():
        assert "public" in str(refused.value) or "looked up" in str(refused.value)


@pytest.mark.parametrize(
    "url",
    ["file:///etc/passwd", "gopher://x.org/", "ftp://x.org/", "http://x.org:22/", "//x.org", "",
     "http://x.org:6379/", "http://x .org/", "http://x.org/\r\nHost: y", "http://[::1"],
)  # fmt: skip
def test_what_is_no_address_for_us_is_refused(url: str) -> None:
    with pytest.raises(Refused):
        Outbound(resolve=lambda host, port: ["93.184.216.34"]).ask(url, guarded=True)


def test_a_name_that_also_leads_inside_is_refused(server: Server) -> None:
    outbound = Outbound(
        resolve=lambda host, port: ["93.184.216.34", "127.0.0.1"],
        ports=frozenset({server.port}),
    )
    with pytest.raises(Refused):
        outbound.ask(f"http://pictures.example:{server.port}/", guarded=True)
    assert not server.requests


def test_the_address_that_was_checked_is_the_one_that_is_asked(server: Server) -> None:
    given = iter([["127.0.0.1"], ["10.0.0.1"]])
    outbound = Outbound(
        resolve=lambda host, port: next(given),
        permits=lambda address: address == "127.0.0.1",
        ports=frozenset({server.port}),
    )
    server.answer = answer(302, None, Location="http://169.254.169.254/")
    reply = outbound.ask(f"http://pictures.example:{server.port}/a?b=1", guarded=True)
    assert (reply.status, len(server.requests)) == (302, 1)
    assert server.requests[0].path == "/a?b=1"
    assert server.requests[0].headers["host"] == f"pictures.example:{server.port}"


@pytest.mark.parametrize("headers", [{"Content-Encoding": "gzip"}, {"Content-Length": "999999"}])
def test_answers_that_are_packed_or_longer_than_said_are_failures(
    server: Server, headers: dict[str, str]
) -> None:
    server.answer = lambda request: (200, headers, b"x" * 1000)
    with pytest.raises(Failed):
        replace(Outbound(), seconds=0.5).ask(server.url)


def test_public_addresses_are_public() -> None:
    assert is_public("93.184.216.34")
    assert is_public("2606:4700::1111")
    assert not is_public("no address")


def test_the_environment_names_no_proxy(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert Outbound().ask(server.url).status == 404


@pytest.mark.parametrize(
    ("email", "domain"),
    [
        ("ada@engines.org", "engines.org"),
        ("ada@mail.engines.co.uk", "engines.co.uk"),
        ("ada@GMAIL.com", None),
        ("ada@yahoo.co.uk", None),
        ("ada@localhost", None),
        ("ada@10.0.0.1", None),
        ("ada@<script>.com", None),
        ("ada", None),
        ("ada@bücher.de", "xn--bcher-kva.de"),
    ],
)
def test_a_domain_is_a_companys_or_none(email: str, domain: str | None) -> None:
    assert domain_of(email) == domain


def test_a_company_is_named_as_its_domain() -> None:
    found = guess_companies({1: "a@acme-tools.com", 2: "b@gmx.de", 3: "c@bücher.de"})
    assert {key: one.company for key, one in found.items()} == {1: "Acme Tools", 3: "Bücher"}


def test_a_picture_is_known_by_its_first_bytes() -> None:
    assert kind_of_picture(b"GIF89a") == "image/gif"
    assert kind_of_picture(b"RIFF\x00\x00\x00\x00WEBPVP8 ") == "image/webp"
    assert kind_of_picture(b"\xff\xd8\xff\xe0") == "image/jpeg"
    assert kind_of_picture(b"<svg xmlns=") is None
    assert kind_of_picture(b"") is None
