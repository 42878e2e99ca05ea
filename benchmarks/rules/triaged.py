"""Every item that the baseline got right and the candidate wrong has been looked at by someone."""

from dataclasses import dataclass

from analysis.models import TriagedItem, TriageState
from benchmarks.rules.base import Outcome, Rule, Ruling, Subject, inconclusive, option


@dataclass(frozen=True)
class Options:
    baseline: str = option(
        "", help="The model to compare with; empty: the benchmark's baseline", offers="models"
    )
    scorer: str = option("", help="By which verdict; empty: the primary metric", offers="scorers")


class Triaged(Rule[Options]):
    key = "triaged"
    title = "No broken item untriaged"
    description = "Each item that the baseline got right and the candidate wrong has a decision"
    Options = Options

    def __str__(self) -> str:
        return "No broken item untriaged"

    def judge(self, subject: Subject) -> Ruling:
        if subject.missing or subject.candidate is None or not subject.pairs:
            return inconclusive(subject.missing or "No item in common.")
        broken = decided = 0
        for run, pair in zip(subject.candidate.runs, subject.pairs, strict=True):
            items = {int(key) for key in pair.keys[(pair.first == 1) & (pair.second < 1)]}
            rows = TriagedItem.objects.filter(run=run).exclude(state=TriageState.OPEN)
            broken += len(items)
            decided += len(items & {*rows.values_list("item_id", flat=True)})
        left = broken - decided
        figures = f"{broken:,} broken, {decided:,} triaged, {left:,} to decide"
        return Ruling(
            Outcome.FAIL if left else Outcome.PASS, figures, detail={"broken": broken, "left": left}
        )
