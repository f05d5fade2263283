"""The list of people in a browser: whom is chosen, what was done, whether all may use it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from flask_engage._state import state_of
from flask_engage.store.person import PersonTagRow

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.dashboard.conftest import Desk, Town

PICTURES = os.environ.get("ENGAGE_TEST_PICTURES")
MORE = 60
"""People besides those of the town: more than one page has."""


def tagged(town: Town, name: str) -> int:
    with state_of(town.app).ready.require().read() as session:
        return session.scalar(select(func.count()).where(PersonTagRow.name == name)) or 0


def bar(page: Page) -> Any:
    return page.get_by_role("region", name="Chosen people")


def problems(desk: Desk, where: str) -> list[str]:
    """Return what breaks the rules of access, the frame or the policy."""
    from axe_playwright_python.sync_playwright import Axe

    page = desk.page
    if PICTURES:
        size = (page.viewport_size or {}).get("width")
        dark = page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
        name = f"list-{where}-{size}-{'dark' if dark else 'light'}.png"
        page.screenshot(path=Path(PICTURES) / name)
    found = [
        f"{where}: {one['id']}: {node['html'][:160]}"
        for one in Axe().run(page).response["violations"]
        if one["impact"] != "minor"
        for node in one["nodes"]
    ]
    if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
        found.append(f"{where}: wider than the window")
    if page.evaluate("innerWidth < 500"):
        small = page.evaluate(
            "[...document.querySelectorAll('main .btn, dialog .btn, main summary.btn')]"
            ".filter(one => one.offsetParent && one.tabIndex >= 0 && !one.closest('.pager'))"
            ".filter(one => Math.min(one.offsetWidth, one.offsetHeight) < 36)"
            ".map(one => one.outerHTML.slice(0, 120))"
        )
        found += [f"{where}: too small: {one}" for one in small]
    return found
