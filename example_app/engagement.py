"""All that Flask-Engage asks of Paperkite: who people are, what they are like, what we tell them.

The views import `engage` to say what people did; nothing else in the product knows of it.
"""

from __future__ import annotations

from datetime import timedelta

from flask import Flask
from flask_login import current_user
from sqlalchemy import Executable, func, select

from example_app.models import Invite, Newsletter, Section, User, db
from flask_engage import Email, Engage, Identity, Operator, ago, attr, did, host, person

engage = Engage()

ATTRIBUTES = ("has added twitter service", "writing", "inviting")
"""What is computed by the hour below; the seeder computes it at once."""


def attach(app: Flask) -> None:
    """Attach Flask-Engage to this application; switched off, it does nothing at all."""
    app.config.setdefault("ENGAGE_ENABLED", app.config["EXAMPLE_ENGAGE"])
    engage.init_app(app, db, user_model=User)


@engage.identify
def identify(user: User) -> Identity | None:
    """What a dashboard should know of this user. Colleagues are not recorded."""
    if user.is_admin:
        return None
    return Identity(
        user.id,
        email=user.email,
        name=user.name,
        signed_up_at=user.created_at,
        attributes={"plan": user.plan},
    )


@engage.operator
def operator() -> Operator | None:
    """Marta and her colleagues may open the dashboard."""
    if not current_user.is_authenticated or not current_user.is_admin:
        return None
    return Operator(str(current_user.id), name=current_user.name, email=current_user.email)


@engage.attribute("has added twitter service", every=timedelta(hours=1))
def has_twitter(user: User) -> bool:
    """Tell whether the Twitter account is connected."""
    return user.twitter_id is not None


@engage.attribute_query(every=timedelta(hours=1))
def writing() -> Executable:
    """How much everybody has written, in one query."""
    return (
        select(
            Newsletter.owner_id,
            func.count(Section.id).label("number of sections created"),
            func.count(Newsletter.id.distinct()).label("number of newsletters"),
        )
        .outerjoin(Section, Section.newsletter_id == Newsletter.id)
        .group_by(Newsletter.owner_id)
    )


@engage.attribute_query(every=timedelta(hours=1))
def inviting() -> Executable:
    """How many teammates everybody has asked."""
    return select(Invite.inviter_id, func.count().label("invites sent")).group_by(Invite.inviter_id)


engage.segment(
    "power users", did("exported").at_least(5).within(days=7) | (attr("invites sent") >= 4)
)
engage.segment(
    "left before exporting",
    (person.last_seen < ago(days=14)) & (person.sessions >= 3) & ~did("exported"),
)
engage.segment(
    "free, and writing a lot",
    host(User.plan == "free") & (attr("number of sections created") >= 20),
)

engage.auto_message(
    "come back",
    to=person.last_seen < ago(days=14),
    send=Email(
        subject="{{ name | default('Hello') }}, your desk is as you left it",
        body="""\
Hello {{ name | default('there') }},

it has been a while. Your newsletters are where you left them, and a new section takes a minute:
a picture, three links, a line somebody said.

[Open Paperkite](/newsletters/)

Marta, for Paperkite
""",
    ),
)
