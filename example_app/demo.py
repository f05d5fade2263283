"""The two accounts of the demonstration, and the buttons on the log-in page that use them."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import select

from example_app.models import User, db

PASSWORD = "fly a kite"


class DemoAccount(NamedTuple):
    """An account that anybody who looks at the demonstration may use."""

    email: str
    name: str
    what: str


OPERATOR = DemoAccount(
    "marta@paperkite.example", "Marta Lindqvist", "Founder: sees the dashboard at /engage/"
)
MEMBER = DemoAccount(
    "ines@paperkite.example", "Inês Ferreira", "Member: has been writing for three months"
)


def accounts() -> list[DemoAccount]:
    """Those of the two that exist, so that the log-in page promises nothing false."""
    wanted = {account.email: account for account in (OPERATOR, MEMBER)}
    found = db.session.scalars(select(User.email).where(User.email.in_(wanted))).all()
    return [account for email, account in wanted.items() if email in found]
