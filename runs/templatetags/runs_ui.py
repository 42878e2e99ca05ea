"""How the figures of a run are written: metrics with unit and interval, the grid's label, what is left."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from django import template
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from evalportal.lib import ui
from judges.metrics import Estimate
from runs.metrics import Metric
from runs.models import Run, Score, Trial, TrialState
from runs.selectors import Card
from runs.selectors_figures import Figure
from runs.services import LaunchPlan
from runs.services.wish import Varied
from runs.waits import item_wait

register = template.Library()
register.filter("item_wait", item_wait)

# unit → (factor, decimals, suffix) of a value that stands large, with its unit quiet
UNITS: dict[str, tuple[float, int, str]] = {
    "share": (100, 1, "%"),
    "ms": (0.001, 1, "s"),
    "value": (1, 3, ""),
}
LATENCY_AXIS_MS = 30_000
TOTALS = ("input_tokens", "output_tokens", "cost", "duration")  # the head tells the duration


@register.filter
def tiles(metrics: Iterable[Metric]) -> list[Metric]:
    """The figures that get a tile: without those that repeat the accuracy, and tokens beside their cost."""
    by_key = {metric.key: metric for metric in metrics if not metric.is_member}
    shown = [metric for key, metric in by_key.items() if key not in TOTALS and not _repeats(metric, by_key)]
    tokens = [by_key.get("input_tokens"), by_key.get("output_tokens")]
    if not all(tokens):
        return shown
    counts = [int(metric.value or 0) for metric in tokens if metric]
    note = f"{counts[0]:,} tokens in, {counts[1]:,} out"
    cost = by_key.get("cost") or Metric("tokens", "Tokens", "tokens", sum(counts), n=by_key["input_tokens"].n)
    return [*shown, replace(cost, note=note)]


def _repeats(metric: Metric, by_key: Mapping[str, Metric]) -> bool:
    """A pass-or-fail scorer's mean, or the accuracy under the scorer's own name."""
    accuracy = by_key.get("accuracy")
    return bool(accuracy and metric.key in ("mean", "exact_match") and metric.value == accuracy.value)


@register.simple_tag
def metric_number(metric: Metric) -> SafeString:
    """56.3 % with the unit small; whole numbers with separators."""
    if metric.value is None:
        return mark_safe('<span class="quiet">–</span>')
    if metric.unit == "usd":
        return format_html("{}", ui.money(metric.value))  # type: ignore[arg-type]
    if metric.unit == "s":
        return format_html("{}", ui.duration_ms(float(metric.value) * 1000))
    if metric.unit == "ms" and metric.value < 1000:
        return format_html("{}<small>ms</small>", f"{metric.value:.0f}")
    if metric.low is None and metric.unit in ("value", "tokens"):
        return format_html("{}", ui.number(metric.value))
    factor, digits, suffix = UNITS.get(metric.unit, (1, 1, ""))
    number = ui.minus(f"{factor * float(metric.value):.{digits}f}")
    return format_html("{}<small>{}</small>", number, suffix) if suffix else format_html("{}", number)


@register.filter("interval_of")
def metric_interval(metric: Metric) -> str:
    if metric.low is None or metric.high is None:
        return ""
    if metric.unit == "ms" and (metric.value or 0) < 1000:
        return f"[{metric.low:.0f}, {metric.high:.0f}]"
    factor, digits, _ = UNITS.get(metric.unit, (1, 1, ""))
    return ui.minus(f"[{factor * metric.low:.{digits}f}, {factor * metric.high:.{digits}f}]")


@register.simple_tag
def metric_note(metric: Metric) -> str:
    """[53.6, 58.9], n = 1,319 so far"""
    if metric.low is None and metric.value is not None:
        return metric.note or f"of {ui.plural(metric.n, 'item,items')}"
    if metric.key == "answer_rate":
        metric = replace(metric, note="")
    count = f"n\u00a0=\u00a0{metric.n:,}" + (" so far" if metric.provisional else "")
    return "; ".join(filter(None, [", ".join(filter(None, [metric_interval(metric), count])), metric.note]))


@register.simple_tag
def metric_whisker(metric: Metric) -> str | SafeString:
    """The metric on its axis; nothing where it has no interval."""
    if metric.value is None or metric.low is None or metric.high is None:
        return ""
    if metric.unit == "value" and metric.high > 1:
        return ""  # a scale whose end is not known
    value, top = float(metric.value), 1.0
    if metric.unit == "ms":
        top = max(LATENCY_AXIS_MS, metric.high)
    elif metric.unit != "share":
        top = max(1.0, metric.high)
    factor, digits, suffix = UNITS.get(metric.unit, (1, 1, ""))
    numbers = [f"{factor * number:.{digits}f}" for number in (value, metric.low, metric.high)]
    label = f"{metric.label} {numbers[0]}{suffix}, 95% CI {numbers[1]} to {numbers[2]}"
    bottom = min(0.0, metric.low)
    return ui.whisker(metric.low, value, metric.high, bottom, top, label=label, weak=metric.provisional)


@register.simple_tag
def grid_label(card: Card) -> str:
    """What the progress grid shows, in words."""
    run = card.run
    parts = [f"{attended(run):,} of {run.total:,} items done"]
    if card.estimate is not None:
        parts.append(f"{card.correct:,} correct")
    if card.in_flight:
        parts.append(f"{len(card.in_flight):,} in flight")
    if run.errored:
        parts.append(f"{run.errored:,} {'error' if run.errored == 1 else 'errors'}")
    return ", ".join(parts)


@register.filter
def model_calls(plan: LaunchPlan) -> int:
    """Without those of judges."""
    return plan.calls - plan.judge_calls


@register.filter
def attended(run: Run) -> int:
    """Items with a response or an error; those that a cancel left out don't count."""
    return run.done + run.errored


@register.filter
def not_finished(run: Run) -> int:
    """Items that have neither a response nor an error."""
    return run.total - attended(run)


@register.filter
def ago(seconds: float) -> str:
    """The moment that many seconds ago, for `data-elapsed-since`."""
    return ui.iso(timezone.now() - timedelta(seconds=seconds))


@register.filter
def about(seconds: float | None) -> str:
    """A rough time left: 40 s, 9 min, 3.5 h"""
    if seconds is None:
        return ""
    if seconds < 60:
        return f"{max(5, round(seconds / 5) * 5):.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h".replace(".0 h", " h")


@register.filter
def since(moment: datetime) -> float:
    """Seconds from then to now."""
    return (timezone.now() - moment).total_seconds()


@register.filter
def model_name(run: Run) -> str:
    """The model's exact name where the alias is not plainly the same."""
    name = str(run.config["model"]["name"])
    return "" if _letters(name) == _letters(run.alias) else name


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text)).lower()


@register.filter
def last_chars(text: str, count: int) -> str:
    return text[-count:]


@register.filter
def sentence(text: str) -> str:
    """Ends with a full stop."""
    return text if not text or text[-1] in ".!?…" else f"{text}."


@register.filter
def verdict(trial: Trial) -> str:
    """The status word of a trial: its state, or the first scorer's verdict once it is done."""
    if item_wait(trial):
        return "retrying"
    if trial.state != TrialState.DONE:
        return str(trial.state)
    return "unscored" if trial.passed is None else "correct" if trial.passed else "incorrect"


@register.filter
def verdict_word(trial: Trial) -> str:
    waits = item_wait(trial)
    if waits:
        return waits
    words: dict[str, str] = {str(state): str(label) for state, label in TrialState.choices}
    return words.get(verdict(trial), verdict(trial).capitalize())


@register.filter
def turn_words(trial: Trial, run: Run) -> str:
    """Which of its item's turns a trial is, such as “Order 2, epoch 3”; empty for the original's first."""
    variants = run.variants
    place, epoch = variants.place(trial.epoch), variants.epoch(trial.epoch)
    words = [variants.titles[place]] if place else []
    return ", ".join([*words, f"epoch {epoch}"] if epoch > 1 else words)


@register.filter
def varied_words(varied: Varied, plan: LaunchPlan) -> str:
    """How many items each of a strategy's variants asks, where they are not all."""
    words = f"{len(varied.items)} × {ui.plural(plan.items, 'item,items')}"
    if set(varied.items) != {plan.items}:
        words = f"{ui.number(sum(varied.items))} of {words}: the others cannot be varied so often"
    return words


@register.filter
def score_status(score: Any) -> str:
    """The status of one score: unscored, correct, incorrect, or scored for a value without a pass mark."""
    if score.value is None:
        return "unscored"
    return "scored" if score.passed is None else "correct" if score.passed else "incorrect"


@register.filter
def as_metric(figure: Figure, estimate: Estimate) -> Metric:
    """An estimate of that figure as the other tags take it; its note tells what was left out."""
    left_out = estimate.denominator.partition("; ")[2]
    return Metric(
        figure.key,
        figure.title,
        figure.unit,
        estimate.value,
        estimate.low,
        estimate.high,
        estimate.n,
        note=left_out,
    )


@register.filter
def section_metric(figure: Figure, section: str) -> Metric:
    return as_metric(figure, figure.sections[section])


@register.filter
def explanation_words(score: Any) -> str:
    """Why, without the answer that an extraction puts before it: “from the last number; equals 65000”."""
    text = str(score.explanation or score.unscored_reason)
    return text.removeprefix(str(score.answer)).removeprefix(",").strip() or text


@register.filter
def letter(index: int) -> str:
    """0 → A"""
    return chr(ord("A") + index) if 0 <= index < 26 else str(index + 1)


@register.simple_tag
def rate(items: int, seconds: float) -> str:
    """Items a second, with as many digits as the pace needs."""
    pace = items / seconds if seconds else 0.0
    return f"{pace:,.0f}" if pace >= 20 else f"{pace:.1f}"


@register.simple_tag
def runs_summary(counts: Mapping[str, int]) -> str:
    """1 running, 1 waiting, 1 needs attention"""
    stopped = counts.get("failed", 0) + counts.get("paused", 0)
    parts = [
        f"{count:,} {word}"
        for count, word in (
            (counts.get("running", 0), "running"),
            (counts.get("pending", 0), "waiting"),
            (stopped, "needs attention" if stopped == 1 else "need attention"),
        )
        if count
    ]
    return ", ".join(parts) or "Nothing is running"


@register.filter
def score_by(trial: Trial, scorer: str) -> Score | None:
    """The trial's score by that scorer, from what is already loaded."""
    return next((score for score in trial.scores.all() if score.scorer == scorer), None)


@register.filter
def column_scorers(run: Run) -> list[dict[str, Any]]:
    """Beside the first: at most two, without the members of panels."""
    return [scorer for scorer in run.all_scorers[1:] if not scorer.get("panel")][:2]


@register.filter
def scorer_titles(run: Run) -> str:
    """Numeric, math-judge v1; a panel without its members."""
    named = [scorer for scorer in run.all_scorers if not scorer.get("panel")]
    return ", ".join(str(scorer.get("title") or scorer["name"]) for scorer in named)


@register.filter
def scorer_title(name: str, run: Run) -> str:
    for scorer in run.all_scorers:
        if scorer["name"] == name:
            return str(scorer.get("title") or name)
    return name
