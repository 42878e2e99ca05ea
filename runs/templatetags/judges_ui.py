"""How judges' figures are written: a share, a mean on the judge's own scale, or a win rate."""

from collections.abc import Sequence
from typing import Any

from django import template

from evalportal.lib import ui
from runs.models import Run, Score
from runs.selectors_judges import FLAGS, JudgeRow

register = template.Library()
WORDS = {"classify": "pass", "score": "mean", "compare": "win rate"}


@register.filter
def headline_number(row: JudgeRow) -> str:
    value = row.headline.value if row.headline else None
    if value is None:
        return "–"
    return f"{value:.2f}" if row.entry["kind"] == "score" else ui.percent(value)


@register.filter
def headline_words(row: JudgeRow) -> str:
    return WORDS.get(row.entry["kind"], "")


@register.filter
def headline_interval(row: JudgeRow) -> str:
    """[53.6, 58.9] in points, or on the judge's scale; a win rate stays within 0 and 100."""
    found = row.headline
    if found is None or found.low is None or found.high is None:
        return "no interval"
    if row.entry["kind"] == "score":
        return ui.interval(found.low, found.high, scale=1, digits=2)
    return ui.interval(max(0.0, found.low), min(1.0, found.high))


@register.filter
def p_value(value: float) -> str:
    """< 0.001, else = 0.123"""
    return "< 0.001" if value < 0.001 else f"= {value:.3f}"


@register.filter
def flag_words(flag: str) -> str:
    return FLAGS.get(flag, flag)


@register.filter
def judge_entry(score: Score, run: Run) -> dict[str, Any] | None:
    """The judge that gave this score, as the run holds it; None of code."""
    return next(
        (dict(entry) for entry in run.config.get("judges", []) if entry["name"] == score.scorer), None
    )


@register.filter
def judging_of(score: Score, run: Run) -> int | None:
    """The run that asked a model for this score of a scorer, if one did."""
    entries = run.config.get("scorers", [])
    return next((entry.get("judging") for entry in entries if entry["name"] == score.scorer), None)


@register.filter
def agreement(scores: Sequence[Score], run: Run) -> str:
    """“2 of 3 judges pass it.” over single judges that gave a pass or a fail; empty below two."""
    names = {entry["name"] for entry in run.config.get("judges", []) if entry["judging"]}
    said = [score.passed for score in scores if score.scorer in names and score.passed is not None]
    if len(said) < 2:
        return ""
    if len(set(said)) == 1:
        return f"All {len(said)} judges {'pass' if said[0] else 'fail'} it."
    return f"{sum(said)} of {len(said)} judges pass it."
