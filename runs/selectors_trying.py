"""The scorers of a launch tried on a few real items: what each reads out of a response, and its verdict."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from datasets.models import DatasetVersion, Item
from judges.scorers import Scorer, Subject, Verdict
from judges.scorers.semantic import Semantic
from runs.models import Run, Trial, TrialState
from runs.selectors_pages import first_items

TRIED = 5
PATIENCE_S = 6.0
MOST_TYPED = 100_000
PAST_RUNS = 5
TYPED = "typed"


@dataclass(frozen=True)
class Source:
    """Where responses to try on come from: `value` is typed, recorded:NAME or run:ID."""

    value: str
    words: str


@dataclass(frozen=True)
class Tried:
    """One item with its response and each scorer's verdict; no response where the source has none."""

    item: Item
    response: str | None
    verdicts: Sequence[tuple[str, Verdict | None]] = field(default_factory=tuple)


def sources(version: DatasetVersion) -> list[Source]:
    """Recorded responses, then the newest runs on this version that have answers, then what is typed."""
    recorded = [Source(f"recorded:{name}", f"{name}, recorded") for name in version.response_models[:20]]
    runs = Run.objects.filter(dataset_version=version, judged=None, done__gt=0).order_by("-id")[:PAST_RUNS]
    past = [Source(f"run:{run.pk}", f"run #{run.pk}, {run.alias}") for run in runs]
    return [*recorded, *past, Source(TYPED, "a response that I type")]


def try_scorers(
    version: DatasetVersion,
    scorers: Sequence[tuple[str, Scorer[Any]]],
    source: str,
    typed: str,
    ask: Callable[[Semantic, Sequence[Subject]], Sequence[Verdict]],
) -> list[Tried]:
    """At most PATIENCE_S seconds are spent on computing; verdicts that did not come in time are None. `ask`
    gives those of scorers that ask a model."""
    items = first_items(version, TRIED)
    responses = _responses(version, items, source, typed[:MOST_TYPED])
    subjects = {item.pk: _subject(item, responses[item.pk]) for item in items if item.pk in responses}
    asked = {
        title: dict(zip(subjects, ask(scorer, list(subjects.values())), strict=True))
        for title, scorer in scorers
        if isinstance(scorer, Semantic)
    }
    return list(_tried(items, subjects, scorers, asked, time.monotonic() + PATIENCE_S))


def _tried(
    items: Sequence[Item],
    subjects: Mapping[int, Subject],
    scorers: Sequence[tuple[str, Scorer[Any]]],
    asked: Mapping[str, Mapping[int, Verdict]],
    until: float,
) -> Iterator[Tried]:
    for item in items:
        subject = subjects.get(item.pk)
        if subject is None:
            yield Tried(item, None)
            continue
        verdicts = []
        for title, scorer in scorers:
            known = asked[title][item.pk] if title in asked else None
            in_time = time.monotonic() < until
            verdicts.append((title, known or (scorer.score(subject) if in_time else None)))
        yield Tried(item, subject.response, verdicts)


def _subject(item: Item, response: str) -> Subject:
    return Subject(response, item.references, item.choices, item.prompt, item.metadata)


def _responses(version: DatasetVersion, items: Sequence[Item], source: str, typed: str) -> Mapping[int, str]:
    """By item id; only from this version's own runs."""
    kind, _, name = source.partition(":")
    ids = [item.pk for item in items]
    if kind == "recorded":
        rows = Item.objects.filter(pk__in=ids).values_list("pk", "responses")
        return {pk: str(recorded[name]) for pk, recorded in rows if name in (recorded or {})}
    if kind == "run" and name.isascii() and name.isdigit() and len(name) < 16:
        done = Trial.objects.filter(
            run_id=int(name), run__dataset_version=version, run__judged=None, item_id__in=ids,
            state=TrialState.DONE, epoch=1,
        )  # fmt: skip
        return dict(done.values_list("item_id", "response"))
    return dict.fromkeys(ids, typed)
