"""Coming in and going out: the front page, log-in, sign-up, settings, the Twitter account."""

from __future__ import annotations

import hashlib
from urllib.parse import urlsplit
from zoneinfo import available_timezones

from flask import (
    Blueprint,
    current_app,
    flash,
    redirect,
    render_template,
    request,
    url_for,
)
from flask_login import current_user, login_required, login_user, logout_user
from sqlalchemy import func, select
from werkzeug.wrappers import Response as BaseResponse

from example_app import demo
from example_app.engagement import engage
from example_app.forms import LoginForm, PlanForm, ProfileForm, SignupForm, TwitterForm
from example_app.models import Invite, User, db, now

bp = Blueprint("accounts", __name__)

Page = str | BaseResponse | tuple[str, int]


@bp.get("/")
def welcome() -> Page:
    """Greet a stranger; send a member to their newsletters."""
    if current_user.is_authenticated:
        return redirect(url_for("newsletters.index"))
    return render_template("welcome.html")


@bp.route("/login", methods=["GET", "POST"])
def login() -> Page:
    """Let somebody in."""
    form = LoginForm()
    if form.validate_on_submit():
        user = _by_email(form.email.data)
        if user is not None and user.has_password(form.password.data):
            login_user(user, remember=form.remember.data)
            return redirect(_safe_next() or url_for("newsletters.index"))
        flash("No account has that email and password.", "bad")
    accounts = demo.accounts() if current_app.config["DEMO_LOGIN"] else []
    return render_template(
        "login.html", form=form, demo_accounts=accounts, demo_password=demo.PASSWORD
    ), _status(form)


@bp.post("/logout")
def logout() -> Page:
    """Let somebody out; a form, so that no link can do it."""
    logout_user()
    return redirect(url_for(".welcome"))


@bp.route("/signup", methods=["GET", "POST"])
def signup() -> Page:
    """Make an account, by an invite or without."""
    invite = _open_invite(request.args.get("invite"))
    form = SignupForm(email=invite.email if invite else None)
    if form.validate_on_submit():
        if _by_email(form.email.data) is not None:
            form.email.errors = ["There is an account with this address. Log in instead?"]
        else:
            login_user(_create_user(form, invite))
            flash("Welcome to Paperkite. Begin with a title.", "good")
            return redirect(url_for("newsletters.index"))
    return render_template("signup.html", form=form, invite=invite), _status(form)


@bp.route("/settings", methods=["GET", "POST"])
@login_required
def settings() -> Page:
    """Show and change name and time zone."""
    form = ProfileForm(obj=current_user)
    if form.validate_on_submit():
        form.populate_obj(current_user)
        db.session.commit()
        flash("Saved.", "good")
        return redirect(url_for(".settings"))
    return render_template(
        "settings.html",
        form=form,
        plan_form=PlanForm(obj=current_user),
        twitter_form=TwitterForm(),
        zones=_zones(),
    ), _status(form)


@bp.post("/settings/plan")
@login_required
def change_plan() -> Page:
    """Move to another plan."""
    form = PlanForm()
    if form.validate_on_submit() and form.plan.data != current_user.plan:
        before, current_user.plan = current_user.plan, form.plan.data
        # In our own transaction: if the commit fails, the change was never tracked either.
        engage.track("changed plan", {"from": before, "to": form.plan.data}, session=db.session)
        db.session.commit()
        engage.set_attributes({"plan": current_user.plan}, user=current_user)
        flash(f"You are on the {current_user.plan.title()} plan.", "good")
    return redirect(url_for(".settings"))


@bp.post("/settings/twitter")
@login_required
def connect_twitter() -> Page:
    """Connect the account. A product would send people through Twitter's own log-in here."""
    form = TwitterForm()
    if not form.validate_on_submit():
        flash("A Twitter name has letters, digits and _, at most 15 of them.", "bad")
        return redirect(url_for(".settings"))
    current_user.twitter_handle = form.handle.data
    current_user.twitter_id = twitter_id(form.handle.data)
    db.session.commit()
    engage.track("connected twitter")
    flash(f"@{form.handle.data} is connected.", "good")
    return redirect(url_for(".settings"))


@bp.post("/settings/twitter/disconnect")
@login_required
@engage.tracked("disconnected twitter")
def disconnect_twitter() -> Page:
    """Forget the Twitter account."""
    current_user.twitter_handle = current_user.twitter_id = None
    db.session.commit()
    flash("The Twitter account is no longer connected.", "good")
    return redirect(url_for(".settings"))


def twitter_id(handle: str) -> str:
    """A stand-in for the number that Twitter would give us for this account."""
    return str(int(hashlib.sha256(handle.lower().encode()).hexdigest()[:12], 16))


def _by_email(email: str) -> User | None:
    return db.session.scalar(select(User).where(func.lower(User.email) == email.lower()))


def _open_invite(token: str | None) -> Invite | None:
    if not token:
        return None
    return db.session.scalar(
        select(Invite).where(Invite.token == token, Invite.accepted_at.is_(None))
    )


def _create_user(form: SignupForm, invite: Invite | None) -> User:
    user = User(email=form.email.data, name=form.name.data)
    user.set_password(form.password.data)
    if invite is not None:
        user.invited_by_id, invite.accepted_at = invite.inviter_id, now()
    db.session.add(user)
    db.session.commit()
    engage.track("signed up", {"invited": invite is not None}, user=user)
    if invite is not None:
        engage.track("teammate joined", user=invite.inviter_id, id=f"invite-{invite.id}")
    return user


def _safe_next() -> str | None:
    """Where the visitor was going, if that is a page of ours."""
    target = request.args.get("next", "")
    parts = urlsplit(target.replace("\\", "/"))
    inside = not parts.scheme and not parts.netloc and target.startswith("/")
    return target if inside and not target.startswith(("//", "/\\")) else None


def _status(form: LoginForm | SignupForm | ProfileForm) -> int:
    """A form shown again with complaints is 422, not 200."""
    return 422 if form.is_submitted() else 200


def _zones() -> list[str]:
    return sorted(zone for zone in available_timezones() if "/" in zone and "Etc" not in zone)
