"""How a comparison's figures are written and drawn: shares in per cent and points, values to three digits."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Any

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from analysis.asking import LETTERS
from analysis.drawing import Axis, density_path, frontier, round_axis
from analysis.figures import Figures, RunRow
from analysis.models import TriageState
from analysis.outcomes import latencies_of
from analysis.selectors import Past
from analysis.stats.results import Difference, Interval
from analysis.wording import number, p_text
from evalportal.lib import ui
from judges.metrics import Estimate
from runs.models import Run
from workspaces.models import AuditEvent

register = template.Library()
HEAT_POINTS = (10, 20)  # from there on a difference is tinted stronger
TRIAGE_TONES = {"open": "pending", "real": "incorrect", "flaky": "retrying", "accepted": "ok"}


@register.simple_tag
def key(place: int) -> SafeString:
    """The square with a run's letter, by its place."""
    letter = LETTERS[place]
    return format_html('<span class="key" data-series="{}">{}</span>', letter.lower(), letter)


@register.simple_tag
def figure(found: Interval | Estimate, share: bool) -> str:
    """21.7% or 3.42"""
    if found.value is None:
        return "–"
    return f"{number(found.value, share)}{'%' if share else ''}"


@register.simple_tag
def bounds(found: Interval | Estimate, share: bool) -> str:
    """[19.5, 24.0], or nothing where there is no interval."""
    if found.low is None or found.high is None:
        return ""
    return f"[{number(found.low, share)}, {number(found.high, share)}]"


@register.simple_tag
def half_width(width: float | None, share: bool) -> str:
    """4.2 pts or 0.31"""
    return "–" if width is None else f"{number(width, share)}{' pts' if share else ''}"


@register.simple_tag
def signed(found: Interval, share: bool) -> str:
    """+17.4"""
    return "–" if found.value is None else number(found.value, share, signed=True)


@register.filter
def p_value(p: float | None) -> str:
    """< 0.001, 0.003, or a dash"""
    return "—" if p is None else p_text(p).removeprefix("= ")


@register.filter
def first_part(text: str) -> str:
    """Of a verdict line, what stands large: up to its interval."""
    return _parts(text)[0]


@register.filter
def last_part(text: str) -> str:
    return _parts(text)[1].replace("= ", "=\u00a0").replace("< ", "<\u00a0")


def _parts(text: str) -> tuple[str, str]:
    at = text.find(" [") if " [" in text else text.find(",")
    return (text, "") if at < 0 else (text[:at], text[at:].strip(", "))


@register.simple_tag
def figure_whisker(row: RunRow, figures: Figures) -> SafeString:
    """A run's figure on the axis of all runs: 0 to 100 %, or that of the values."""
    return _whisker(row.figure, figures.share, value_axis(figures), series=row.series)


@register.simple_tag
def interval_whisker(found: Interval, share: bool, axis: Axis, place: int | None = None) -> SafeString:
    """A difference on an axis that shows its 0."""
    return _whisker(found, share, axis, series=LETTERS[place].lower() if place is not None else "", ref=0.0)


def _whisker(
    found: Interval, share: bool, axis: Axis, *, series: str = "", ref: float | None = None
) -> SafeString:
    if found.value is None or found.low is None or found.high is None:
        return mark_safe("")
    unit = " pts" if share and ref is not None else "%" if share else ""
    value, low, high = (number(each, share) for each in (found.value, found.low, found.high))
    label = f"{value}{unit}, 95% CI {low} to {high}"
    return ui.whisker(
        found.low, found.value, found.high, axis.low, axis.high,
        label=label, series=series, mark=series or "a", ref=ref,
    )  # fmt: skip


@register.simple_tag
def value_axis(figures: Figures) -> Axis:
    if figures.share:
        return Axis(0.0, 1.0, (0.0, 0.25, 0.5, 0.75, 1.0))
    found = [row.figure for row in figures.rows]
    return round_axis(
        min((each.low or each.value or 0.0) for each in found),
        max((each.high or each.value or 0.0) for each in found),
    )


@register.simple_tag
def difference_axis(figures: Figures) -> Axis:
    """Of all pairs' differences."""
    return axis_of([row.difference.interval for row in figures.pairs])


def axis_of(found: Sequence[Interval]) -> Axis:
    known = [bound for each in found for bound in (each.low, each.high, each.value) if bound is not None]
    return round_axis(min(known, default=0.0), max(known, default=0.0), 4)


@register.simple_tag
def groups_axis(figures: Figures) -> Axis:
    return axis_of([group.difference.interval for group in figures.groups if group.difference])


@register.simple_tag
def axis_row(axis: Axis, share: bool = True, unit: str = "", plus: bool = False) -> SafeString:
    """The ticks under a chart: points of a share, or numbers with a unit."""
    ticks = [(f"{axis.at(tick):.1f}%", _tick(tick, share, plus) + unit) for tick in axis.ticks]
    lines = format_html_join(
        "",
        '<line x1="{}" x2="{}" y2="4"/><text x="{}" y="17">{}</text>',
        ((at, at, at, text) for at, text in ticks),
    )
    return format_html('<svg class="axis-row" aria-hidden="true">{}</svg>', lines)


def _tick(value: float, share: bool, plus: bool) -> str:
    text = f"{100 * value if share else value:g}"
    return f"+{text}" if plus and value > 0 else ui.minus(text)


@register.simple_tag
def heat(difference: Difference, share: bool) -> str:
    """−3 to 3; 0 where the interval includes 0, so that only evidence is tinted."""
    value = difference.interval.value or 0.0
    if not difference.shown:
        return "0"
    strength = 1 + sum(abs(100 * value) >= limit for limit in HEAT_POINTS) if share else 2
    return str(strength if value > 0 else -strength)


@register.simple_tag
def arrow(difference: Difference) -> str:
    if not difference.shown:
        return ""
    return "▲ " if (difference.interval.value or 0) > 0 else "▼ "


@register.simple_tag
def agreement(figures: Figures) -> SafeString:
    """A bar of the pair's four outcomes."""
    pairs = figures.counts
    if pairs is None:
        return mark_safe("")
    names = (figures.letters[figures.base], figures.letters[figures.against])
    parts = (
        ("both", pairs.both, "Both correct"),
        ("up", pairs.fixed, f"only {names[1]}"),
        ("down", pairs.broken, f"only {names[0]}"),
        ("neither", pairs.neither, "neither"),
    )
    start, bars = 0.0, []
    for name, count, _ in parts:
        width = 100 * count / max(1, pairs.n)
        bars.append((name, f"{start:.1f}%", f"{width:.1f}%"))
        start += width
    label = ", ".join(f"{words} {count:,}" for _, count, words in parts)
    shapes = format_html_join("", '<rect class="{}" x="{}" width="{}" height="100%"/>', bars)
    return format_html('<svg class="agreement" role="img" aria-label="{}">{}</svg>', label, shapes)


# Latency


@register.simple_tag
def latency_axis(figures: Figures) -> Axis:
    """In ms: a little beyond the slowest p95."""
    highs = [row.p95.high or row.p95.value or 0.0 for row in figures.rows if row.p95]
    return round_axis(0.0, 1.25 * max(highs, default=1.0))


@register.simple_tag
def latency_shape(row: RunRow, axis: Axis) -> SafeString:
    """The distribution with a line at p50 and dashes at p95."""
    if row.p50 is None or row.p95 is None:
        return mark_safe("")
    grid = format_html_join(
        "",
        '<line class="grid" x1="{}" x2="{}" y2="40"/>',
        ((_at(axis, tick), _at(axis, tick)) for tick in axis.ticks),
    )
    p50, p95 = (_at(axis, each.value or 0.0) for each in (row.p50, row.p95))
    return format_html(
        '<svg class="dist" data-series="{}" viewBox="0 0 100 40" preserveAspectRatio="none" role="img" '
        'aria-label="p50 {}, p95 {}">{}<path d="{}"/><line x1="{}" x2="{}" y2="40"/>'
        '<line class="p95" x1="{}" x2="{}" y1="14" y2="40"/></svg>',
        row.series, ui.duration_ms(row.p50.value), ui.duration_ms(row.p95.value), grid,
        density_path(latencies_of(row.run), axis.high), p50, p50, p95, p95,
    )  # fmt: skip


def _at(axis: Axis, value: float) -> str:
    return f"{axis.at(value):.1f}"


@register.simple_tag
def latency_ticks(axis: Axis) -> SafeString:
    if axis.high >= 2000:
        return axis_row(
            Axis(axis.low / 1000, axis.high / 1000, [tick / 1000 for tick in axis.ticks]), False, " s"
        )
    return axis_row(axis, False, " ms")


@register.simple_tag
def latency_bounds(found: Any) -> str:
    """[1.36, 1.44] in the unit of the figure."""
    if found is None or found.low is None or found.high is None:
        return ""
    if (found.value or 0) < 1000:
        return f"[{found.low:.0f}, {found.high:.0f}]"
    return f"[{found.low / 1000:.2f}, {found.high / 1000:.2f}]"


# Price and time


@register.filter
def priced(figures: Figures) -> list[RunRow]:
    """Runs whose cost is known and that have a figure."""
    return [row for row in figures.rows if row.per_item is not None and row.figure.value is not None]


@register.filter
def thousand(price: Decimal | None) -> str:
    """Dollars for 1,000 items."""
    return ui.money(price * 1000 if price is not None else None)


@register.filter
def on_frontier(figures: Figures) -> list[str]:
    """Letters of the priced runs that none beats in both price and quality."""
    rows = priced(figures)
    return [rows[at].letter for at in frontier([_point(row) for row in rows])]


def _point(row: RunRow) -> tuple[float, float]:
    return float(row.per_item or 0) * 1000, row.figure.value or 0.0


@register.simple_tag
def frontier_chart(figures: Figures) -> SafeString:
    """Quality over price, a mark a run, and a line through those that no other beats."""
    rows, high = priced(figures), value_axis(figures)
    points = [_point(row) for row in rows]
    axis = round_axis(0.0, max(price for price, _ in points) * 1.05)
    best = [points[at] for at in frontier(points)]

    def place(point: tuple[float, float]) -> tuple[str, str]:
        return f"{axis.at(point[0]):.1f}%", f"{100 - high.at(point[1]):.1f}%"

    steps = format_html_join(
        "", '<line class="step" x1="{}" y1="{}" x2="{}" y2="{}"/>',
        ((*place(a), *place(b)) for a, b in pairwise(best)),
    )  # fmt: skip
    grid = format_html_join(
        "", '<line class="grid" x2="100%" y1="{}" y2="{}"/><text class="low" x="0" y="{}" dy="-3">{}</text>',
        ((y, y, y, _tick(tick, figures.share, False) + ("%" if figures.share else ""))
         for tick in high.ticks for y in [f"{100 - high.at(tick):.1f}%"]),
    )  # fmt: skip
    marks = format_html_join("", "{}", ((_priced_mark(row, high, place(_point(row))),) for row in rows))
    told = "; ".join(
        f"{row.letter} {figure(row.figure, figures.share)} at {thousand(row.per_item)}" for row in rows
    )
    ticks = format_html_join(
        "", '<text x="{}" y="100%" dy="16">{}</text>',
        ((f"{axis.at(tick):.1f}%", f"${tick:g}") for tick in axis.ticks),
    )  # fmt: skip
    return format_html(
        '<svg class="scatter" role="img" aria-label="{}">{}{}{}{}</svg>', told, grid, steps, marks, ticks
    )


def _priced_mark(row: RunRow, high: Axis, place: tuple[str, str]) -> SafeString:
    low, top = (
        f"{100 - high.at(bound if bound is not None else row.figure.value or 0.0):.1f}%"
        for bound in (row.figure.low, row.figure.high)
    )
    x, y = place
    return format_html(
        '<g data-series="{}"><line x1="{}" x2="{}" y1="{}" y2="{}"/><svg x="{}" y="{}">'
        '<use class="mark" href="#m-{}"/><text class="name" x="8" y="-6">{}</text></svg></g>',
        row.series, x, x, low, top, x, y, row.series, row.letter,
    )  # fmt: skip


@register.simple_tag
def history_chart(past: Sequence[Past]) -> SafeString:
    """Shares right over the runs of an alias in order, each with its interval."""
    width = 100 / len(past)
    shapes = []
    for at, each in enumerate(past):
        x, estimate = f"{width * (at + 0.5):.1f}%", each.estimate
        low, high, y = (
            f"{100 - 100 * (bound or 0.0):.1f}%" for bound in (estimate.low, estimate.high, estimate.value)
        )
        shapes.append((x, x, low, high, x, y))
    grid = format_html_join(
        "",
        '<line class="grid" x2="100%" y1="{0}%" y2="{0}%"/>'
        '<text class="low" x="0" y="{0}%" dy="-3">{1}%</text>',
        ((100 - tick, tick) for tick in (0, 25, 50, 75, 100)),
    )  # fmt: skip
    lines = format_html_join(
        "", '<line class="step" x1="{}" y1="{}" x2="{}" y2="{}"/>',
        ((a[0], a[5], b[0], b[5]) for a, b in pairwise(shapes)),
    )  # fmt: skip
    marks = format_html_join(
        "",
        '<line x1="{}" x2="{}" y1="{}" y2="{}"/><svg x="{}" y="{}"><use class="mark" href="#m-a"/></svg>',
        shapes,
    )
    told = "; ".join(f"run {each.run.pk} {ui.percent(each.estimate.value)}" for each in past)
    return format_html(
        '<svg class="scatter" role="img" aria-label="{}">{}{}{}</svg>', told, grid, lines, marks
    )


# Items


@register.simple_tag
def here(figures: Figures, **changes: Any) -> str:
    """The page's query string with some parameters changed; a None removes one. Pages start anew."""
    return figures.asked.query(**({"after": None, "before": None} | changes))


@register.simple_tag
def outcome_query(figures: Figures, first: str = "", second: str = "") -> str:
    """Of a tab: the baseline's and the other's verdict, "right" or "wrong", and nothing else filtered."""
    return figures.asked.query(
        wanted=_wishes(figures, first, second), after=None, before=None, item=None, section=None, differ=None
    )


@register.simple_tag
def outcome_here(figures: Figures, first: str = "", second: str = "") -> bool:
    asked = figures.asked
    return asked.wanted == _wishes(figures, first, second) and not asked.differ and asked.section is None


def _wishes(figures: Figures, first: str, second: str) -> Mapping[str, bool]:
    letters = (figures.letters[figures.base], figures.letters[figures.against])
    return {letter: word == "right" for letter, word in zip(letters, (first, second), strict=True) if word}


@register.simple_tag
def left_out_words(row: RunRow) -> str:
    """12 without a score, 3 errored"""
    found = row.left_out
    named = (
        (found.elsewhere, "not in every run's dataset"),
        (found.unscored, "without a score"),
        (found.errored, "errored"),
        (found.canceled, "canceled"),
        (found.waiting, "not finished"),
        (found.by_others, "scored, but not by every run"),
    )
    return ", ".join(f"{count:,} {words}" for count, words in named if count)


@register.simple_tag
def triage_tag(state: str) -> SafeString:
    return ui.status(TRIAGE_TONES.get(state, "warning"), TriageState(state).label)


@register.filter
def dataset_of(run: Run) -> str:
    return str(run.config.get("dataset", {}).get("name") or run.dataset_version.dataset.name)


@register.filter
def versions_of(runs: Sequence[Run]) -> str:
    """v1 and v2, of runs on different versions; nothing where all were asked the same one."""
    if len({run.dataset_version_id for run in runs}) < 2:
        return ""
    names = {dataset_of(run) for run in runs}
    told = [f"{dataset_of(run)} " * (len(names) > 1) + f"v{_version_of(run)}" for run in runs]
    *first, last = dict.fromkeys(told)
    return f"{', '.join(first)} and {last}" if first else last


def _version_of(run: Run) -> int:
    return int(run.config.get("dataset", {}).get("version") or run.dataset_version.number)


@register.filter
def scorer_name(name: str, run: Run) -> str:
    """A scorer's title as the run has it."""
    return next((each.get("title") or name for each in run.all_scorers if each["name"] == name), name)


@register.filter
def at(rows: Sequence[Any], place: int) -> Any:
    return rows[place]


@register.filter
def place(rows: Sequence[RunRow], place: int) -> str:
    """The letter of a row."""
    return rows[place].letter


@register.filter
def minus(count: int, other: int) -> int:
    return count - other


@register.filter
def any_left_out(rows: Sequence[RunRow]) -> bool:
    return any(row.left_out.total for row in rows)


@register.filter
def any_latency(rows: Sequence[RunRow]) -> bool:
    return any(row.p50 for row in rows)


@register.simple_tag
def runs_text(figures: Figures) -> str:
    return ",".join(str(run.pk) for run in figures.comparison.runs)


# Of verbs whose past is not made with -ed; and of actions that want other words altogether.
PAST = {
    "set_role": "changed the role of",
    "set_ceilings": "set ceilings of",
    "check_controls": "asked the control set of",
    "import_answers": "imported answers into",
    "misses_download": "downloaded the misses of",
    "add_judge": "added a judge to",
    "begin": "began",
    "leave": "left",
    "make": "made",
    "retry": "retried",
}
SAID = {
    "benchmark.baseline": "Changed baseline",
    "benchmark.evaluation_delete": "Deleted evaluation",
    "dataset.make": "Made dataset",
    "review_sample.create": "Drew responses to label",
}


@register.filter
def deed(event: AuditEvent) -> str:
    """evaluation.launch → Launched evaluation: GSM8K test (#4)"""
    noun, _, verb = event.action.replace("_", " ").partition(".")
    past = PAST.get(verb.replace(" ", "_")) or f"{verb}{'d' if verb.endswith('e') else 'ed'}"
    words = SAID.get(event.action, f"{past} {noun}".capitalize())
    if event.target.startswith(f"{noun} "):
        return f"{words.removesuffix(noun)}{event.target}"
    return f"{words}: {event.target}" if event.target else words
