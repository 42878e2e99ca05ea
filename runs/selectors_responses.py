"""What runs answered, for those who try a judge on it."""

from collections.abc import Sequence

from django.db.models import QuerySet

from datasets.models import DatasetVersion
from judges.sources import RUN
from runs.models import Run, Trial, TrialState
from runs.selectors import listed
from workspaces.models import Workspace

OFFERED = 30


class RunResponses:
    """`judges.sources.RunResponses` over trials."""

    def offered(self, workspace: Workspace, version: DatasetVersion) -> list[tuple[str, str]]:
        """One query."""
        rows = _runs(workspace, version).filter(done__gt=0).order_by("-pk")
        return [
            (f"{RUN}{pk}", f"run #{pk}, {alias}") for pk, alias in rows.values_list("pk", "alias")[:OFFERED]
        ]

    def first_items(
        self, workspace: Workspace, version: DatasetVersion, source: str, count: int
    ) -> Sequence[int]:
        rows = _answered(workspace, version, source).filter(epoch=1).order_by("seq")
        return list(rows.values_list("item_id", flat=True)[:count])

    def responses(
        self, workspace: Workspace, version: DatasetVersion, source: str, items: Sequence[int]
    ) -> dict[int, str]:
        rows = _answered(workspace, version, source).filter(item__in=items).order_by("-epoch")
        return dict(rows.values_list("item_id", "response"))


def _runs(workspace: Workspace, version: DatasetVersion) -> QuerySet[Run]:
    return listed(workspace).filter(dataset_version=version)


def _answered(workspace: Workspace, version: DatasetVersion, source: str) -> QuerySet[Trial]:
    number = source.removeprefix(RUN)
    known = source.startswith(RUN) and number.isascii() and number.isdigit() and len(number) < 19
    run = _runs(workspace, version).filter(pk=int(number) if known else 0)
    return Trial.objects.filter(run__in=run.values("pk"), state=TrialState.DONE)
