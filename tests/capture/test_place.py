"""Country and address of a session: as the host's proxy or its own file says, and no more."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from flask_engage.capture.place import Place, country_code, truncated, whole
from flask_engage.errors import InvalidSettings
from flask_engage.settings import Settings
from tests._hosts import Host
from tests.capture._mmdb import write_mmdb

NETWORKS = {
    "203.0.113.0/24": {"country": {"iso_code": "DE"}},
    "198.51.100.0/25": {"country_code": "fr"},
    "192.0.2.0/24": {"country": {"geoname_id": (6, 7)}},
    "2001:db8::/32": {"country": {"iso_code": "JP"}},
}


@pytest.fixture
def file(tmp_path: Path) -> str:
    return str(write_mmdb(tmp_path / "countries.mmdb", NETWORKS))


def place(**settings: Any) -> Place:
    return Place(Settings(**settings))


@pytest.mark.parametrize(
    ("said", "country"),
    [
        ("DE", "DE"),
        (" gb ", "GB"),
        ("XX", None),
        ("T1", None),
        ("DEU", None),
        ("D", None),
        ("ＤＥ", None),
        ("ss", "SS"),
        ("ß", None),
        ("", None),
        (None, None),
    ],
)
def test_a_country_is_two_plain_letters(said: str | None, country: str | None) -> None:
    assert country_code(said) == country
    environ = {} if said is None else {"HTTP_CF_IPCOUNTRY": said}
    assert place(COUNTRY_HEADER="CF-IPCountry").of(environ, "203.0.113.9") == (country, None)


@pytest.mark.parametrize(
    ("address", "country"),
    [
        ("203.0.113.77", "DE"),
        ("198.51.100.1", "FR"),
        ("198.51.100.200", None),
        ("192.0.2.1", None),
        ("::ffff:203.0.113.77", "DE"),
        ("2001:db8:1::1", "JP"),
        ("fe80::1%eth0", None),
        ("unix:", None),
        ("203.0.113.77:8080", None),
        ("", None),
        (None, None),
    ],
)
def test_a_file_of_the_hosts_tells_the_country_of_an_address(
    file: str, address: str | None, country: str | None
) -> None:
    asked = place(GEOIP_DATABASE=file)
    assert asked.of({}, address) == asked.of({}, address) == (country, None)


def test_what_the_proxy_says_goes_before_the_file_unless_it_knows_nothing(file: str) -> None:
    asked = place(GEOIP_DATABASE=file, COUNTRY_HEADER="X-Country")
    assert asked.of({"HTTP_X_COUNTRY": "at"}, "203.0.113.77")[0] == "AT"
    assert asked.of({"HTTP_X_COUNTRY": "XX"}, "203.0.113.77")[0] == "DE"


def test_a_file_for_ipv4_alone_says_nothing_of_other_addresses(tmp_path: Path) -> None:
    path = write_mmdb(
        tmp_path / "four.mmdb", {"203.0.113.0/24": {"country": {"iso_code": "DE"}}}, ip_version=4
    )
    asked = place(GEOIP_DATABASE=str(path))
    assert asked.of({}, "2001:db8::1")[0] is None
    assert asked.of({}, "203.0.113.1")[0] == "DE"


@pytest.mark.parametrize("content", [None, b"", b"no such format" * 99])
def test_a_file_that_cannot_be_used_is_told_once_at_the_start(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes | None
) -> None:
    path = tmp_path / "broken.mmdb"
    if content is not None:
        path.write_bytes(content)
    asked = place(GEOIP_DATABASE=str(path))
    assert len(caplog.records) == 1
    assert str(path) in caplog.text
    write_mmdb(path, NETWORKS)  # for the next start
    for _ in range(3):
        assert asked.of({}, "203.0.113.77") == (None, None)
    assert len(caplog.records) == 1


def test_damage_within_the_file_is_told_once(
    file: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data = Path(file).read_bytes()
    start = data.index(bytes(16)) + 16
    end = data.index(b"\xab\xcd\xefMaxMind.com")
    damaged = tmp_path / "damaged.mmdb"
    damaged.write_bytes(data[:start] + b"\xff" * (end - start) + data[end:])
    asked = place(GEOIP_DATABASE=str(damaged))
    assert not caplog.records
    for number in range(3):
        assert asked.of({}, f"203.0.113.{number}") == (None, None)
    assert len(caplog.records) == 1


def test_a_missing_package_is_named_with_its_extra(
    file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "maxminddb", None)
    with pytest.raises(InvalidSettings, match=r"flask-engage\[geo\]"):
        place(GEOIP_DATABASE=file)


def test_a_forked_process_opens_the_file_itself(file: str) -> None:
    asked = place(GEOIP_DATABASE=file)
    assert asked.of({}, "203.0.113.1")[0] == "DE"
    child = os.fork()
    if not child:
        os._exit(0 if asked.of({}, "2001:db8::1")[0] == "JP" else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert asked.of({}, "2001:db8::1")[0] == "JP"


@pytest.mark.parametrize(
    ("address", "kept", "cut"),
    [
        ("203.0.113.77", "203.0.113.77", "203.0.113.0"),
        ("::ffff:203.0.113.77", "203.0.113.77", "203.0.113.0"),
        ("2001:DB8:1:2:3:4:5:6", "2001:db8:1:2:3:4:5:6", "2001:db8:1::"),
        ("fe80::1%eth0", "fe80::1", "fe80::"),
        ("unix:", None, None),
        ("1.2.3", None, None),
    ],
)
def test_an_address_is_kept_as_the_setting_says(
    address: str, kept: str | None, cut: str | None
) -> None:
    assert (whole(address), truncated(address)) == (kept, cut)
    assert place(STORE_IP="none").of({}, address) == (None, None)
    assert place(STORE_IP="full").of({}, address) == (None, kept)
    assert place(STORE_IP="truncated").of({}, address) == (None, cut)


def test_behind_a_proxy_the_visitors_address_counts(
    app_host: Host, engage: Any, file: str, tmp_path: Path
) -> None:
    from werkzeug.middleware.proxy_fix import ProxyFix

    from flask_engage._state import state_of
    from flask_engage.capture.facts import Seen

    app = app_host.create_app(
        engage,
        ENGAGE_JOURNAL_DIR=str(tmp_path / "journal"),
        ENGAGE_GEOIP_DATABASE=file,
        ENGAGE_STORE_IP="truncated",
    )
    taken: list[Any] = []
    recorder = state_of(app).recorder
    recorder.append = taken.append  # type: ignore[assignment,method-assign]
    app.wsgi_app = ProxyFix(app.wsgi_app)  # type: ignore[method-assign]
    client = app.test_client()
    client.get(f"/login/{app_host.add_user(app)}")
    client.get("/", headers={"X-Forwarded-For": "203.0.113.77"})
    fact = taken[-1]
    assert isinstance(fact, Seen)
    assert fact.context is not None
    assert (fact.context.country, fact.context.ip) == ("DE", "203.0.113.0")
