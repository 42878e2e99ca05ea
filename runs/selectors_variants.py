"""What pages, exports and the API read of variants: an item as a trial asked it, and its other turns."""

from collections.abc import Iterable, Mapping
from typing import Any

from runs.models import Run, Trial
from runs.variations import FIELDS, Variants, variants_of


def paraphrases_of(item_ids: Iterable[int]) -> dict[int, dict[int, str]]:
    """Approved ones by item and number."""
    return {}


def variants_in(run: Run) -> Variants:
    """Of a judging, those of the run that it judges (which is loaded)."""
    return variants_of(run.judged.config, run.passes) if run.judged else variants_of(run.config)


def show_as_asked(run: Run, trials: Iterable[Trial]) -> None:
    """Gives each trial's loaded item, in memory alone, the content that was asked."""
    variants = variants_in(run)
    trials = [trial for trial in trials if variants.place(trial.epoch)]
    if not trials:
        return
    approved = paraphrases_of([trial.item_id for trial in trials]) if variants.reads_paraphrases else {}
    for trial in trials:
        row: Mapping[str, Any] = {name: getattr(trial.item, name) for name in FIELDS}
        asked = variants.asked(row, trial.epoch, approved.get(trial.item_id))
        for name in FIELDS:
            setattr(trial.item, name, asked[name])
