"""The design holds together: values one can read, components that are all on show, one sprite."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib.resources import files
from math import cos, dist, radians, sin
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from flask_engage.dashboard import assets, pages
from tests.dashboard.test_browser import _failures, _serious

if TYPE_CHECKING:
    from flask.testing import FlaskClient
    from playwright.sync_api import Page

    from tests.dashboard.conftest import Desk, Town

Colour = tuple[float, float, float]
"""Lightness, chroma and hue of oklch()."""

SURFACES = ("ground", "paper", "well", "hover", "press", "float", "float-press")
TEXTS = {
    # what is read: the surfaces that it may lie on
    "text": SURFACES,
    "text-2": SURFACES,
    "text-3": SURFACES,
    "coral-text": ("ground", "paper", "well", "float", "coral-soft"),
    "good": ("ground", "paper", "good-soft"),
    "warn": ("ground", "paper", "warn-soft"),
    "bad": ("ground", "paper", "float", "bad-soft"),
    "on-ink": ("ink", "ink-hover"),
    "on-bad": ("bad-solid",),
    **{f"on-{number}": (f"tint-{number}",) for number in range(1, 7)},
}
EDGES = {
    # what is seen: the surfaces that it must stand out from
    "edge": ("ground", "paper", "float"),
    "coral": ("ground", "paper", "well", "float"),
    "hollow": ("ground", "paper"),
    "ink": ("ground", "paper"),
    "bad": ("paper",),
}


def _style(name: str) -> str:
    return re.sub(r"/\*.*?\*/", "", pages.read_static(name).decode(), flags=re.S)


def _blocks() -> dict[str, dict[str, str]]:
    """Return the values of each theme, as text."""
    source = _style("tokens.css")
    found = {}
    for theme, head in (
        ("light", ':root, [data-theme="light"] {'),
        ("dark by the system", ':root:not([data-theme="light"]) {'),
        ("dark by hand", '\n[data-theme="dark"] {'),
    ):
        body = source.split(head, 1)[1].split("}", 1)[0]
        found[theme] = dict(re.findall(r"--([\w-]+):\s*([^;]+);", body))
    return found


def _colours(theme: str) -> dict[str, Colour]:
    blocks = _blocks()
    values = {**blocks["light"], **(blocks["dark by hand"] if theme == "dark" else {})}
    found = {}
    for name, text in values.items():
        whole = re.fullmatch(r"oklch\(([\d.]+) ([\d.]+) ([\d.]+)\)", text)
        if whole:
            found[name] = (float(whole[1]), float(whole[2]), float(whole[3]))
    return found


def _luminance(colour: Colour) -> float:
    lightness, chroma, hue = colour
    a, b = chroma * cos(radians(hue)), chroma * sin(radians(hue))
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    middle = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    red = 4.0767416621 * long - 3.3077115913 * middle + 0.2309699292 * short
    green = -1.2684380046 * long + 2.6097574011 * middle - 0.3413193965 * short
    blue = -0.0041960863 * long - 0.7034186147 * middle + 1.7076147010 * short
    red, green, blue = (min(1.0, max(0.0, part)) for part in (red, green, blue))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _contrast(one: Colour, other: Colour) -> float:
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_contrast_is_computed_as_browsers_do() -> None:
    assert _contrast((1, 0, 0), (0, 0, 0)) == pytest.approx(21, abs=0.01)
    # #767676 on white, which is known to be just enough.
    assert _contrast((0.566, 0, 0), (1, 0, 0)) == pytest.approx(4.54, abs=0.02)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_everything_can_be_read_and_seen(theme: str) -> None:
    colours = _colours(theme)
    weak = [
        f"{name} on {surface}: {_contrast(colours[name], colours[surface]):.2f} < {least}"
        for pairs, least in ((TEXTS, 4.5), (EDGES, 3.0))
        for name, surfaces in pairs.items()
        for surface in surfaces
        if _contrast(colours[name], colours[surface]) < least
    ]
    assert not weak, "\n".join(weak)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_danger_is_not_taken_for_coral(theme: str) -> None:
    colours = _colours(theme)

    def place(name: str) -> tuple[float, float, float]:
        lightness, chroma, hue = colours[name]
        return lightness, chroma * cos(radians(hue)), chroma * sin(radians(hue))

    for coral in ("coral", "coral-text"):
        # 0.02 is what an eye just tells apart.
        assert dist(place("bad"), place(coral)) > 0.085, coral


def test_dark_is_the_same_by_choice_and_by_the_system() -> None:
    blocks = _blocks()
    assert blocks["dark by hand"] == blocks["dark by the system"]
    # What dark says nothing of must be no colour of its own.
    left = set(blocks["light"]) - set(blocks["dark by hand"])
    assert left == {"on-bad"}


def test_only_the_values_hold_colours_and_sizes_of_type() -> None:
    for name in assets._TYPES:
        if not name.endswith(".css") or name in ("tokens.css", "preview.css"):
            continue
        source = _style(name)
        assert not re.findall(r"oklch\(|rgba?\(|hsl\(|#[0-9a-fA-F]{3,8}\b(?=[;\s,)])", source), name
        # Where a face lacks a weight it falls back: there are only two.
        assert set(re.findall(r"font-weight: ([^;}]+)", source)) <= {"var(--bold)", "normal"}, name
        known = set(re.findall(r"--([\w-]+):", _style("tokens.css")))
        assert set(re.findall(r"var\(--([\w-]+)", source)) <= known, name
    assert "@import" not in "".join(_style(n) for n in assets._TYPES if n.endswith(".css"))


def _templates() -> dict[str, str]:
    folder = files("flask_engage.dashboard").joinpath("templates")
    found = {}
    for entry in folder.iterdir():
        if entry.is_dir():
            found.update({f"{entry.name}/{one.name}": one.read_text() for one in entry.iterdir()})
        else:
            found[entry.name] = entry.read_text()
    return found


def test_every_component_is_on_the_page_that_shows_them() -> None:
    templates = _templates()
    shown = templates["design.html"] + templates["frame.html"]
    components = {
        name: re.findall(r"{% macro ([a-z]\w*)\(", text)
        for name, text in templates.items()
        if name.startswith("components/")
    }
    assert sum(map(len, components.values())) > 25
    missing = [
        f"{macro} of {name}"
        for name, macros in components.items()
        for macro in macros
        if f"parts.{macro}(" not in shown
    ]
    assert not missing, missing


def test_every_drawing_is_in_the_sprite() -> None:
    sprite = pages.read_static("icons.svg").decode()
    known = set(re.findall(r'<symbol id="([\w-]+)"', sprite))
    for name, text in _templates().items():
        used = re.findall(r"icon\(icons, '([\w-]+)'", text) + re.findall(
            r"icons }}#([\w-]+)\"", text
        )
        assert set(used) <= known, name


def test_no_template_has_a_script_or_style_of_its_own() -> None:
    for name, text in _templates().items():
        markup = re.sub(r"{%.*?%}|{{.*?}}|{#.*?#}", "", text, flags=re.S)
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=", markup), name
        for script in re.findall(r"<script[^>]*>", text):
            assert " src=" in script, name


def test_the_page_of_components_is_for_whoever_may_look(town: Town, operator: FlaskClient) -> None:
    answer = operator.get("/engage/design")
    assert answer.status_code == 200
    assert answer.text.count('data-theme="dark"') == answer.text.count('data-theme="light"') == 13
    assert "<script>alert" not in answer.text


@pytest.mark.browser
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_every_component_keeps_the_rules_of_access(
    theme: Any, width: int, make_desk: Callable[..., Desk]
) -> None:
    desk = make_desk(
        viewport={"width": width, "height": 900}, color_scheme=theme, reduced_motion="reduce"
    )
    page = desk.open("/engage/design")
    problems = _serious(page)
    assert not page.evaluate("document.documentElement.scrollWidth > innerWidth")
    page.get_by_role("button", name="A form that was wrong…").first.click()
    dialog = page.get_by_role("dialog", name="Rename the segment")
    expect(dialog).to_be_visible()
    problems += _serious(page)
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(page.get_by_role("button", name="A form that was wrong…").first).to_be_focused()
    page.locator(".chip summary").first.click()
    problems += _serious(page)
    problems += _failures(desk)
    assert not problems, "\n".join(problems)


@pytest.mark.browser
def test_dialogs_hold_the_focus_and_close_in_every_way(make_desk: Callable[..., Desk]) -> None:
    desk = make_desk(viewport={"width": 1280, "height": 700})
    page = desk.open("/engage/design")
    opener = page.get_by_role("button", name="Ask before deleting…").first
    dialog = page.get_by_role("dialog", name="Delete 3 people?")
    for close in (
        lambda: dialog.get_by_role("button", name="Keep them").click(),
        lambda: dialog.get_by_role("button", name="Close").click(),
        lambda: page.keyboard.press("Escape"),
        lambda: page.mouse.click(20, 20),
    ):
        opener.press("Enter")
        expect(dialog).to_be_visible()
        page.keyboard.press("Tab")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.closest('dialog') !== null")
        close()
        expect(dialog).to_be_hidden()
    # A long one scrolls within itself, and its heading stays.
    page.get_by_role("button", name="A long one…").first.click()
    dialog = page.get_by_role("dialog", name="More than fits")
    dialog.get_by_role("button", name="Close it").scroll_into_view_if_needed()
    expect(dialog.get_by_role("heading")).to_be_in_viewport()
    assert not _failures(desk)


def _walk(page: Page) -> str:
    return str(page.evaluate("document.activeElement.getAttribute('aria-valuetext')"))


@pytest.mark.browser
def test_each_day_of_a_chart_is_read_by_mouse_by_keys_and_as_a_table(
    make_desk: Callable[..., Desk],
) -> None:
    desk = make_desk(viewport={"width": 1280, "height": 900})
    page = desk.open("/engage/")
    plot = page.get_by_role("slider", name="Day by day")
    shown = plot.locator(".chart-days > li > span:visible")
    expect(shown).to_have_count(0)
    days = plot.locator(".chart-days > li")
    days.nth(4).hover()
    expect(shown).to_have_count(1)
    expect(shown).to_contain_text("in 30 days")
    by_mouse = " ".join(shown.inner_text().split())
    page.mouse.move(0, 0)
    expect(shown).to_have_count(0)
    page.get_by_role("link", name="People", exact=True).nth(0).focus()
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.matches('[data-plot]')"):
            break
    expect(plot).to_be_focused()
    today = _walk(page)
    assert "that day" in today
    expect(shown).to_have_count(1)
    page.keyboard.press("ArrowRight")
    assert _walk(page) == today
    page.keyboard.press("Home")
    first = _walk(page)
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    assert _walk(page).split() == by_mouse.split()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("PageDown")
    assert _walk(page) == first
    page.keyboard.press("Escape")
    expect(shown).to_have_count(0)
    page.get_by_text("As a table").click()
    rows = page.locator(".chart-table tbody tr")
    expect(rows).to_have_count(30)
    # Newest first, and the same numbers.
    numbers = re.findall(r"\d+", rows.first.inner_text())[-3:]
    assert numbers == re.findall(r"(?:day|days) (\d+)", today)
    assert not _serious(page)
    assert not _failures(desk)


@pytest.mark.browser
def test_no_word_of_a_chart_shrinks_with_its_frame(make_desk: Callable[..., Desk]) -> None:
    desk = make_desk(viewport={"width": 390, "height": 800})
    for path in ("/engage/", "/engage/event?name=exported"):
        page = desk.open(path)
        sizes = page.evaluate(
            """() => [...document.querySelectorAll('.chart *')]
            .filter(one => [...one.childNodes].some(it => it.nodeType === 3 && it.data.trim()))
            .map(one => parseFloat(getComputedStyle(one).fontSize))"""
        )
        assert len(sizes) > 8
        assert min(sizes) >= 11, path
        assert page.locator(".chart svg text").count() == 0
        # What a day says lies within the window, whichever day it is.
        for place in (0, 12, 20, 29):
            page.locator(".chart-days > li").nth(place).hover()
            box = page.locator(".chart-days > li > span:visible").bounding_box()
            assert box is not None
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= 390, f"{path}, day {place}"


@pytest.mark.browser
def test_pages_stand_text_of_twice_the_size_and_the_other_direction(
    make_desk: Callable[..., Desk],
) -> None:
    desk = make_desk(viewport={"width": 1280, "height": 900})
    wide = "document.documentElement.scrollWidth > innerWidth"
    for path in ("/engage/design", "/engage/", "/engage/people", "/engage/health"):
        page = desk.open(path)
        page.evaluate("document.documentElement.dir = 'rtl'")
        assert not page.evaluate(wide), f"{path} from right to left"
        assert page.locator("#side").bounding_box()["x"] > 900  # type: ignore[index]
        page.evaluate("document.documentElement.dir = 'ltr'")
        # What a browser does at 200 %, or with text set to twice its size: every length here
        # and every width that the layout asks for is in units of the text.
        page.set_viewport_size({"width": 640, "height": 450})
        assert not page.evaluate(wide), f"{path} at 200 %"
        page.set_viewport_size({"width": 1280, "height": 900})
