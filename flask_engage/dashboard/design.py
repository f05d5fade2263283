"""The page that shows every component in every state: what there is, before one builds more.

Nothing on it is anybody's: the samples are made up, and its forms lead nowhere.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from flask import Response

from .._state import current_state
from .chart import chart_of, spark_of
from .pages import page

_LONG = "Wolfeschlegelsteinhausenbergerdorff" * 5
_PEOPLE = (
    # public id, name, email, hearts
    ("sample-1", "Oluwaseun Adébáyọ̀", "seun@example.com", 5),
    ("sample-2", "محمد الفاسي", "mohammed@example.com", 4),
    ("sample-3", '"><script>alert(1)</script>', "hostile@example.com", 3),
    ("sample-4", _LONG, f"{_LONG.lower()}@example.com", 2),
    ("sample-5", "佐藤 葵", "", 1),
    ("sample-6", "Siobhán Ní Bhriain", "siobhan@example.com", 0),
    ("sample-7", "👩‍👩‍👧‍👦 Nguyễn Thị Phương Anh", "anh@example.com", None),
)
_DAILY = tuple(18 + (number * 7) % 13 + number // 3 for number in range(30))
_WEEKLY = tuple(60 + (number * 5) % 17 + number for number in range(30))
_MONTHLY = tuple(150 + 2 * number for number in range(30))


def show() -> Response:
    """Show each component in each of its states, in both themes."""
    now = current_state().clock()
    return page(
        "design.html",
        people=_PEOPLE,
        long=_LONG,
        one_line=chart_of(_DAILY),
        three_lines=chart_of(_DAILY, _WEEKLY, _MONTHLY),
        nothing=chart_of((0,) * 30),
        daily=_DAILY,
        series=[("that day", _DAILY), ("in 7 days", _WEEKLY), (_LONG[:48], _MONTHLY)],
        zeros=(0,) * 30,
        spark=spark_of(_DAILY),
        first_day=now - timedelta(days=29),
        results=_results(now),
        nowhere=lambda *_endpoint, **_values: "#main",
    )


def _results(now: Any) -> dict[str, Any]:
    """Return what :mod:`flask_engage.reports.messages` would say of a message, made up."""
    outcomes = {"shown": now, "opened": now, "clicked": now}
    recipients = [
        {
            "public_id": public_id,
            "name": name,
            "email": email,
            "state": state,
            "reason": reason,
            "variant": "warm" if state == "sent" else "",
            "sent_at": now - timedelta(hours=3) if state == "sent" else None,
            "outcomes": outcomes if state == "sent" else {},
            "buttons": ["Try it"] if state == "sent" else [],
        }
        for (public_id, name, email, _hearts), state, reason in zip(
            _PEOPLE[:3], ("sent", "suppressed", "failed"), ("", "unsubscribed", _LONG), strict=True
        )
    ]
    return {
        "counts": {
            "total": 12_345,
            "sent": 12_000,
            "waiting": 214,
            "states": {"sent": 12_000, "failed": 131, "suppressed": 0, "unknown": 2},
            "outcomes": {"shown": 9_120, "opened": 6_400, "clicked": 1_208, "dismissed": 77},
        },
        "found": {"recipients": recipients, "after": "more"},
    }
