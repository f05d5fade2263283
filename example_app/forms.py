"""Paperkite's forms. Every one carries Flask-WTF's token."""

from __future__ import annotations

from zoneinfo import available_timezones

from flask_wtf import FlaskForm
from wtforms import (
    BooleanField,
    EmailField,
    PasswordField,
    SelectField,
    StringField,
    TextAreaField,
    ValidationError,
)
from wtforms.validators import DataRequired, Length, Optional, Regexp

from example_app.models import PLANS
from example_app.pictures import PICTURES

_EMAIL = Regexp(r"^[^@\s]+@[^@\s]+\.[^@\s]+$", message="That does not look like an address.")


def _stripped(value: str | None) -> str | None:
    return value.strip() if value else value


def _handle(value: str | None) -> str | None:
    return value.strip().removeprefix("@") if value else value


class LoginForm(FlaskForm):
    email = EmailField("Email", filters=[_stripped], validators=[DataRequired(), Length(max=254)])
    password = PasswordField("Password", validators=[DataRequired(), Length(max=200)])
    remember = BooleanField("Keep me logged in")


class SignupForm(FlaskForm):
    name = StringField("Your name", filters=[_stripped],
                       validators=[DataRequired(), Length(max=200)])
    email = EmailField("Email", filters=[_stripped],
                       validators=[DataRequired(), Length(max=254), _EMAIL])
    password = PasswordField("Password", validators=[DataRequired(), Length(min=8, max=200)])


class ProfileForm(FlaskForm):
    name = StringField("Name", filters=[_stripped], validators=[DataRequired(), Length(max=200)])
    timezone = StringField("Time zone", filters=[_stripped],
                           validators=[DataRequired(), Length(max=64)])

    def validate_timezone(self, field: StringField) -> None:
        if field.data not in available_timezones():
            raise ValidationError("Choose a zone from the list, such as Europe/Lisbon.")


class PlanForm(FlaskForm):
    plan = SelectField("Plan", choices=[(plan, plan.title()) for plan in PLANS])


class TwitterForm(FlaskForm):
    handle = StringField("Twitter name", filters=[_handle], validators=[
        DataRequired(), Regexp(r"^\w{1,15}$", message="Letters, digits and _, at most 15.")])


class NewsletterForm(FlaskForm):
    title = StringField("Title", filters=[_stripped],
                        validators=[DataRequired(), Length(max=160)])
    intro = TextAreaField("A line or two to begin with", filters=[_stripped],
                          validators=[Optional(), Length(max=600)])


class SectionForm(FlaskForm):
    heading = StringField("Heading", filters=[_stripped], validators=[Length(max=160)])
    body = TextAreaField("Text", validators=[Length(max=8000)])
    picture = SelectField("Picture", choices=list(PICTURES.items()),
                          validators=[Optional()], validate_choice=False)


class InviteForm(FlaskForm):
    email = EmailField("Their email", filters=[_stripped],
                       validators=[DataRequired(), Length(max=254), _EMAIL])
