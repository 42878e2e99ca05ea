"""How ceilings and waits are shown: bars with their numbers, and until when nothing is sent."""

from datetime import datetime

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from evalportal.lib import ui
from runs import selectors_budget, waits
from runs.selectors_budget import Month, Spent
from workspaces.models import Workspace

register = template.Library()
register.filter("held_until", waits.held_until)
register.filter("run_spent", selectors_budget.run_spent)
register.filter("paused_at_own_ceiling", selectors_budget.paused_at_own_ceiling)


@register.simple_tag
def month_spend(workspace: Workspace) -> Month:
    """This month's calls of the workspace; one query."""
    return selectors_budget.month_of(workspace)


@register.filter
def until(moment: datetime) -> str:
    """14:32, with the day unless it is today."""
    return waits.time_of_day(moment)


@register.filter
def spent_words(bar: Spent) -> str:
    """$1.20 of $2.00; about 1,200 of 3,000 tokens"""
    about = "about " if bar.estimated else ""
    if bar.unit == "usd":
        return f"{about}{ui.money(bar.amount)} of {ui.money(bar.ceiling)}"
    return f"{about}{ui.number(int(bar.amount))} of {ui.plural(int(bar.ceiling), 'token,tokens')}"


@register.filter
def whole_words(bar: Spent) -> str:
    """What the whole run will come to at the pace so far; empty before there is one."""
    if bar.whole is None:
        return ""
    return ui.money(bar.whole) if bar.unit == "usd" else ui.plural(int(bar.whole), "token,tokens")


@register.simple_tag
def spent_bar(bar: Spent) -> SafeString:
    return format_html(
        '<svg class="bar" role="img" aria-label="{}"{}><rect class="fill" width="{}%" height="100%"/></svg>',
        spent_words(bar),
        " data-full" if bar.amount >= bar.ceiling else "",
        f"{100 * bar.share:.1f}",
    )


@register.filter
def exact(bar: Spent) -> str:
    """The ceiling as it is typed into a field."""
    return f"{bar.ceiling.normalize():f}"
