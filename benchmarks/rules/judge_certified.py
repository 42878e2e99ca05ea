"""The judges that count agree with people, and let nothing pass that nobody should let pass."""

from dataclasses import dataclass

from analysis.selectors_trust import judge_state
from analysis.trust import State
from benchmarks.rules.base import Outcome, Rule, Ruling, Subject, inconclusive, option
from datasets.models import Dataset
from judges.metrics import proportion
from judges.models import ControlCheck, JudgeVersion


@dataclass(frozen=True)
class Options:
    judge: str = option("", help="Its name; empty: every judge that scores here", offers="judges")


class JudgeCertified(Rule[Options]):
    key = "judge_certified"
    title = "Judges certified"
    description = (
        "Each judge's version is certified by people's labels, and its control check let nothing pass"
    )
    Options = Options
    compares = False

    def __str__(self) -> str:
        return f"Judge {self.options.judge} certified" if self.options.judge else "Every judge certified"

    def judge(self, subject: Subject) -> Ruling:
        versions = JudgeVersion.objects.filter(
            judge__workspace=subject.workspace, pk__in=[version for version, _ in subject.judged]
        ).select_related("judge")
        known = {version.pk: version for version in versions}
        wanted = [
            (known[version], dataset)
            for version, dataset in dict.fromkeys(subject.judged)
            if version in known and self.options.judge in ("", known[version].judge.name)
        ]
        if not wanted:
            named = f"Judge {self.options.judge} does not score" if self.options.judge else "No judge scores"
            return inconclusive(f"{named} here.")
        rulings = [_controls(version) for version in dict.fromkeys(version for version, _ in wanted)]
        rulings += [_agreement(version, dataset) for version, dataset in wanted]
        order = [Outcome.FAIL, Outcome.INCONCLUSIVE, Outcome.PASS]
        worst = min((ruling.outcome for ruling in rulings), key=order.index)
        return Ruling(worst, " ".join(ruling.figures for ruling in rulings))


def _controls(version: JudgeVersion) -> Ruling:
    name = f"{version.judge.name} v{version.number}"
    checks = ControlCheck.objects.filter(version=version, finished_at__isnull=False).order_by("-pk")
    check = checks.first()
    if check is None or not check.n:
        return inconclusive(f"{name}: no control check yet. Run one on the judge's page.")
    share = proportion(check.false_passes, check.n)
    told = (
        f"{name}: {check.false_passes:,} of {check.n:,} controls passed "
        f"[{100 * (share.low or 0):.1f}, {100 * (share.high or 0):.1f}] %"
    )
    if check.unscored:
        return inconclusive(f"{told}, {check.unscored:,} without a verdict.")
    return Ruling(Outcome.FAIL if check.false_passes else Outcome.PASS, f"{told}.")


def _agreement(version: JudgeVersion, dataset_id: int) -> Ruling:
    """With people, by the rule of the judge's card."""
    name = Dataset.objects.filter(pk=dataset_id).values_list("name", flat=True).first()
    state = judge_state(version, dataset_id)
    told = f"{version.judge.name} v{version.number} is {state} on {name}"
    if state == State.CERTIFIED:
        return Ruling(Outcome.PASS, f"{told}.")
    return inconclusive(f"{told}: label responses on its card.")
