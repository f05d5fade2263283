"""Paperkite's forms. Every one carries Flask-WTF's token."""

from __future__ import annotations

from zoneinfo import available_timezones

from flask_wtf import FlaskForm
from wtforms import (
    BooleanField,
    EmailField,
    PasswordField,
    StringField,
    TextAreaField,
    ValidationError,
)
from wtforms.validators import AnyOf, DataRequired, Length, Optional, Regexp

from example_app.models import PLANS
from example_app.pictures import PICTURES

_EMAIL = Regexp(r"^[^@\s]+@[^@\s]+\.[^@\s]+$", message="That does not look like an address.")


def _stripped(value: str | None) -> str | None:
    return value.strip() if value else value


def _handle(value: str | None) -> str | None:
    return value.strip().removeprefix("@") if value else value


class LoginForm(FlaskForm):
    """Who is there."""

    email = EmailField("Email", filters=[_stripped], validators=[DataRequired(), Length(max=254)])
    password = PasswordField("Password", validators=[DataRequired(), Length(max=200)])
    remember = BooleanField("Keep me logged in")


class SignupForm(FlaskForm):
    """What an account needs."""

    name = StringField(
        "Your name", filters=[_stripped], validators=[DataRequired(), Length(max=200)]
    )
    email = EmailField(
        "Email", filters=[_stripped], validators=[DataRequired(), Length(max=254), _EMAIL]
    )
    password = PasswordField(
        "Password",
        validators=[DataRequired(), Length(min=8, max=200, message="Use at least 8 characters.")],
    )


class ProfileForm(FlaskForm):
    """What one may change about oneself."""

    name = StringField("Name", filters=[_stripped], validators=[DataRequired(), Length(max=200)])
    timezone = StringField(
        "Time zone", filters=[_stripped], validators=[DataRequired(), Length(max=64)]
    )

    def validate_timezone(self, field: StringField) -> None:
        if field.data not in available_timezones():
            raise ValidationError("Choose a zone from the list, such as Europe/Lisbon.")


class PlanForm(FlaskForm):
    """Which plan."""

    plan = StringField("Plan", validators=[AnyOf(PLANS)])


class TwitterForm(FlaskForm):
    """Which Twitter account."""

    handle = StringField(
        "Twitter name",
        filters=[_handle],
        validators=[
            DataRequired(),
            Regexp(r"^\w{1,15}$", message="Letters, digits and _, at most 15."),
        ],
    )


class NewsletterForm(FlaskForm):
    """What a newsletter needs."""

    title = StringField("Title", filters=[_stripped], validators=[DataRequired(), Length(max=160)])
    intro = TextAreaField(
        "A line or two to begin with", filters=[_stripped], validators=[Optional(), Length(max=600)]
    )


class SectionForm(FlaskForm):
    """What a section may hold; which fields are shown depends on its kind."""

    heading = StringField("Heading", filters=[_stripped], validators=[Length(max=160)])
    body = TextAreaField("Text", validators=[Length(max=8000)])
    picture = StringField("Picture", validators=[Optional(), AnyOf(PICTURES)])


class InviteForm(FlaskForm):
    """Whom to ask."""

    email = EmailField(
        "Their email", filters=[_stripped], validators=[DataRequired(), Length(max=254), _EMAIL]
    )
