"""Sections: adding, writing, moving and removing the parts of a newsletter."""

from __future__ import annotations

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask_login import login_required
from werkzeug.wrappers import Response as BaseResponse

from example_app.engagement import engage
from example_app.forms import SectionForm
from example_app.models import SECTION_KINDS, Newsletter, Section, db, now
from example_app.newsletters import own_newsletter
from example_app.pictures import PICTURES

bp = Blueprint("sections", __name__, url_prefix="/newsletters/<int:newsletter_id>/sections")

Page = str | BaseResponse | tuple[str, int]

HEADINGS = {"text": "A new thought", "picture": "", "links": "Worth a read", "quote": ""}


@bp.before_request
@login_required
def _members_only() -> None:
    """Every page here is about somebody's own newsletters."""


@bp.post("/")
@engage.tracked("created section", properties=lambda _: {"kind": request.form["kind"]})
def create(newsletter_id: int) -> Page:
    """Add a section of the kind asked for, and go on to write it."""
    newsletter = own_newsletter(newsletter_id)
    kind = request.form.get("kind", "")
    if kind not in SECTION_KINDS:
        abort(400)
    position = max((section.position for section in newsletter.sections), default=0) + 1
    section = Section(
        newsletter_id=newsletter.id,
        kind=kind,
        position=position,
        heading=HEADINGS[kind],
        picture=next(iter(PICTURES)) if kind == "picture" else None,
    )
    db.session.add(section)
    newsletter.updated_at = now()
    db.session.commit()
    return redirect(url_for(".edit", newsletter_id=newsletter.id, section_id=section.id))


@bp.route("/<int:section_id>", methods=["GET", "POST"])
def edit(newsletter_id: int, section_id: int) -> Page:
    """Show and change what a section says."""
    newsletter = own_newsletter(newsletter_id)
    section = _section_of(newsletter, section_id)
    form = SectionForm(obj=section)
    if form.validate_on_submit():
        section.heading, section.body = form.heading.data or "", form.body.data or ""
        if section.kind == "picture" and form.picture.data in PICTURES:
            section.picture = form.picture.data
        newsletter.updated_at = now()
        db.session.commit()
        flash("Section saved.", "good")
        return redirect(url_for("newsletters.edit", newsletter_id=newsletter.id))
    status = 422 if request.method == "POST" else 200
    return render_template(
        "section.html", newsletter=newsletter, section=section, form=form
    ), status


@bp.post("/<int:section_id>/move")
def move(newsletter_id: int, section_id: int) -> Page:
    """Change places with the neighbour above or below; at the end nothing happens."""
    newsletter = own_newsletter(newsletter_id)
    section = _section_of(newsletter, section_id)
    order = newsletter.sections
    here = order.index(section)
    there = here + (-1 if request.form.get("direction") == "up" else 1)
    if 0 <= there < len(order):
        order[here].position, order[there].position = order[there].position, order[here].position
        newsletter.updated_at = now()
        db.session.commit()
    return redirect(url_for("newsletters.edit", newsletter_id=newsletter.id))


@bp.post("/<int:section_id>/delete")
@engage.tracked("deleted section")
def delete(newsletter_id: int, section_id: int) -> Page:
    """Remove a section."""
    newsletter = own_newsletter(newsletter_id)
    db.session.delete(_section_of(newsletter, section_id))
    newsletter.updated_at = now()
    db.session.commit()
    flash("The section is gone.", "good")
    return redirect(url_for("newsletters.edit", newsletter_id=newsletter.id))


def _section_of(newsletter: Newsletter, section_id: int) -> Section:
    found = next((part for part in newsletter.sections if part.id == section_id), None)
    if found is None:
        abort(404)
    return found
