"""How judges behave by themselves: calls without a readable verdict, repeats that differ, flips."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.db.models import Count, Q

from judges.metrics import Estimate, proportion
from runs.models import Run, Score, Trial, TrialState

UNREADABLE = ("unparseable", "out_of_range", "invalid_label", "refused", "truncated")
DETAILS = 5000  # scores with several passes that are read for consistency
Detail = Mapping[str, Any]


def unreadable_of(judgings: Sequence[Run | int]) -> Estimate | None:
    """Of the answered calls, those without a readable verdict in spite of asking again. One query."""
    failed = Q(state=TrialState.ERRORED, error_kind__in=UNREADABLE)
    answered = Trial.objects.filter(failed | Q(state=TrialState.DONE), run__in=judgings).order_by()
    counts = answered.aggregate(n=Count("pk"), failed=Count("pk", filter=failed))
    return proportion(counts["failed"], counts["n"]) if counts["n"] else None


def details_of(names: set[tuple[int, str]]) -> list[Detail]:
    """`detail` of the newest scores that took several passes, by (run, scorer). One query."""
    rows = Score.objects.filter(
        run__in=[run for run, _ in names], scorer__in=[name for _, name in names], detail__isnull=False
    )
    found = rows.order_by("-pk").values_list("run_id", "scorer", "detail")[:DETAILS]
    return [it for run, name, it in found if it and (run, name) in names and "passes" in it]


def flips_in(details: Sequence[Detail]) -> Estimate | None:
    """Responses whose verdict changed with the order, of those that both orders have a verdict on."""
    both = [each for each in details if "single_pass" not in each["flags"] and _orders(each) == 2]
    return proportion(sum("flipped" in each["flags"] for each in both), len(both)) if both else None


def _orders(detail: Detail) -> int:
    return len({each["swapped"] for each in detail["passes"] if not each["error"]})


def consistent_in(details: Sequence[Detail]) -> Estimate | None:
    """Responses whose repeats all say the same; each order of a comparison counts as one."""
    said = [
        {each["answer"] for each in told}
        for detail in details
        for swapped in (False, True)
        if len(told := [p for p in detail["passes"] if p["swapped"] == swapped and not p["error"]]) > 1
    ]
    return proportion(sum(len(answers) == 1 for answers in said), len(said)) if said else None
