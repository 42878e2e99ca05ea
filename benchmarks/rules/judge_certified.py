"""The judges that count have been put to responses that nobody should let pass, and let none pass."""

from dataclasses import dataclass

from benchmarks.rules.base import Outcome, Rule, Ruling, Subject, inconclusive, option
from judges.metrics import proportion
from judges.models import ControlCheck, JudgeVersion


@dataclass(frozen=True)
class Options:
    judge: str = option("", help="Its name; empty: every judge that scores here")


class JudgeCertified(Rule[Options]):
    key = "judge_certified"
    title = "Judges certified"
    description = "The latest control check of each judge's version let nothing pass that it should not"
    Options = Options
    compares = False

    def __str__(self) -> str:
        return f"Judge {self.options.judge} certified" if self.options.judge else "Every judge certified"

    def judge(self, subject: Subject) -> Ruling:
        versions = JudgeVersion.objects.filter(
            judge__workspace=subject.workspace, pk__in=subject.judge_versions
        ).select_related("judge")
        wanted = [
            each for each in versions if not self.options.judge or each.judge.name == self.options.judge
        ]
        if not wanted:
            named = f"Judge {self.options.judge} does not score" if self.options.judge else "No judge scores"
            return inconclusive(f"{named} here.")
        rulings = [self._one(version) for version in wanted]
        order = [Outcome.FAIL, Outcome.INCONCLUSIVE, Outcome.PASS]
        worst = min((ruling.outcome for ruling in rulings), key=order.index)
        return Ruling(worst, " ".join(ruling.figures for ruling in rulings))

    @staticmethod
    def _one(version: JudgeVersion) -> Ruling:
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
