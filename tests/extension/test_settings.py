"""What a setting may be: what can't work is refused when the app is made, by its name."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from flask_engage import InvalidSettings
from flask_engage.settings import Settings

REFUSED: list[tuple[str, Any, str]] = [
    ("SEGMENT_HISTORY_DAYS", 10**9, "from 1 to 36500"),
    ("SEGMENT_HISTORY_DAYS", timedelta(days=3), "whole number of days"),
    ("SEGMENT_HISTORY_DAYS", True, "whole number of days"),
    ("SEGMENT_SECONDS", 0, "above 0"),
    ("SEGMENT_SECONDS", "3600", "a timedelta or a number of seconds"),
    ("FLUSH_INTERVAL", float("inf"), "a timedelta or a number of seconds"),
    ("FLUSH_INTERVAL", float("nan"), "a timedelta or a number of seconds"),
    ("FLUSH_INTERVAL", 1e300, "a timedelta or a number of seconds"),
    ("SESSION_IDLE", timedelta.max, "a timedelta or a number of seconds"),
    ("JOURNAL_MAX_BYTES", 1, "from 1048576"),
    ("JOURNAL_MAX_BYTES", 2.5e9, "whole number of bytes"),
    ("JOURNAL_DIR", "", "a path that is not empty"),
    ("JOURNAL_DIR", 5, "a path that is not empty"),
    ("JOURNAL_DIR", b"journal", "a path that is not empty"),
    ("GEOIP_DATABASE", "  ", "a path that is not empty"),
    ("URL_PREFIX", "/en gage", "a path such as '/engage'"),
    ("URL_PREFIX", "/engage?x", "a path such as '/engage'"),
    ("URL_PREFIX", "/<engage>", "a path such as '/engage'"),
    ("URL_PREFIX", "/int/<int:n>", "a path such as '/engage'"),
    ("URL_PREFIX", "//engage", "a path such as '/engage'"),
    ("URL_PREFIX", "/a//b", "a path such as '/engage'"),
    ("URL_PREFIX", "/a/../b", "a path such as '/engage'"),
    ("URL_PREFIX", "/en\ngage", "a path such as '/engage'"),
    ("URL_PREFIX", "engage", "a path such as '/engage'"),
    ("URL_PREFIX", "/", "a path such as '/engage'"),
    ("URL_PREFIX", None, "a path such as '/engage'"),
    ("BASE_URL", "https://app.exam\nple.com", "an address such as"),
    ("MAIL_FROM", "Ada\r\nBcc: all@example.com <ada@example.com>", "without line breaks"),
    ("MAIL_FROM", "ada@example.com\n", "without line breaks"),
    ("MAIL_FROM", "Ada\u2028 <ada@example.com>", "without line breaks"),
    ("MAIL_FROM", "Ada\x00 <ada@example.com>", "without line breaks"),
    ("MAIL_FROM", "Ada\ud800 <ada@example.com>", "without line breaks"),
    ("MAIL_ONLY_TO", 5, "a list of addresses"),
    ("EXCLUDE", ["*"], "only at the end of a path"),
    ("EXCLUDE", ["/a/*/b"], "only at the end of a path"),
]


@pytest.mark.parametrize(("name", "value", "expected"), REFUSED)
def test_what_can_not_work_is_refused_by_name(name: str, value: Any, expected: str) -> None:
    with pytest.raises(InvalidSettings) as raised:
        Settings.from_config({f"ENGAGE_{name}": value})
    [line] = str(raised.value).splitlines()[1:]
    assert line.startswith(f"- ENGAGE_{name} = {value!r}: expected ")
    assert expected in line


TAKEN: list[tuple[str, Any, Any]] = [
    ("SEGMENT_SECONDS", timedelta(minutes=5), 300),
    ("SEGMENT_SECONDS", 0.5, 1),
    ("SEGMENT_HISTORY_DAYS", 36_500, 36_500),
    ("FLUSH_INTERVAL", 0.2, timedelta(seconds=0.2)),
    ("SESSION_IDLE", timedelta(hours=1), timedelta(hours=1)),
    ("JOURNAL_MAX_BYTES", 1024**2, 1024**2),
    ("JOURNAL_DIR", Path("here") / "journal", "here/journal"),
    ("URL_PREFIX", "/admin/people-1.0_~/", "/admin/people-1.0_~"),
    ("MAIL_FROM", "Åse Ørn <ase@example.com>", "Åse Ørn <ase@example.com>"),
    *(
        ("MAIL_FROM", name, name)
        for name in (
            "Ada \N{WOMAN}\N{ZERO WIDTH JOINER}\N{PERSONAL COMPUTER} <ada@example.com>",
            "L\N{NO-BREAK SPACE}!\N{RIGHT-TO-LEFT MARK} <ada@example.com>",
        )
    ),
    ("MAIL_ONLY_TO", {"@Example.com"}, ("@example.com",)),
]


@pytest.mark.parametrize(("name", "value", "kept"), TAKEN)
def test_what_is_taken(name: str, value: Any, kept: Any) -> None:
    assert getattr(Settings.from_config({f"ENGAGE_{name}": value}), name) == kept


def test_everything_that_is_wrong_is_told_at_once() -> None:
    config = {f"ENGAGE_{name}": value for name, value, _ in REFUSED}
    with pytest.raises(InvalidSettings) as raised:
        Settings.from_config(config)
    for name, _, _ in REFUSED:
        assert f"- ENGAGE_{name} = " in str(raised.value)
