"""Newsletters: the shelf, the editor, the preview and the file that people download."""

from __future__ import annotations

import re
import unicodedata

from flask import Blueprint, Response, abort, flash, redirect, render_template, request, url_for
from flask_login import current_user, login_required
from sqlalchemy import func, select
from sqlalchemy.orm import selectinload
from werkzeug.wrappers import Response as BaseResponse

from example_app.engagement import engage
from example_app.forms import NewsletterForm
from example_app.models import Export, Newsletter, Section, db, now

bp = Blueprint("newsletters", __name__, url_prefix="/newsletters")

Page = str | BaseResponse | tuple[str, int]


@bp.before_request
@login_required
def _members_only() -> None:
    """Every page here is about somebody's own newsletters."""


@bp.get("/")
def index() -> Page:
    """Show the shelf."""
    return _shelf(NewsletterForm())


@bp.post("/")
@engage.tracked("created newsletter")
def create() -> Page:
    """Begin a newsletter."""
    form = NewsletterForm()
    if not form.validate_on_submit():
        return _shelf(form), 422
    newsletter = Newsletter(
        owner_id=current_user.id, title=form.title.data, intro=form.intro.data or ""
    )
    db.session.add(newsletter)
    db.session.commit()
    return redirect(url_for(".edit", newsletter_id=newsletter.id))


def _shelf(form: NewsletterForm) -> str:
    count = (
        select(func.count())
        .where(Section.newsletter_id == Newsletter.id)
        .correlate(Newsletter)
        .scalar_subquery()
    )
    rows = db.session.execute(
        select(Newsletter, count)
        .where(Newsletter.owner_id == current_user.id)
        .order_by(Newsletter.updated_at.desc())
        .limit(60)
    ).all()
    return render_template("newsletters.html", rows=rows, form=form)


@bp.route("/<int:newsletter_id>", methods=["GET", "POST"])
def edit(newsletter_id: int) -> Page:
    """Show the editor; change title and opening lines."""
    newsletter = own_newsletter(newsletter_id)
    form = NewsletterForm(obj=newsletter)
    if form.validate_on_submit():
        newsletter.title, newsletter.intro = form.title.data, form.intro.data or ""
        newsletter.updated_at = now()
        db.session.commit()
        flash("Saved.", "good")
        return redirect(url_for(".edit", newsletter_id=newsletter.id))
    status = 422 if request.method == "POST" else 200
    return render_template("editor.html", newsletter=newsletter, form=form), status


@bp.get("/<int:newsletter_id>/preview")
def preview(newsletter_id: int) -> Page:
    """Show the newsletter by itself."""
    return render_template(
        "letter.html", newsletter=own_newsletter(newsletter_id), standalone=False
    )


@bp.post("/<int:newsletter_id>/export")
@engage.tracked("exported", properties=lambda response: {"bytes": response.content_length or 0})
def export(newsletter_id: int) -> Response:
    """The newsletter as one HTML file, pictures and all."""
    newsletter = own_newsletter(newsletter_id)
    page = render_template("letter.html", newsletter=newsletter, standalone=True)
    db.session.add(Export(newsletter_id=newsletter.id))
    db.session.commit()
    response = Response(page, mimetype="text/html")
    response.headers.set(
        "Content-Disposition", "attachment", filename=f"{file_name(newsletter.title)}.html"
    )
    return response


@bp.post("/<int:newsletter_id>/delete")
def delete(newsletter_id: int) -> Page:
    """Throw a newsletter away."""
    newsletter = own_newsletter(newsletter_id)
    db.session.delete(newsletter)
    db.session.commit()
    flash(f"“{newsletter.title}” is gone.", "good")
    return redirect(url_for(".index"))


def own_newsletter(newsletter_id: int) -> Newsletter:
    """The newsletter, with its sections. Somebody else's does not exist: 404."""
    found = db.session.scalar(
        select(Newsletter)
        .where(Newsletter.id == newsletter_id, Newsletter.owner_id == current_user.id)
        .options(selectinload(Newsletter.sections))
    )
    if found is None:
        abort(404)
    return found


def file_name(title: str) -> str:
    """A name that every system takes: ASCII letters, digits and dashes."""
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")[:60] or "newsletter"
