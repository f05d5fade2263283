"""Rules: what is sent by itself, how it goes, and stopping it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Response, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from .._state import EngageState, current_state
from ..automation.rules import AutoMessage, write_rule_row
from ..errors import InvalidFilter
from ..reports.messages import Counts, is_source, recipients
from ..reports.rules import RuleSummary, rule_summaries, rule_summary
from ..segments.host import uses_host
from ..store.rule import set_rule_status
from .access import operator
from .audit import note_in
from .filter_chips import fixed_bar
from .language import gettext as _
from .messages import STATES, _place
from .pages import page, to
from .zones import viewer_zone

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

_ACTIONS = {"pause": ("live", "paused"), "resume": ("paused", "live")}


def show_all() -> Response:
    """Show every rule."""
    state = current_state()
    with state.ready.require().read() as session:
        found = rules_of(state, session)
    return page("rules.html", rules=found)


def rules_of(state: EngageState, session: Session) -> list[RuleSummary]:
    """Return every rule, those that still exist first, and those not yet evaluated too."""
    known = rule_summaries(session)
    names = {rule.name for rule in known}
    new = [_declared(rule) for rule in state.registry.rules.values() if rule.name not in names]
    return sorted([*known, *new], key=lambda rule: (rule.status == "removed", rule.name))


def show(name: str) -> AnyResponse:
    """Show one rule and whom it wrote to; with POST, pause or resume it."""
    state = current_state()
    wanted = request.args.get("state") or None
    if wanted is not None and wanted not in STATES:
        raise InvalidFilter(f"state: {wanted!r:.40} is none of {', '.join(STATES)}.")
    after = _place(request.args.get("after"))
    with state.ready.require().read() as session:
        rule = _rule(state, session, name)
        if rule is None:
            return page(
                "problem.html",
                404,
                title=_("There is no such rule"),
                text=_("Rules are written in the app's code with engage.auto_message()."),
            )
        found = recipients(session, rule.source, state=wanted, after=after)
    if request.method == "POST":
        return _change(state, rule)
    zone, declared = viewer_zone(state), state.registry.rules.get(name)
    return page(
        "rule.html",
        rule=rule,
        sentence=declared.to.describe(zone) if declared else rule.sentence,
        fixed=fixed_bar(declared.to, zone) if declared and uses_host(declared.to) else None,
        found=found,
        state=wanted,
        states=STATES,
        is_first=after is None,
        done=request.args.get("done"),
    )


def _rule(state: EngageState, session: Session, name: str) -> RuleSummary | None:
    found = rule_summary(session, name) if is_source(name) else None
    if found is None and name in state.registry.rules:
        return _declared(state.registry.rules[name])
    return found


def _declared(rule: AutoMessage) -> RuleSummary:
    """Return a rule of the code that has not been evaluated yet, so that no row says it."""
    return RuleSummary(
        name=rule.name,
        source=rule.source,
        status="live",
        status_reason=None,
        channel=rule.channel,
        repeat=rule.repeat.to_json(),
        sentence=rule.to.describe(),
        document=None,
        holdout=rule.holdout,
        failures=0,
        last_error=None,
        evaluated_at=None,
        counts=Counts(),
    )


def _change(state: EngageState, rule: RuleSummary) -> AnyResponse:
    action = request.form.get("action", "")
    if action not in _ACTIONS:
        raise InvalidFilter(f"action: {action!r:.40} is neither pause nor resume.")
    before, after = _ACTIONS[action]
    if rule.status == before:
        who = operator()
        reason = _("Paused by %(who)s.") % {"who": who.name or who.email or who.id}
        with state.ready.require().write() as session:
            if rule.name in state.registry.rules:
                write_rule_row(session, state.registry.rules[rule.name], state.clock())
            set_rule_status(
                session,
                rule.name,
                after,
                state.clock(),
                reason if after == "paused" else None,
            )
            note_in(session, state, f"{action} rule", rule.name, {"was": before})
    return redirect(to("rule", name=rule.name, done=action), 303)
