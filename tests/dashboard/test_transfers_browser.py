"""Import and export in Chromium: by mouse, by keys, without a script, with hostile names."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from flask_engage._state import state_of
from flask_engage.people.transfer import importing
from flask_engage.store.transfer import newest_imports
from tests.dashboard._town import HOSTILE, LONG
from tests.dashboard.test_browser import _failures, _serious

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.dashboard.conftest import Desk

pytestmark = pytest.mark.browser

NAME = f"{HOSTILE[:20]}{LONG[:120]} محمد.csv".replace("/", "")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file whose headings and cells a page has to survive, with some rows that can't be used."""
    out = io.StringIO(newline="")
    rows = csv.writer(out)
    rows.writerow(
        [
            "User ID",
            "Email",
            "Full name",
            "score",
            HOSTILE,
            "محمد الفاسي",
            LONG[:200],
            "",
            "💜" * 40,
        ]
    )
    for number in range(40):
        email = "nobody" if number % 9 == 4 else f"new{number}@example.org"
        cell = (HOSTILE, "=cmd|'/c calc'!A1", LONG, "\u202egnihtemos")[number % 4]
        rows.writerow([f"n{number}", email, cell, number, cell, cell, cell, cell, "x"])
    path = tmp_path / NAME
    path.write_text(out.getvalue(), encoding="utf-8")
    return path


def _run(desk: Desk) -> None:
    with desk.town.app.app_context():
        desk.town.engage.run_due()


def _problems(desk: Desk, name: str) -> list[str]:
    page = desk.page
    found = [f"{name}: {text}" for text in _serious(page) + _failures(desk)]
    if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
        found.append(f"{name}: wider than the window")
    return found


def _small_targets(page: Page) -> list[str]:
    """Return what one would press on a small screen and is less than 36 px high."""
    return page.evaluate(
        """[...document.querySelectorAll("main :is(.btn, select, summary, .file, .pick)")]
        .filter((one) => one.checkVisibility() && one.getBoundingClientRect().height < 36)
        .map((one) => one.outerHTML.slice(0, 120))"""
    )


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_a_file_goes_in_by_mouse_and_every_step_can_be_used_by_everybody(
    theme: Any, width: int, make_desk: Callable[..., Desk], file: Path
) -> None:
    desk = make_desk(
        viewport={"width": width, "height": 900}, color_scheme=theme, reduced_motion="reduce"
    )
    page = desk.open("/engage/transfers")
    problems = _problems(desk, "start")
    page.locator("summary", has_text="Columns").click()
    problems += _problems(desk, "columns to choose")
    page.get_by_label("File", exact=True).set_input_files(file)
    page.get_by_role("button", name="Upload and look").click()
    expect(page.get_by_role("heading", name="What each column is")).to_be_visible()
    expect(page.get_by_label("What “score” is")).to_have_value("number")
    expect(page.get_by_label("What the attribute of “Email” is called")).to_be_hidden()
    problems += _problems(desk, "draft")
    if width == 390:
        problems += _small_targets(page)
    page.get_by_label("What “score” is").select_option("Text")
    page.get_by_role("button", name="Check all rows").click()
    expect(page.get_by_role("heading", name="What would become of all 40 rows")).to_be_visible()
    problems += _problems(desk, "checked")
    page.get_by_role("button", name="Import 40 rows").click()
    expect(page.get_by_role("status")).to_contain_text("on its way in")
    expect(page.get_by_role("button", name="Stop")).to_be_visible()
    problems += _problems(desk, "waiting")
    _run(desk)
    # The page follows by itself.
    expect(page.get_by_role("heading", name="Rows that could not be used")).to_be_visible()
    expect(page.get_by_role("button", name="Stop")).to_have_count(0)
    expect(page.locator("dl.sums dd").first).to_have_text("36")
    problems += _problems(desk, "done")
    with page.expect_download() as found:
        page.get_by_role("link", name="Download the report").click()
    report = list(csv.DictReader(io.StringIO(Path(found.value.path()).read_text())))
    assert [one["row"] for one in report] == ["5", "14", "23", "32"]
    desk.open("/engage/transfers")
    problems += _problems(desk, "list")
    for kind in ("CSV", "JSON Lines"):  # the page does not lock itself after the first
        page.locator(".seg label", has_text=kind).click()
        with page.expect_download() as found:
            page.get_by_role("button", name="Download").click()
        assert found.value.suggested_filename.startswith("people-")
    if width == 390:
        problems += _small_targets(page)
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize("width", [1280, 390])
def test_a_file_goes_in_by_keys(width: int, make_desk: Callable[..., Desk], file: Path) -> None:
    desk = make_desk(viewport={"width": width, "height": 900})
    page = desk.open("/engage/transfers")
    page.wait_for_load_state("networkidle")
    field = page.get_by_label("File", exact=True)
    field.focus()
    expect(field).to_be_focused()
    # The browser hands choosers out from here on. A key travels by another way than this order:
    # only an answer to something later says that the order has arrived.
    page.on("filechooser", lambda _: None)
    page.evaluate("0")
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Space")
    chooser.value.set_files(file)
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Upload and look")).to_be_focused()
    page.keyboard.press("Enter")
    page.get_by_label("What “User ID” is").focus()
    for _ in range(3):
        page.keyboard.press("Tab")  # past hidden names: each row is one stop, or two
    expect(page.get_by_label("What “score” is")).to_be_focused()
    page.keyboard.press("t")  # of “Text” and “Time” and “Tags”
    page.keyboard.press("Tab")
    expect(page.get_by_label("What the attribute of “score” is called")).to_be_focused()
    _tab_to(page, "Import 40 rows")
    page.keyboard.press("Enter")
    # Something was changed: it is shown first.
    expect(page.get_by_text("The columns have changed")).to_be_visible()
    _tab_to(page, "Import 40 rows")
    page.keyboard.press("Enter")
    _tab_to(page, "Stop")
    page.keyboard.press("Enter")
    expect(page.get_by_text("stopped", exact=True)).to_be_visible()
    _tab_to(page, "Go on")
    page.keyboard.press("Enter")
    expect(page.get_by_text("waiting", exact=True)).to_be_visible()
    _run(desk)
    expect(page.get_by_text("done", exact=True)).to_be_visible()
    assert _failures(desk) == []


def _tab_to(page: Page, name: str) -> None:
    """Go on with the tabulator until a button has the focus."""
    button = page.get_by_role("button", name=name)
    expect(button).to_be_visible()
    for _ in range(80):
        if button.evaluate("one => one === document.activeElement"):
            return
        page.keyboard.press("Tab")
    pytest.fail(f"the button {name!r} can't be reached by keys")


def test_how_far_it_is_is_shown_while_it_runs(
    make_desk: Callable[..., Desk], file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flask_engage.people.refresh import Turn
    from flask_engage.people.transfer.sources import Stored

    monkeypatch.setattr(importing, "BATCH", 10)
    desk = make_desk(viewport={"width": 1280, "height": 900})
    page = desk.open("/engage/transfers")
    page.get_by_label("File", exact=True).set_input_files(file)
    page.get_by_role("button", name="Upload and look").click()
    page.get_by_role("button", name="Import 40 rows").click()
    bar = page.get_by_role("progressbar", name="Rows that are dealt with")
    expect(bar).to_have_attribute("value", "0")
    state = state_of(desk.town.app)
    database = state.ready.require()
    with database.read() as session:
        [row] = newest_imports(session)
    for place in ("10", "20", "30"):
        source = Stored(database, row.id)
        importing.run_import(database, row.id, source, state.clock().tzinfo, state.clock(), Turn(0))
        expect(bar).to_have_attribute("value", place)
    expect(page.get_by_text("30 of 40 rows")).to_be_visible()
    assert _failures(desk) == []


def test_a_file_goes_in_and_people_come_out_without_a_script(
    make_desk: Callable[..., Desk], file: Path
) -> None:
    desk = make_desk(viewport={"width": 1280, "height": 900}, java_script_enabled=False)
    page = desk.open("/engage/transfers")
    page.locator("#f-file").set_input_files(file)
    page.get_by_role("button", name="Upload and look").click()
    page.get_by_role("button", name="Import 40 rows").click()
    expect(page.get_by_text("waiting", exact=True)).to_be_visible()
    assert "http-equiv" in page.content()
    _run(desk)
    expect(page.get_by_text("done", exact=True)).to_be_visible()  # it loads itself anew
    page.goto(f"{desk.url}/engage/transfers")
    with page.expect_download() as found:
        page.get_by_role("button", name="Download").click()
    assert found.value.suggested_filename.endswith(".csv")
    lines = Path(found.value.path()).read_text(encoding="utf-8")
    assert len(list(csv.reader(io.StringIO(lines, newline="")))) > 40
    # A second time too: the page has not locked itself.
    with page.expect_download():
        page.get_by_role("button", name="Download").click()


def test_a_file_that_is_too_large_is_told_before_it_is_sent(
    make_desk: Callable[..., Desk], tmp_path: Path
) -> None:
    path = tmp_path / "large.csv"
    with path.open("wb") as out:
        out.truncate(21 * 1024 * 1024)
    desk = make_desk(viewport={"width": 1280, "height": 900})
    page = desk.open("/engage/transfers")
    field = page.get_by_label("File", exact=True)
    field.set_input_files(path)
    assert field.evaluate("one => one.validationMessage") == "This file is larger than 20.0 MiB."
    page.get_by_role("button", name="Upload and look").click()
    assert page.url.endswith("/engage/transfers")
    expect(page.get_by_role("heading", name="People in")).to_be_visible()
    assert _failures(desk) == []
