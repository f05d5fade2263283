"""What is wrong is said in the dashboard's language, be it on a page or by the doctor."""

from __future__ import annotations

import gettext

import pytest

from flask_engage import _language, _symptoms
from flask_engage.capture.backlog import Backlog
from flask_engage.reports.health import Health, JobHealth
from flask_engage.settings import Settings
from tests._clock import START


class _Backwards(gettext.NullTranslations):
    """A language in which each sentence is in brackets."""

    def gettext(self, message: str) -> str:
        return f"⟦{message}⟧"

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        return f"⟦{msgid1 if n == 1 else msgid2}⟧"


@pytest.fixture
def translated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_language, "_translations", _Backwards)


def test_every_sentence_can_be_translated(translated: None) -> None:
    job = JobHealth("mail", None, None, None, START.replace(year=2020), 9, 2, "no", None)
    health = Health((job,), (), 2, 1, START, (("too long", 2),))
    names = tuple("abcde")
    long_ago = START.replace(year=2020)
    backlog = Backlog(1, 5, 2, long_ago, names, names, names, 10**12, False, 0)
    said = [
        *_symptoms.of_tables(health, START),
        *_symptoms.of_journal(backlog, Settings.from_config({}), START),
    ]
    assert len(said) == 4 + 7
    for sentence in said:
        assert sentence.startswith("⟦"), sentence
        assert sentence.endswith("⟧"), sentence
