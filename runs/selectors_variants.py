"""What pages, exports and the API read of variants: an item as a trial asked it, and its other turns."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Exists, OuterRef, Q

from datasets.models import Paraphrase
from runs.models import Run, Score, Trial
from runs.variations import FIELDS


def paraphrases_of(item_ids: Iterable[int]) -> dict[int, dict[int, str]]:
    """Those that were ever approved, by item and number: runs that asked a withdrawn one still show it."""
    found: dict[int, dict[int, str]] = {}
    rows = Paraphrase.objects.filter(item__in=set(item_ids), number__isnull=False).order_by()
    for item, number, text in rows.values_list("item_id", "number", "text"):
        found.setdefault(item, {})[number or 0] = text
    return found


def show_as_asked(run: Run, trials: Iterable[Trial]) -> None:
    """Gives each trial's loaded item, in memory alone, the content that was asked."""
    variants = run.variants
    trials = [trial for trial in trials if variants.place(trial.epoch)]
    if not trials:
        return
    approved = paraphrases_of([trial.item_id for trial in trials]) if variants.reads_paraphrases else {}
    for trial in trials:
        row: Mapping[str, Any] = {name: getattr(trial.item, name) for name in FIELDS}
        asked = variants.asked(row, trial.epoch, approved.get(trial.item_id))
        for name in FIELDS:
            setattr(trial.item, name, asked[name])


def flipping(run: Run, by: str = "") -> Q:
    """Of a run's trials: those of items right in one trial and wrong in another, by its first scorer
    or the one named."""
    turns: dict[bool, Exists] = {}
    for passed in (True, False):
        if by in run.scorer_names[1:]:
            given = Score.objects.filter(
                trial__run=run, trial__item=OuterRef("item"), scorer=by, passed=passed
            )
            turns[passed] = Exists(given)
        else:
            turns[passed] = Exists(Trial.objects.filter(run=run, item=OuterRef("item"), passed=passed))
    return Q(turns[True], turns[False])


@dataclass(frozen=True)
class Turn:
    """One of an item's trials in a run, as its others name it."""

    trial: Trial
    title: str
    epoch: int


@dataclass(frozen=True)
class Turns:
    """All trials of an item in a run. `right` of `scored` passed by the first scorer."""

    turns: Sequence[Turn]

    @property
    def scored(self) -> int:
        return sum(turn.trial.passed is not None for turn in self.turns)

    @property
    def right(self) -> int:
        return sum(turn.trial.passed is True for turn in self.turns)

    @property
    def flips(self) -> bool:
        return 0 < self.right < self.scored


def turns_of_item(run: Run, trial: Trial) -> Turns | None:
    """None where an item has one trial, and of judgings; else one query."""
    variants = run.variants
    if variants.turns == 1 or run.judged_id:
        return None
    found = Trial.objects.filter(run=run, item=trial.item_id).order_by("epoch")
    shown = found.only("seq", "epoch", "state", "passed", "answer", "run_id", "error_kind", "not_before_ms")
    titles = variants.titles
    return Turns(
        [Turn(each, titles[variants.place(each.epoch)], variants.epoch(each.epoch)) for each in shown]
    )
