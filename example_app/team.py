"""The team: who was invited, who came, and a form to ask one more."""

from __future__ import annotations

import secrets

from flask import Blueprint, abort, flash, redirect, render_template, url_for
from flask_login import current_user, login_required
from sqlalchemy import func, select
from werkzeug.wrappers import Response as BaseResponse

from example_app.engagement import engage
from example_app.forms import InviteForm
from example_app.models import Invite, db

bp = Blueprint("team", __name__, url_prefix="/team")

Page = str | BaseResponse | tuple[str, int]


@bp.route("/", methods=["GET", "POST"])
@login_required
def index() -> Page:
    """Show the team; invite somebody."""
    form = InviteForm()
    if form.validate_on_submit():
        if _already_invited(form.email.data):
            form.email.errors = ["You have invited them before."]
        else:
            _send(form.email.data)
            flash(f"{form.email.data} has been invited.", "good")
            return redirect(url_for(".index"))
    invites = db.session.scalars(
        select(Invite)
        .where(Invite.inviter_id == current_user.id)
        .order_by(Invite.created_at.desc())
        .limit(100)
    ).all()
    status = 422 if form.is_submitted() else 200
    return render_template("team.html", form=form, invites=invites), status


@bp.post("/invites/<int:invite_id>/withdraw")
@login_required
def withdraw(invite_id: int) -> Page:
    """Take back an invite that nobody has used."""
    invite = db.session.get(Invite, invite_id)
    if invite is None or invite.inviter_id != current_user.id or invite.accepted_at is not None:
        abort(404)
    db.session.delete(invite)
    db.session.commit()
    flash("The invite no longer works.", "good")
    return redirect(url_for(".index"))


def _already_invited(email: str) -> bool:
    return (
        db.session.scalar(
            select(Invite.id).where(
                Invite.inviter_id == current_user.id, func.lower(Invite.email) == email.lower()
            )
        )
        is not None
    )


def _send(email: str) -> None:
    """Keep the invite. Paperkite shows the link instead of sending it: this is an example."""
    invite = Invite(inviter_id=current_user.id, email=email, token=secrets.token_urlsafe(24))
    db.session.add(invite)
    db.session.commit()
    engage.track("sent invite", {"domain": email.rpartition("@")[2][:64]}, id=f"invite-{invite.id}")
