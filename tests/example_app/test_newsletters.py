"""Newsletters and their sections: the same with Flask-Engage and without."""

from __future__ import annotations

import re

import pytest

from example_app.models import Export, Newsletter, Section, db


def _begin(visitor, title="Sunday letter"):
    """Create a newsletter; returns its address."""
    visitor.get("/newsletters/")
    assert visitor.post("/newsletters/", title=title) == 200
    return visitor.path


def _add(visitor, letter, kind, **fields):
    """Add a section and fill it in; returns its address."""
    assert visitor.post(f"{letter}/sections/", kind=kind) == 200
    section = visitor.path
    assert visitor.post(section, **{"heading": "", "body": "", **fields}) == 200
    return section


def _headings(page):
    return re.findall(r"<h2 dir=\"auto\">([^<]+)</h2>", page)


def test_shelf_is_bare_at_first(ada):
    ada.get("/newsletters/")
    assert "The shelf is bare" in ada.page


def test_newsletter_is_created_and_shelved(ada):
    letter = _begin(ada, "Brief aus dem Süden")
    assert re.fullmatch(r"/newsletters/\d+", letter)
    ada.get("/newsletters/")
    assert "Brief aus dem Süden" in ada.page
    assert "0 sections" in ada.page


def test_newsletter_needs_a_title(ada):
    ada.get("/newsletters/")
    assert ada.post("/newsletters/", title="  ") == 422
    assert "This field is required" in ada.page


def test_title_and_opening_lines_are_changed(ada):
    letter = _begin(ada)
    assert ada.post(letter, title="Monday letter", intro="Late again.") == 200
    assert "Monday letter" in ada.page
    assert "Late again." in ada.page


def test_somebody_elses_newsletter_does_not_exist(ada, bob):
    letter = _begin(ada)
    section = _add(ada, letter, "text", body="Mine")
    _begin(bob)
    for path in (letter, f"{letter}/preview", section):
        assert bob.get(path) == 404
    for path in (
        f"{letter}/export",
        f"{letter}/delete",
        f"{letter}/sections/",
        f"{section}/move",
        f"{section}/delete",
    ):
        assert bob.post(path, kind="text") == 404


def test_sections_of_each_kind_are_written(ada):
    letter = _begin(ada)
    _add(ada, letter, "text", heading="News", body="One.\n\nTwo.")
    _add(ada, letter, "picture", picture="hills", body="After rain")
    _add(ada, letter, "links", body="Kites | https://example.org/kites")
    _add(ada, letter, "quote", body="Leave a margin.")
    ada.get(f"{letter}/preview")
    assert '<p dir="auto">One.</p>' in ada.page
    assert 'alt="Hills after rain"' in ada.page
    assert '<a href="https://example.org/kites" rel="noopener">Kites</a>' in ada.page
    assert '<blockquote><p dir="auto">Leave a margin.</p></blockquote>' in ada.page


@pytest.mark.parametrize("link", ["x | javascript:alert(1)", "x | http://[", "x | /local", "x"])
def test_line_that_is_no_web_address_is_no_link(ada, link):
    letter = _begin(ada)
    _add(ada, letter, "links", body=link)
    ada.get(f"{letter}/preview")
    assert "<a " not in ada.page


def test_unknown_kind_of_section_is_refused(ada):
    letter = _begin(ada)
    assert ada.post(f"{letter}/sections/", kind="video") == 400
    assert ada.raw(letter + "/sections/", method="POST").status_code == 400


def test_sections_change_places(ada):
    letter = _begin(ada)
    _add(ada, letter, "text", heading="First")
    second = _add(ada, letter, "text", heading="Second")
    ada.post(f"{second}/move", direction="up")
    assert _headings(ada.page) == ["Second", "First"]
    ada.post(f"{second}/move", direction="up")
    assert _headings(ada.page) == ["Second", "First"]
    ada.post(f"{second}/move", direction="down")
    assert _headings(ada.page) == ["First", "Second"]


def test_section_is_removed(ada, paperkite):
    letter = _begin(ada)
    section = _add(ada, letter, "text", heading="Gone")
    ada.post(f"{section}/delete")
    assert "An empty sheet" in ada.page
    with paperkite.app_context():
        assert db.session.query(Section).count() == 0


def test_export_is_one_file_that_stands_alone(ada, paperkite):
    letter = _begin(ada, "Café & Söhne, no. 1")
    _add(ada, letter, "picture", picture="night")
    response = ada.download(f"{letter}/export")
    page = response.get_data(as_text=True)
    assert response.status_code == 200
    assert response.headers["Content-Disposition"] == "attachment; filename=cafe-sohne-no-1.html"
    assert "<title>Café &amp; Söhne, no. 1</title>" in page
    assert 'src="data:image/svg+xml;base64,' in page
    assert "<link" not in page
    assert "<script" not in page
    with paperkite.app_context():
        assert db.session.query(Export).count() == 1


def test_hostile_words_stay_words_in_the_file(ada):
    letter = _begin(ada, "</title><script>alert(1)</script>")
    _add(ada, letter, "text", heading="<img src=x onerror=alert(1)>", body="{{ 7 * 7 }}")
    page = ada.download(f"{letter}/export").get_data(as_text=True)
    assert "<script" not in page
    assert "<img" not in page
    assert "{{ 7 * 7 }}" in page


def test_title_without_latin_letters_still_names_a_file(ada):
    letter = _begin(ada, "今週のこと")
    disposition = ada.download(f"{letter}/export").headers["Content-Disposition"]
    assert disposition == "attachment; filename=newsletter.html"


def test_newsletter_is_thrown_away_with_all_in_it(ada, paperkite):
    letter = _begin(ada)
    _add(ada, letter, "text")
    ada.download(f"{letter}/export")
    ada.post(f"{letter}/delete")
    assert ada.get(letter) == 404
    with paperkite.app_context():
        for model in (Newsletter, Section, Export):
            assert db.session.query(model).count() == 0
