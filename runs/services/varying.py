"""Variations of a launch: what each strategy can vary of it, and the trials that come of that."""

from collections.abc import Iterable, Sequence
from typing import Any

from django.db.models import Q, QuerySet

from datasets.models import DatasetVersion, Item
from evalportal.lib.plugins import UnknownPlugin
from runs.selectors_pages import first_items
from runs.selectors_variants import paraphrases_of
from runs.services.wish import Launch, Varied
from runs.variations import MAX_VARIANTS, BadOptions, Content, Strategy, build_strategy, listed

SAMPLE = 40
NOT_ASKED = "Variations need models that are asked: other responses are to the original."


def strategies_of(wish: Launch) -> tuple[list[Strategy[Any]], list[str]]:
    """Those that can be built, and what is wrong with the others."""
    built: list[Strategy[Any]] = []
    problems = []
    for each in wish.variations:
        try:
            strategy = build_strategy(str(each.get("key", "")), dict(each.get("options") or {}))
        except (UnknownPlugin, BadOptions) as error:
            problems.append(f"{each.get('key') or 'A variation'}: {error}")
            continue
        if strategy.key in {other.key for other in built}:
            problems.append(f"{strategy.title} is there twice.")
            continue
        built.append(strategy)
    if len(listed(built)) > MAX_VARIANTS:
        problems.append(f"At most {MAX_VARIANTS} variants together.")
    if wish.variations and wish.responses != "fresh":
        problems.append(NOT_ASKED)
    if wish.variations and wish.opponent_run_id:
        problems.append(
            "With variations, judges compare models of one launch: an earlier run was asked otherwise."
        )
    return ([] if problems else built), problems


def varied(
    wish: Launch, version: DatasetVersion, chosen: QuerySet[Item], items: int
) -> tuple[list[Varied], list[str]]:
    """What each strategy can vary of the chosen items, `items` in number; and why it cannot."""
    strategies, problems = strategies_of(wish)
    if not strategies:
        return [], problems
    sample = _sample(version, any(each.reads_paraphrases for each in strategies))
    counted: dict[str, int] = {}
    found = []
    for strategy in strategies:
        why_not = strategy.problems(wish.template, sample)
        counts = [
            _count(chosen, strategy.applies(number), items, counted)
            for number in range(1, len(strategy.titles) + 1)
        ]
        if not why_not and items and not any(counts):
            why_not = [strategy.none_applies]
        problems += why_not
        found.append(Varied(strategy, counts))
    return found, problems


def _count(chosen: QuerySet[Item], condition: Q, items: int, counted: dict[str, int]) -> int:
    """One query for each condition that differs; none where all items fit."""
    if not condition:
        return items
    key = str(condition)
    if key not in counted:
        counted[key] = Item.objects.filter(condition, pk__in=chosen.values("pk")).count()
    return counted[key]


def _sample(version: DatasetVersion, reads_paraphrases: bool) -> list[Content]:
    items = first_items(version, SAMPLE)
    approved = paraphrases_of([item.pk for item in items]) if reads_paraphrases else {}
    return [
        Content(
            item.prompt, item.messages, item.choices, item.references,
            paraphrases=approved.get(item.pk, {}),
        )
        for item in items
    ]  # fmt: skip


def turns_wanted(version: DatasetVersion, epochs: int, varied: Iterable[Varied]) -> tuple[str, Sequence[Any]]:
    """SQL that says which turns of `chosen` items there are, over `epochs.epoch` and `chosen.id`; empty for
    all."""
    strategies = [each.strategy for each in varied]
    if not any(each.strategy.applies(number + 1) for each in varied for number in range(len(each.items))):
        return "", ()
    parts, values = ["epochs.epoch <= %s"], [epochs]
    for place, variant in enumerate(listed(strategies), 1):
        first, last = place * epochs + 1, (place + 1) * epochs
        fits = Item.objects.filter(variant.strategy.applies(variant.number), version=version)
        sql, given = fits.order_by().values("pk").query.sql_with_params()
        parts.append(f"epochs.epoch BETWEEN %s AND %s AND chosen.id IN ({sql})")
        values += [first, last, *given]
    return f"AND ({' OR '.join(f'({part})' for part in parts)})", values
