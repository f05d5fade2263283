"""A password or a key that a setting holds is shown nowhere, whatever is wrong with it."""

from __future__ import annotations

import traceback
from dataclasses import fields
from typing import Any

import pytest
from flask import Flask

from flask_engage import Engage, InvalidSettings
from flask_engage.settings import Settings

SECRET = "hunter2-and-more"
SECRETS = {
    "DATABASE_URL",
    "SMTP_URL",
    "ENRICH_FULLCONTACT_KEY",
    "ENRICH_GRAVATAR_KEY",
}

WRONG: list[tuple[str, Any]] = [
    *((name, [SECRET]) for name in sorted(SECRETS)),
    *((name, SECRET.encode()) for name in sorted(SECRETS)),
    ("SMTP_URL", f"smpt://ada:{SECRET}@mail.example.com"),
    ("SMTP_URL", f"smtp://ada:{SECRET}@mail.example.com:port"),
    ("SMTP_URL", f"smtp://ada:{SECRET}@mail.example.com:99999"),
    ("SMTP_URL", f"smtp://ada:{SECRET}@mail.example.com:0"),
    ("SMTP_URL", f"smtp://ada:{SECRET}"),
    ("SMTP_URL", f"smtp://ada:4/{SECRET}@mail.example.com"),
    ("SMTP_URL", f"smtp://ada:4#{SECRET}@mail.example.com"),
    ("SMTP_URL", f"smtp://ada:4?{SECRET}@mail.example.com"),
    ("SMTP_URL", f"smtp://ada:[{SECRET}@mail.example.com"),
    ("SMTP_URL", f"smtp://ada:{SECRET}℀@mail.example.com"),
]


def test_the_settings_that_are_secret_are_known() -> None:
    assert {item.name for item in fields(Settings) if item.metadata["secret"]} == SECRETS


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_an_error_names_the_setting_and_not_its_value(name: str, value: Any) -> None:
    app = Flask("host")
    app.config[f"ENGAGE_{name}"] = value
    app.config["ENGAGE_MAIL_FROM"] = "ada@example.com"
    with pytest.raises(InvalidSettings, match=f"ENGAGE_{name} .*expected") as raised:
        Engage(app)
    said = "".join(traceback.format_exception(raised.value))
    assert SECRET not in said
    assert "missing" not in said, "it is there"


@pytest.mark.parametrize("is_swapped", [False, True])
def test_an_error_names_the_argument_and_not_its_value(is_swapped: bool) -> None:
    url, app = f"postgresql://ada:{SECRET}@db/app", Flask("host")
    given: tuple[Any, Any] = (url, app) if is_swapped else (app, {"url": url})
    with pytest.raises(InvalidSettings) as raised:
        Engage().init_app(*given)
    assert SECRET not in str(raised.value)


def test_the_port_of_a_mail_server_is_explained_in_words_of_ours() -> None:
    config = {"ENGAGE_SMTP_URL": "smtp://ada:x@example.com:mail", "ENGAGE_MAIL_FROM": "a@b.c"}
    with pytest.raises(InvalidSettings, match=r"a port from 1 to 65535") as raised:
        Settings.from_config(config)
    assert "cast" not in str(raised.value)


def test_settings_can_be_printed() -> None:
    settings = Settings.from_config(
        {
            "ENGAGE_DATABASE_URL": f"postgresql://ada:{SECRET}@db/app",
            "ENGAGE_SMTP_URL": f"smtp://ada:{SECRET}@mail.example.com",
            "ENGAGE_ENRICH_FULLCONTACT_KEY": SECRET,
            "ENGAGE_ENRICH_GRAVATAR_KEY": SECRET,
            "ENGAGE_MAIL_FROM": "ada@example.com",
        }
    )
    assert "ada@example.com" in repr(settings)
    assert SECRET not in repr(settings)
