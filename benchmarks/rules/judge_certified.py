"""The judges that count agree with people, and let nothing pass that nobody should let pass."""

from dataclasses import dataclass

from analysis.selectors_trust import calibration, labelled_of
from analysis.trust import Agreement, State
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
        needed = [ruling.needed for ruling in rulings if ruling.needed_of == "labels"]
        told = [n for n in needed if n is not None]
        total = sum(told) if len(told) == len(needed) and worst == Outcome.INCONCLUSIVE else 0
        return Ruling(
            worst, " ".join(ruling.figures for ruling in rulings), total or None, needed_of="labels"
        )


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
    found = calibration(version, labelled_of(version.judge), dataset_id).agreement
    told = f"{version.judge.name} v{version.number} is {found.state} on {name}: {_figures(found)}"
    if found.state == State.CERTIFIED:
        return Ruling(Outcome.PASS, f"{told}.")
    do = "label responses on its card" if found.labels_needed else "more labels will hardly certify it"
    return Ruling(Outcome.INCONCLUSIVE, f"{told}; {do}.", found.labels_needed, needed_of="labels")


def _figures(found: Agreement) -> str:
    kappa, labels = found.kappa, f"{found.n:,} label{'' if found.n == 1 else 's'}"
    if kappa.value is None or kappa.low is None or kappa.high is None:
        return labels
    return f"κ = {kappa.value:.2f} [{kappa.low:.2f}, {kappa.high:.2f}], {labels}"
