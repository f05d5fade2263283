"""Every setting has its sentence, and the pages name no setting that is not there."""

from __future__ import annotations

import re
from dataclasses import fields
from datetime import timedelta

import pytest

from flask_engage.settings import Settings
from tests.promises._documents import pages
from tests.promises._source import ROOT

NAMES = {f"ENGAGE_{item.name}" for item in fields(Settings)}


@pytest.mark.parametrize("item", fields(Settings), ids=lambda item: item.name)
def test_a_setting_says_what_it_does(item) -> None:  # type: ignore[no-untyped-def]
    assert item.metadata["doc"].rstrip("`").endswith((".", "…")), item.metadata["doc"]
    if isinstance(item.default, timedelta):
        assert item.metadata["unit"] == "seconds"


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_a_page_names_only_settings_that_exist(page) -> None:  # type: ignore[no-untyped-def]
    named = set(re.findall(r"\bENGAGE_[A-Z_]+[A-Z]\b", page.read_text(encoding="utf-8")))
    assert named <= NAMES


def test_the_page_of_settings_is_made_from_the_code() -> None:
    assert "{engage-settings}" in (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
